// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "certificate.h"

#include "facts.h"
#include "problem.h"
#include "text.h"

// A member NAME of TEXT: as it is when RAW, else as a string; null without text.
static int add_member(struct buf *out, const char *name, const char *text, bool raw)
{
	int r = buf_printf(out, ",\"%s\":", name);
	if (r < 0)
		return r;
	if (text == NULL || text[0] == '\0')
		return buf_printf(out, "null");
	return raw ? buf_add_span(out, span_of(text)) : problem_string(out, span_of(text));
}

static int add_instance(struct buf *out, struct span statement, const struct quoter *quoter,
	const struct collateral *collateral)
{
	const struct {
		const char *name, *text;
		bool raw;
	} members[] = {
		{"quote", quoter->quote.hex, false},
		{"quote_state", quoter_state(quoter), false},
		{"event_log", quoter->quote.event_log != NULL ? quoter->quote.event_log : "[]",
			true},
		{"app_compose", quoter->app_compose, false},
		{"vm_config", quoter->quote.vm_config, false},
		{"guest_version", quoter->version, false},
		{"collateral_state", collateral_state(collateral), false},
	};
	int r = buf_printf(out, "\"instance\":{\"statement\":");
	if (r == 0)
		r = text_base64(out, statement);
	for (size_t i = 0; i < ARRAY_SIZE(members) && r == 0; i++)
		r = add_member(out, members[i].name, members[i].text, members[i].raw);
	if (r == 0)
		r = buf_printf(out, ",\"collateral\":");
	if (r == 0)
		r = buf_add_span(out, collateral->text.n > 0 ? collateral->text : SPAN("null"));
	if (r == 0)
		r = buf_printf(
			out, "},\"tee\":%s}", quoter->quote.hex != NULL ? "\"tdx\"" : "null");
	return r;
}

static int add_statement(struct buf *out, struct span statement, const struct signer *signer)
{
	uint8_t signature[SIGNER_SIGNATURE_SIZE];
	int r = signer_sign(signer, INSTANCE_TYPE, statement, signature);
	if (r == 0)
		r = buf_printf(out, "{\"statement\":");
	if (r == 0)
		r = text_base64(out, statement);
	if (r == 0)
		r = buf_printf(out, ",\"signature\":");
	if (r == 0)
		r = text_hex(out, signature, sizeof signature);
	return r == 0 ? buf_add(out, ",", 1) : r;
}

int certificate_make(struct certificate *certificate, struct span statement,
	const struct signer *signer, const struct quoter *quoter,
	const struct collateral *collateral)
{
	struct buf document;
	buf_init(&document, CERTIFICATE_MAX);
	int r = add_statement(&document, statement, signer);
	size_t tail = buf_len(&document);
	if (r == 0)
		r = add_instance(&document, statement, quoter, collateral);
	if (r < 0) {
		buf_reset(&document);
		return r;
	}
	certificate_deinit(certificate);
	*certificate = (struct certificate){document, tail};
	return 0;
}

void certificate_deinit(struct certificate *certificate)
{
	buf_reset(&certificate->document);
}

int certificate_fresh(
	struct buf *out, const struct fresh_request *request, const struct quote *quote)
{
	int r = buf_printf(out, "{\"nonce\":");
	if (r == 0)
		r = text_hex(out, request->nonce, request->n);
	if (r == 0)
		r = add_member(out, "quote", quote->hex, false);
	if (r == 0)
		r = add_member(out, "event_log", quote->event_log, true);
	return r == 0 ? buf_add(out, "}", 1) : r;
}
