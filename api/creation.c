// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "creation.h"

#include "answer.h"
#include "tunnel_json.h"
#include "worker.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>

static_assert(2 + BASE32_SIZE(CREATION_ID_RANDOM) - 1 <= TUNNEL_ID_MAX, "an id fits");

// ---- its end

static void forget_secrets(struct creation *creation)
{
	explicit_bzero(creation->secret, sizeof creation->secret);
	explicit_bzero(creation->agent_token, sizeof creation->agent_token);
}

static void creation_free(struct creation *creation)
{
	pending_stop(&creation->spawn);
	forget_secrets(creation);
	if (creation->connection != NULL)
		connection_forget(creation->connection);
	if (creation->kept != NULL)
		idempotency_forget(creation->kept);
	TAILQ_REMOVE(&creation->worker->creations, creation, link);
	free(creation);
}

// Gives the asker a problem, if it is still there, and cares no more for it.
static void answer(struct creation *creation, enum code code, const char *detail)
{
	struct connection *connection = creation->connection;
	if (connection == NULL)
		return;
	creation->connection = NULL;
	connection_forget(connection);
	answer_problem(connection, code, "%s", detail);
}

struct creation *creation_find(struct worker *worker, const char *id)
{
	struct creation *creation;
	TAILQ_FOREACH(creation, &worker->creations, link)
	if (creation->spawn.request != 0 && strcmp(creation->tunnel.id, id) == 0)
		return creation;
	return NULL;
}

void creation_cancel(struct creation *creation)
{
	creation->ending = true;
	answer(creation, CODE_CONFLICT, "The tunnel was revoked while it was starting.");
}

void creation_ended(struct worker *worker, const char *id)
{
	struct creation *creation = creation_find(worker, id);
	if (creation == NULL)
		return;
	answer(creation, CODE_CONFLICT, "The tunnel ended while it was starting.");
	creation_free(creation);
}

void creations_deinit(struct worker *worker)
{
	struct creation *creation;
	while ((creation = TAILQ_FIRST(&worker->creations)) != NULL)
		creation_free(creation);
}

// ---- its life

// The connection is done with the answer, or broke. See creation.h for why a tunnel whose secret
// reached nobody is ended.
static void on_over(struct connection_waiter *waiter, bool lost)
{
	struct creation *creation = container_of(waiter, struct creation, waiter);
	struct worker *worker = creation->worker;
	const char *id = creation->tunnel.id;
	creation->connection = NULL;
	if (lost && !creation->keyed) {
		worker_log(worker, LOG_INFO,
			"tunnel %s is revoked: its creator is gone and nobody has its secret", id);
		worker_send_end(worker, 0, id, END_REVOKED);
		creation->ending = true;
	}
	if (creation->spawn.request == 0)
		creation_free(creation);
}

static int format_created(struct buf *out, const struct creation *creation)
{
	struct tunnel_view view = {
		.origins = &creation->worker->settings.origins,
		.agent_token = span_of(creation->agent_token),
		.to_creator = true,
	};
	if (creation->tunnel.auth != AUTH_NONE)
		view.secret = span_of(creation->secret);
	// Room for all: growing would leave a copy of the secret behind.
	if (buf_room(out, out->cap) == NULL)
		return -ENOMEM;
	int r = tunnel_json(out, &creation->tunnel, &view);
	return r == 0 ? buf_add(out, "\n", 1) : r;
}

// The whole answer. The secrets are gone from CREATION afterwards.
static int format_answer(struct buf *out, struct creation *creation)
{
	enum { DOCUMENT_MAX = 4096, FIELDS_MAX = 128 };
	CLEANUP(buf_wipe) struct buf document;
	char fields[FIELDS_MAX];
	buf_init(&document, DOCUMENT_MAX);
	int r = format_created(&document, creation);
	forget_secrets(creation);
	if (r < 0)
		return r;
	int n = snprintf(
		fields, sizeof fields, "Location: /_api/tunnels/%s\r\n", creation->tunnel.id);
	return answer_format(out, 201, "application/json", buf_span(&document),
		(struct span){fields, (size_t)n}, false);
}

static void answer_created(struct creation *creation)
{
	CLEANUP(buf_wipe) struct buf whole;
	struct connection *connection = creation->connection;
	buf_init(&whole, IDEMPOTENCY_ANSWER_MAX);
	int r = format_answer(&whole, creation);
	if (creation->kept != NULL && r == 0) {
		idempotency_finish(creation->kept, buf_span(&whole));
		creation->kept = NULL;
	}
	if (connection == NULL)
		creation_free(creation); // whoever asked will ask again
	else if (r < 0)
		connection_answered(connection, r);
	else
		answer_bytes(connection, 201, buf_span(&whole));
}

// The waiter stays: it tells whether the answer arrived.
static void on_spawned(struct creation *creation, const struct wire_value *fields)
{
	struct worker *worker = creation->worker;
	struct tunnel *tunnel = &creation->tunnel;
	if (creation->ending) {
		creation_free(creation); // ENDED will follow
		return;
	}
	worker_note_spawned(worker, tunnel, fields);
	int r = store_tunnel_activate(worker->store, tunnel,
		creation->keyed ? &creation->key : NULL,
		(struct store_cause){tunnel->token, "its relay is ready"});
	if (r != 0) {
		if (r < 0)
			worker_log_store(worker, "storing a new tunnel", r);
		worker_send_end(worker, 0, tunnel->id, END_FAILED);
		answer(creation, CODE_INTERNAL, "The tunnel could not be stored.");
		creation_free(creation);
		return;
	}
	tunnel->state = TUNNEL_ACTIVE;
	worker_log(worker, LOG_INFO, "tunnel %s created by %s: %s for %llu s", tunnel->id,
		tunnel->token, tunnel_is_pull(tunnel) ? "its agents" : tunnel->backend,
		(unsigned long long)tunnel->timeout_s);
	events_publish(&worker->events, EVENT_CREATED, tunnel);
	answer_created(creation);
}

// What the supervisor says as an answer to the POST. What is wrong with the backend is said with a
// pointer, like the worker's own findings.
static void answer_failed(struct creation *creation, enum code code, struct span detail)
{
	struct connection *connection = creation->connection;
	char sentence[FINDINGS_SENTENCE_SIZE];
	if (connection == NULL)
		return;
	creation->connection = NULL;
	connection_forget(connection);
	struct problem problem = {.code = code, .detail = finding_sentence(sentence, detail)};
	if (code_info(code)->status == 422)
		answer_wrong_member(connection, code, "backend", detail);
	else
		answer_problem_full(connection, &problem);
}

static void on_failed(struct creation *creation, const struct ipc_message *answer_message)
{
	uint64_t number = answer_message->fields[1].number;
	enum code code = number == CODE_NONE ? CODE_INTERNAL : (enum code)number;
	struct span detail = answer_message->fields[2].bytes;
	char reason[513];
	if (detail.n == 0)
		detail = span_of(code_info(code)->detail);
	snprintf(reason, sizeof reason, "%.*s", (int)detail.n, detail.p);
	if (creation->ending) {
		ends_store(creation->worker, creation->tunnel.id, TUNNEL_REVOKED,
			(struct store_cause){creation->tunnel.token, "revoked while starting"});
	} else {
		ends_store(creation->worker, creation->tunnel.id, TUNNEL_FAILED,
			(struct store_cause){"supervisor", reason});
		answer_failed(creation, code, detail);
	}
	creation_free(creation);
}

static void on_answer(struct pending *pending, const struct ipc_message *message)
{
	struct creation *creation = container_of(pending, struct creation, spawn);
	if (message != NULL && message->type->type == MSG_SPAWNED) {
		on_spawned(creation, message->fields);
		return;
	}
	if (message != NULL) {
		on_failed(creation, message);
		return;
	}
	worker_log(creation->worker, LOG_ERROR, "the supervisor did not start tunnel %s in time",
		creation->tunnel.id);
	worker_send_end(creation->worker, 0, creation->tunnel.id, END_FAILED);
	ends_store(creation->worker, creation->tunnel.id,
		creation->ending ? TUNNEL_REVOKED : TUNNEL_FAILED,
		(struct store_cause){"worker", "no answer from the supervisor"});
	answer(creation, CODE_DRAINING, "The tunnel could not be started in time. Try again.");
	creation_free(creation);
}

// ---- its beginning

// Whether those of TOKEN (NULL: all) are as many as BOUND allows, which is WHOSE; it has been
// answered then.
static bool is_full(struct worker *worker, struct connection *connection, const char *token,
	uint64_t bound, const char *whose)
{
	uint64_t n;
	int r = store_tunnels_count(worker->store, token, &n);
	if (r < 0) {
		worker_log_store(worker, "counting tunnels", r);
		answer_problem(connection, CODE_INTERNAL, "The tunnels could not be counted.");
	} else if (n >= bound) {
		answer_problem(connection, CODE_QUOTA_REACHED,
			"There are %" PRIu64 " tunnels, as many as %s allows.", n, whose);
	}
	return r < 0 || n >= bound;
}

// Whether something stands against another tunnel; it has been answered then.
static bool is_refused(
	struct worker *worker, struct connection *connection, const struct token *caller)
{
	unsigned wait_s = rates_take(&worker->create_rates, caller->id, instant_now());
	if (wait_s > 0) {
		struct problem problem = {.code = CODE_RATE_LIMITED,
			.detail = SPAN("Tunnels are created faster than create_rate of this server "
				       "allows."),
			.retry_after = wait_s};
		answer_problem_full(connection, &problem);
		return true;
	}
	if (!token_is_owner(caller->id) &&
		is_full(worker, connection, caller->id, caller->quota, "the quota of this token"))
		return true;
	return is_full(worker, connection, NULL, worker->settings.max_tunnels,
		"max_tunnels of this server");
}

// Writes a secret and its hash. Returns 0 or a negative errno.
static int make_secret(char out[CREATION_SECRET_SIZE], struct secret_hash *hash)
{
	uint8_t random[CREATION_SECRET_RANDOM];
	if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
		return -EIO;
	base32_encode(out, random, sizeof random);
	secret_hash_make(hash, span_of(out));
	explicit_bzero(random, sizeof random);
	return 0;
}

// Makes the id and the secrets. Returns 0 or a negative errno.
static int make_secrets(struct creation *creation)
{
	uint8_t random[CREATION_ID_RANDOM];
	struct tunnel *tunnel = &creation->tunnel;
	if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
		return -EIO;
	memcpy(tunnel->id, "t-", 2);
	base32_encode(tunnel->id + 2, random, sizeof random);
	int r = make_secret(creation->secret, &tunnel->secret_hash);
	if (r == 0 && tunnel_is_pull(tunnel))
		r = make_secret(creation->agent_token, &tunnel->agent_hash);
	return r;
}

static void copy_settings(
	struct tunnel *tunnel, const struct token *caller, const struct tunnel_request *request)
{
	*tunnel = (struct tunnel){
		.state = TUNNEL_STARTING,
		.auth = request->auth,
		.prefix = request->prefix,
		.origin = request->origin,
		.timeout_s = request->timeout_s,
		.life_ms = request->timeout_s * 1000,
		.max_connections = request->max_connections,
		.max_requests = request->max_requests,
		.max_bytes = request->max_bytes,
		.request_rate = request->request_rate,
		.created_at = wall_now(),
	};
	memcpy(tunnel->token, caller->id, sizeof tunnel->token);
	memcpy(tunnel->name, request->name, sizeof tunnel->name);
	memcpy(tunnel->backend, request->backend, sizeof tunnel->backend);
}

static bool send_spawn(struct creation *creation)
{
	struct worker *worker = creation->worker;
	uint64_t request = pending_start(
		&worker->pendings, &creation->spawn, MSG_SPAWN, WORKER_PATIENCE_MS, on_answer);
	return request != 0 && worker_send_spawn(worker, request, &creation->tunnel,
				       (uint64_t)creation->token_end_us);
}

static void store_and_spawn(struct creation *creation)
{
	struct worker *worker = creation->worker;
	struct tunnel *tunnel = &creation->tunnel;
	int r = make_secrets(creation);
	if (r == 0)
		r = store_tunnel_add(
			worker->store, tunnel, (struct store_cause){tunnel->token, "asked for"});
	if (r < 0) {
		worker_log_store(worker, "storing a new tunnel", r);
		answer(creation, CODE_INTERNAL, "The tunnel could not be stored.");
		creation_free(creation);
		return;
	}
	if (send_spawn(creation))
		return;
	ends_store(creation->worker, creation->tunnel.id, TUNNEL_FAILED,
		(struct store_cause){"worker", "the supervisor cannot be asked"});
	answer(creation, CODE_DRAINING, "The tunnel could not be started now. Try again.");
	creation_free(creation);
}

// When the token ends, on the clock of deadlines; 0: never.
static int64_t end_of(const struct token *token)
{
	if (token_is_owner(token->id))
		return 0;
	return instant_add_ms(instant_now(), token_left_ms(token)).us;
}

// Remembers that a request with KEY is under way. Returns false without memory.
static bool keep_key(struct creation *creation, const struct idempotency_key *key, bool scoped)
{
	if (key == NULL)
		return true;
	creation->keyed = true;
	creation->key = key->id;
	creation->kept = idempotency_begin(&creation->worker->idempotency, key, scoped);
	return creation->kept != NULL;
}

void creation_start(struct worker *worker, struct connection *connection,
	const struct token *caller, const struct tunnel_request *request,
	const struct idempotency_key *key)
{
	if (is_refused(worker, connection, caller))
		return;
	struct creation *creation = calloc(1, sizeof *creation);
	if (creation != NULL)
		creation->worker = worker;
	if (creation == NULL || !keep_key(creation, key, !token_is_owner(caller->id))) {
		free(creation);
		answer_problem(connection, CODE_INTERNAL, "Out of memory.");
		return;
	}
	creation->connection = connection;
	creation->waiter.over = on_over;
	creation->token_end_us = end_of(caller);
	copy_settings(&creation->tunnel, caller, request);
	TAILQ_INSERT_TAIL(&worker->creations, creation, link);
	connection_wait(connection, &creation->waiter);
	store_and_spawn(creation);
}
