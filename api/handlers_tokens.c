// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// /_api/tokens: making, listing, showing and ending scoped tokens. Only the owner gets here.

#include "handlers.h"

#include "answer.h"
#include "token_request.h"
#include "worker.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>

enum { DOCUMENT_MAX = 4096, LIST_DOCUMENT_MAX = 3 << 19, TOKEN_SIZE = BASE32_SIZE(TOKEN_RANDOM) };

static const struct span no_fields = {NULL, 0};

// Appends TOKEN as one JSON object. TEXT: the token itself, to its creator only, else absent.
static int token_json(
	struct buf *out, const struct token *token, uint64_t tunnels, struct span text)
{
	char created[RFC3339_SIZE], expires[RFC3339_SIZE];
	rfc3339_format(token->created_at, created);
	rfc3339_format(token->expires_at, expires);
	int r = buf_printf(out, "{\"id\":\"%s\",\"name\":", token->id);
	if (r == 0)
		r = problem_string(out, span_of(token->name));
	if (r == 0)
		r = buf_printf(out,
			",\"quota\":%" PRIu64 ",\"tunnels\":%" PRIu64
			",\"created_at\":\"%s\",\"expires_at\":\"%s\"",
			token->quota, tunnels, created, expires);
	if (r == 0 && text.p != NULL)
		r = buf_printf(out, ",\"token\":\"%.*s\"", (int)text.n, text.p);
	return r == 0 ? buf_printf(out, "}") : r;
}

// ---- POST /_api/tokens

// Whether something stands against another token; it has been answered then.
static bool is_refused(struct worker *worker, struct connection *connection)
{
	uint64_t n = 0;
	int r = store_tokens_count(worker->store, &n);
	if (r < 0) {
		worker_log_store(worker, "counting tokens", r);
		answer_problem(connection, CODE_INTERNAL, "The tokens could not be counted.");
	} else if (n >= worker->settings.max_tokens) {
		answer_problem(connection, CODE_QUOTA_REACHED,
			"There are %" PRIu64
			" tokens, as many as max_tokens of this server allows.",
			n);
	}
	return r < 0 || n >= worker->settings.max_tokens;
}

// Makes TOKEN and its TEXT. Returns 0 or a negative errno.
static int token_make(
	struct token *token, char text[TOKEN_SIZE], const struct token_request *request)
{
	uint8_t random[TOKEN_ID_RANDOM + TOKEN_RANDOM];
	if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
		return -EIO;
	*token = (struct token){.id = "k-", .quota = request->quota, .created_at = wall_now()};
	// Rounded up: the token is valid for as long as was asked for at least.
	token->expires_at = (wall_now_ms() + 999) / 1000 + (int64_t)request->life_s;
	memcpy(token->name, request->name, sizeof token->name);
	base32_encode(token->id + 2, random, TOKEN_ID_RANDOM);
	base32_encode(text, random + TOKEN_ID_RANDOM, TOKEN_RANDOM);
	secret_hash_make(&token->hash, (struct span){text, TOKEN_SIZE - 1});
	explicit_bzero(random, sizeof random);
	return 0;
}

static void answer_made(
	struct connection *connection, const struct token *token, const char text[TOKEN_SIZE])
{
	CLEANUP(buf_wipe) struct buf document;
	char fields[128];
	buf_init(&document, DOCUMENT_MAX);
	// Room for all: growing would leave a copy of the token behind.
	int r = buf_room(&document, document.cap) != NULL ? 0 : -ENOMEM;
	if (r == 0)
		r = token_json(&document, token, 0, (struct span){text, TOKEN_SIZE - 1});
	if (r == 0)
		r = buf_add(&document, "\n", 1);
	if (r < 0) {
		connection_answered(connection, r);
		return;
	}
	int n = snprintf(fields, sizeof fields, "Location: /_api/tokens/%s\r\n", token->id);
	answer_json(connection, 201, buf_span(&document), (struct span){fields, (size_t)n});
}

static void make(
	struct worker *worker, struct connection *connection, const struct token_request *request)
{
	struct token token;
	char text[TOKEN_SIZE];
	int r = token_make(&token, text, request);
	if (r == 0)
		r = store_token_add(
			worker->store, &token, (struct store_cause){TOKEN_OWNER, "asked for"});
	if (r < 0) {
		worker_log_store(worker, "storing a new token", r);
		answer_problem(connection, CODE_INTERNAL, "The token could not be stored.");
	} else {
		worker_log(worker, LOG_INFO,
			"token %s created: quota %" PRIu64 ", for %" PRIu64 " s", token.id,
			token.quota, request->life_s);
		revocations_watch(worker);
		answer_made(connection, &token, text);
	}
	explicit_bzero(text, sizeof text);
}

void handle_token_create(
	struct worker *worker, struct connection *connection, struct request *request)
{
	struct token_request wanted;
	CLEANUP(buf_reset) struct buf said;
	buf_init(&said, FINDINGS_SAID_MAX);
	int r = token_request_parse(
		&wanted, buf_span(&request->body), worker->settings.max_tunnels, &said);
	if (r != FINDINGS_NONE)
		answer_findings(connection, r, wanted.summary, buf_span(&said));
	else if (!is_refused(worker, connection))
		make(worker, connection, &wanted);
}

// ---- GET /_api/tokens

struct list {
	struct worker *worker;
	struct buf document;
	unsigned n;
	int r;
};

static int add_token(struct worker *worker, struct buf *out, const struct token *token)
{
	uint64_t tunnels = 0;
	int r = store_tunnels_count(worker->store, token->id, &tunnels);
	return r == 0 ? token_json(out, token, tunnels, no_fields) : r;
}

static bool add_to_list(const struct token *token, void *arg)
{
	struct list *list = arg;
	if (token_left_ms(token) == 0)
		return true;
	list->r = buf_printf(&list->document, list->n++ == 0 ? "\n" : ",\n");
	if (list->r == 0)
		list->r = add_token(list->worker, &list->document, token);
	return list->r == 0;
}

void handle_token_list(
	struct worker *worker, struct connection *connection, struct request *request)
{
	struct list list = {.worker = worker};
	buf_init(&list.document, LIST_DOCUMENT_MAX);
	int r = buf_printf(&list.document, "[");
	if (r == 0)
		r = store_tokens_list(worker->store, add_to_list, &list);
	if (r == 0)
		r = list.r;
	if (r == 0)
		r = buf_printf(&list.document, "\n]\n");
	if (r == 0) {
		answer_json(connection, 200, buf_span(&list.document), no_fields);
	} else {
		worker_log_store(worker, "listing tokens", r);
		answer_problem(connection, CODE_INTERNAL, "The tokens could not be listed.");
	}
	buf_reset(&list.document);
}

// ---- GET and DELETE /_api/tokens/{id}

// Reads the token, or answers that there is none.
static bool find_token(
	struct worker *worker, struct connection *connection, struct span id, struct token *token)
{
	int r = token_id_ok(id) ? store_token_get(worker->store, id, token) : STORE_NONE;
	if (r == 0 && token_left_ms(token) > 0)
		return true;
	if (r < 0) {
		worker_log_store(worker, "looking for a token", r);
		answer_problem(connection, CODE_INTERNAL, "The token could not be looked up.");
	} else {
		answer_problem(connection, CODE_NOT_FOUND, "There is no such token.");
	}
	return false;
}

void handle_token_show(
	struct worker *worker, struct connection *connection, struct request *request)
{
	struct token token;
	CLEANUP(buf_reset) struct buf document;
	buf_init(&document, DOCUMENT_MAX);
	if (!find_token(worker, connection, request->id, &token))
		return;
	int r = add_token(worker, &document, &token);
	if (r == 0)
		r = buf_add(&document, "\n", 1);
	if (r == 0) {
		answer_json(connection, 200, buf_span(&document), no_fields);
	} else {
		worker_log_store(worker, "showing a token", r);
		answer_problem(connection, CODE_INTERNAL, "The token could not be shown.");
	}
}

void handle_token_delete(
	struct worker *worker, struct connection *connection, struct request *request)
{
	struct token token;
	if (!worker_is_ready(worker, connection))
		return;
	if (find_token(worker, connection, request->id, &token))
		revocation_start(worker, connection, &token);
}
