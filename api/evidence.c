// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "evidence.h"

#include "hex.h"

static void drop(struct certificate *certificate)
{
	free(certificate->document);
	evidence_view_deinit(&certificate->view);
	*certificate = (struct certificate){0};
}

void certificate_unref(struct certificate *certificate)
{
	if (certificate == NULL || --certificate->refs > 0)
		return;
	drop(certificate);
	free(certificate);
}

void evidence_deinit(struct evidence *evidence)
{
	certificate_unref(evidence->certificate);
	certificate_unref(evidence->former);
	drop(&evidence->incoming);
	evidence->certificate = evidence->former = NULL;
}

struct certificate *evidence_certificate_of(
	struct evidence *evidence, const struct secret_hash *instance)
{
	struct certificate *known[] = {evidence->certificate, evidence->former};
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (known[i] != NULL && secret_hash_equal(&known[i]->instance, instance)) {
			known[i]->refs++;
			return known[i];
		}
	return NULL;
}

const struct evidence_view *certificate_look(struct certificate *certificate)
{
	if (certificate == NULL)
		return NULL;
	struct evidence_view *view = &certificate->view;
	if (view->instance == NULL &&
		evidence_view_read(view, certificate_document(certificate)) < 0)
		return NULL;
	return view;
}

// Returns 0 or -ENOMEM.
static int begin(struct certificate *incoming, const struct wire_value *f)
{
	drop(incoming);
	incoming->document = malloc(f[1].number);
	if (incoming->document == NULL)
		return -ENOMEM;
	incoming->size = f[1].number;
	incoming->tail = f[2].number;
	incoming->quoted = f[3].number;
	memcpy(incoming->instance.bytes, f[4].bytes.p, SECRET_HASH_SIZE);
	return 0;
}

// *PLACE gets what INCOMING says. What is told anew of one instance is so for all who share it.
static struct certificate *put(struct certificate **place, struct certificate *incoming)
{
	struct certificate *now = *place;
	if (now == NULL || !secret_hash_equal(&now->instance, &incoming->instance)) {
		now = calloc(1, sizeof *now);
		if (now == NULL) {
			drop(incoming);
			return NULL;
		}
		now->refs = 1;
		certificate_unref(*place);
		*place = now;
	}
	incoming->refs = now->refs;
	drop(now);
	*now = *incoming;
	*incoming = (struct certificate){0};
	return now;
}

// Without memory the one there is stays; a worker that is started again is told once more.
int evidence_on_certificate(struct evidence *evidence, const struct ipc_message *message,
	const struct certificate **changed)
{
	struct certificate *incoming = &evidence->incoming;
	const struct wire_value *f = message->fields;
	struct span piece = f[5].bytes;

	*changed = NULL;
	if (f[0].number == 0 && begin(incoming, f) < 0)
		return 0;
	if (incoming->document == NULL)
		return 0;
	if (f[0].number != incoming->have || piece.n > incoming->size - incoming->have)
		return -EBADMSG;
	memcpy(incoming->document + incoming->have, piece.p, piece.n);
	incoming->have += piece.n;
	if (incoming->have < incoming->size)
		return 0;
	*changed = put(f[6].number ? &evidence->former : &evidence->certificate, incoming);
	return 0;
}

static int add_base64(struct buf *out, struct span bytes)
{
	char *room = buf_room(out, BASE64_SIZE(bytes.n));
	if (room == NULL)
		return -errno;
	base64_encode(room, bytes.p, bytes.n);
	buf_added(out, BASE64_SIZE(bytes.n) - 1);
	return 0;
}

int evidence_statement(struct buf *out, struct span statement, const uint8_t signature[64])
{
	char hex[2 * 64 + 1];
	hex_encode(hex, signature, 64);
	int r = buf_printf(out, "{\"statement\":\"");
	if (r == 0)
		r = add_base64(out, statement);
	return r == 0 ? buf_printf(out, "\",\"signature\":\"%s\",", hex) : r;
}
