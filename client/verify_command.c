// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

// tunnel verify: of bare evidence, of a server, of what was saved of one.

#include "app_compose.h"
#include "bundle.h"
#include "bytes.h"
#include "handlers.h"
#include "inquiry.h"
#include "json_read.h"
#include "report.h"
#include "server.h"
#include "tunnel_ref.h"
#include "tunnel_text.h"
#include "verify_inputs.h"

#include <sys/stat.h>

static int print(const struct verification *v, const struct invocation *invocation)
{
	if (!option_given(invocation, OPTION_JSON)) {
		report_print(stdout, v);
		return 0;
	}
	CLEANUP(json_p) json_t *report = report_json(v);
	return report != NULL ? tunnel_print_json(stdout, report, 0) : -ENOMEM;
}

static int end(const struct verification *v, const struct invocation *invocation)
{
	int r = print(v, invocation);
	return r != 0 || verification_accepted(v) ? r : EXIT_CODE_NOT_ATTESTED;
}

// ---- bare evidence

struct bare_files {
	char *quote, *log, *compose;
	struct span quote_bytes, log_bytes, compose_bytes;
};

static void bare_files_free_p(struct bare_files *files)
{
	free(files->quote);
	free(files->log);
	free(files->compose);
}

static int read_files(
	struct bare_files *files, const struct invocation *invocation, struct failure *failure)
{
	const char *const *values = invocation->values;
	int r = verify_file_read(
		&files->quote, &files->quote_bytes, values[OPTION_QUOTE], EVIDENCE_MAX, failure);
	if (r == 0 && values[OPTION_EVENT_LOG] != NULL)
		r = verify_file_read(&files->log, &files->log_bytes, values[OPTION_EVENT_LOG],
			EVENT_LOG_MAX, failure);
	if (r == 0 && values[OPTION_APP_COMPOSE] != NULL)
		r = verify_file_read(&files->compose, &files->compose_bytes,
			values[OPTION_APP_COMPOSE], APP_COMPOSE_MAX, failure);
	return r;
}

// An RA-TLS certificate's quote is about its own key, unless something else is asked.
static void expect_own_key(
	struct verification *v, const struct evidence *evidence, uint8_t data[REPORT_DATA_SIZE])
{
	if (v->report_data.p == NULL && evidence->spki.p != NULL &&
		ratls_report_data(data, evidence->spki))
		v->report_data = bytes_of(data, REPORT_DATA_SIZE);
}

static void verify_bare(struct verification *v, struct evidence *evidence,
	const struct bare_files *files, uint8_t own[REPORT_DATA_SIZE])
{
	struct why why;
	v->evidence = evidence;
	if (!evidence_read(evidence, files->quote_bytes, &why)) {
		verdict_set(&v->verdict, CHECK_FORMAT, false, &why);
		return;
	}
	if (files->log != NULL)
		evidence_read_log(evidence, files->log_bytes);
	if (files->compose != NULL)
		evidence->app_compose = files->compose_bytes;
	expect_own_key(v, evidence, own);
	verify_quote(v);
}

static int run_bare(const struct verify_inputs *inputs, const struct invocation *invocation,
	struct failure *failure)
{
	CLEANUP(bare_files_free_p) struct bare_files files = {0};
	CLEANUP(verification_deinit) struct verification v;
	CLEANUP(evidence_deinit) struct evidence evidence = {0};
	uint8_t own[REPORT_DATA_SIZE];
	verification_init(&v);
	int r = read_files(&files, invocation, failure);
	if (r != 0)
		return r;
	verify_inputs_apply(inputs, &v);
	verify_bare(&v, &evidence, &files, own);
	return end(&v, invocation);
}

// ---- a document of a server

static int verify_document(const struct verify_inputs *inputs, const struct invocation *invocation,
	struct span document, const struct envelope_question *question)
{
	CLEANUP(verification_deinit) struct verification v;
	CLEANUP(envelope_deinit) struct envelope envelope;
	CLEANUP(envelope_hold_deinit) struct envelope_hold hold;
	verification_init(&v);
	verify_inputs_apply(inputs, &v);
	verify_envelope(&v, &envelope, &hold, document, question);
	return end(&v, invocation);
}

// A file is an answer to what the options say.
static int run_file(const struct verify_inputs *inputs, const struct invocation *invocation,
	const char *path, struct failure *failure)
{
	CLEANUP(free_p) char *text = NULL;
	struct span document;
	struct envelope_question question = {
		.has_spki = inputs->has_spki,
		.nonce = span_of(invocation->values[OPTION_NONCE]),
		.tunnel = span_of(invocation->values[OPTION_TUNNEL]),
		.fresh = option_given(invocation, OPTION_FRESH),
	};
	memcpy(question.spki_sha256, inputs->spki_sha256, sizeof question.spki_sha256);
	int r = verify_file_read(&text, &document, path, ENVELOPE_MAX, failure);
	return r != 0 ? r : verify_document(inputs, invocation, document, &question);
}

static int run_folder(const struct verify_inputs *inputs, const struct invocation *invocation,
	const char *path, struct failure *failure)
{
	CLEANUP(bundle_deinit) struct bundle bundle;
	int r = bundle_load(&bundle, path, failure);
	return r != 0 ? r : verify_document(inputs, invocation, bundle.document, &bundle.question);
}

static int run_saved(const struct verify_inputs *inputs, const struct invocation *invocation,
	const char *path, struct failure *failure)
{
	struct stat st;
	if (option_given(invocation, OPTION_SAVE))
		return failure_set(failure, EXIT_CODE_USAGE, "--save goes with a URL");
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return run_folder(inputs, invocation, path, failure);
	return run_file(inputs, invocation, path, failure);
}

// ---- a server

static int judge_answer(const struct verify_inputs *inputs, const struct invocation *invocation,
	const struct inquiry *inquiry, struct failure *failure)
{
	const char *folder = invocation->values[OPTION_SAVE];
	CLEANUP(verification_deinit) struct verification v;
	CLEANUP(envelope_deinit) struct envelope envelope;
	CLEANUP(envelope_hold_deinit) struct envelope_hold hold;
	int r = 0;
	verification_init(&v);
	verify_inputs_apply(inputs, &v);
	inquiry_verify(inquiry, &v, &envelope, &hold);
	const struct bundle_parts parts = {
		.url = invocation->operands[0],
		.document = inquiry->document,
		.envelope = &envelope,
		.question = &inquiry->question,
		.verification = &v,
	};
	if (folder != NULL)
		r = bundle_save(folder, &parts, failure);
	return r != 0 ? r : end(&v, invocation);
}

static int ask(const struct verify_inputs *inputs, const struct invocation *invocation,
	const struct url *server, struct failure *failure)
{
	CLEANUP(inquiry_deinit) struct inquiry inquiry = {0};
	CLEANUP(proxy_deinit) struct proxy proxy = {0};
	struct span tunnel = span_of(invocation->values[OPTION_TUNNEL]);
	bool through_proxy = false;
	int r = proxy_find(&proxy, &through_proxy, server, failure);
	if (tunnel.p == NULL)
		tunnel = tunnel_ref_id(span_of(invocation->operands[0]));
	const struct route route = {.server = server, .proxy = through_proxy ? &proxy : NULL};
	if (r == 0)
		r = inquiry_make(
			&inquiry, &route, tunnel, option_given(invocation, OPTION_FRESH), failure);
	return r != 0 ? r : judge_answer(inputs, invocation, &inquiry, failure);
}

static int run_url(const struct verify_inputs *inputs, const struct invocation *invocation,
	struct span text, struct failure *failure)
{
	struct url server;
	const char *why;
	if (option_given(invocation, OPTION_OFFLINE))
		return failure_set(failure, EXIT_CODE_USAGE,
			"--offline: give what --save has written, not a URL");
	// The server alone: what lies behind it is not to be sent, a secret least of all.
	const char *authority = (const char *)memmem(text.p, text.n, "://", 3) + 3;
	struct span front = {text.p, (size_t)(authority - text.p) + strcspn(authority, "/?#")};
	if (server_parse(&server, front, &why) != 0)
		return failure_set(
			failure, EXIT_CODE_USAGE, "%.*s: %s", (int)front.n, front.p, why);
	return ask(inputs, invocation, &server, failure);
}

int verify_run(const struct invocation *invocation, struct failure *failure)
{
	const char *target = invocation->n_operands > 0 ? invocation->operands[0] : NULL;
	bool bare = option_given(invocation, OPTION_QUOTE);
	CLEANUP(verify_inputs_deinit) struct verify_inputs inputs;
	int r = verify_inputs_read(&inputs, invocation, failure);
	if (r != 0)
		return r;
	if (bare == (target != NULL))
		return failure_set(failure, EXIT_CODE_USAGE,
			"give a URL, a file of evidence, or --quote FILE");
	if (bare)
		return run_bare(&inputs, invocation, failure);
	if (strstr(target, "://") != NULL)
		return run_url(&inputs, invocation, span_of(target), failure);
	return run_saved(&inputs, invocation, target, failure);
}
