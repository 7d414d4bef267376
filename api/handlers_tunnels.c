// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// /_api/tunnels: making, listing, showing, changing and ending tunnels.

#include "handlers.h"

#include "answer.h"
#include "tunnel_json.h"
#include "worker.h"

#include <inttypes.h>
#include <stdio.h>

enum {
	LIST_DOCUMENT_MAX = 3 << 19,   // bytes of it
	LIST_WAITING_MAX = 16 << 20,   // of answers nobody takes, before no more lists are made
	LIST_WAITING_SCOPED = 8 << 20, // the same for scoped tokens: the owner still gets lists
	COUNTERS_PATIENCE_MS = 2000,
};

// ---- POST /_api/tunnels

// TOKEN_LEFT_S: of the token whose tunnel it is, as token_left_s() says.
static struct tunnel_bounds bounds_of(const struct worker *worker, uint64_t token_left_s)
{
	return (struct tunnel_bounds){
		.origins = &worker->settings.origins,
		.default_timeout_s = worker->settings.default_timeout_s,
		.max_timeout_s = worker->settings.max_timeout_s,
		.token_left_s = token_left_s,
		.max_connections = worker->settings.max_connections,
		.request_rate = worker->settings.request_rate,
	};
}

typedef int (*request_parse)(struct tunnel_request *request, struct span body,
	const struct tunnel_bounds *bounds, struct buf *said);

// Reads a body by PARSE, or answers what is wrong with it. What Content-Type says does not matter:
// programs that send it by habit mean JSON all the same.
static bool read_body(struct connection *connection, struct request *request, request_parse parse,
	const struct tunnel_bounds *bounds, struct tunnel_request *wanted)
{
	CLEANUP(buf_reset) struct buf said;
	buf_init(&said, FINDINGS_SAID_MAX);
	int r = parse(wanted, buf_span(&request->body), bounds, &said);
	if (r != FINDINGS_NONE)
		answer_findings(connection, r, wanted->summary, buf_span(&said));
	return r == FINDINGS_NONE;
}

// What is known about KEY is in memory.
static void answer_kept(struct connection *connection, const struct kept_answer *kept,
	const struct idempotency_key *key)
{
	if (!secret_hash_equal(&kept->key.body, &key->body)) {
		answer_wrong_field(connection, CODE_INVALID, "Idempotency-Key",
			"The Idempotency-Key was used for another body: a new request needs a new "
			"key.");
	} else if (kept->bytes == NULL) {
		struct problem problem = {.code = CODE_CONFLICT,
			.detail =
				SPAN("The first request with this Idempotency-Key is not answered "
				     "yet. Repeat it for the answer."),
			.retry_after = 1};
		answer_problem_full(connection, &problem);
	} else {
		answer_bytes(connection, 201, (struct span){kept->bytes, kept->n});
	}
}

// There is no answer any more, but the tunnel.
static void answer_no_longer_kept(struct connection *connection, const struct tunnel *tunnel)
{
	char fields[128];
	int n = snprintf(fields, sizeof fields, "Location: /_api/tunnels/%s\r\n", tunnel->id);
	struct problem problem = {.code = CODE_IDEMPOTENCY_EXPIRED, .fields = {fields, (size_t)n}};
	answer_problem_full(connection, &problem);
}

// Answers a request whose KEY was used before. Returns false when it was not.
static bool is_repeated(
	struct worker *worker, struct connection *connection, const struct idempotency_key *key)
{
	struct tunnel tunnel;
	const struct kept_answer *kept = idempotency_find(&worker->idempotency, key);
	if (kept != NULL) {
		answer_kept(connection, kept, key);
		return true;
	}
	int r = store_tunnel_of_key(worker->store, &key->id, &tunnel);
	if (r < 0) {
		worker_log_store(worker, "looking for an idempotency key", r);
		answer_problem(
			connection, CODE_INTERNAL, "The Idempotency-Key could not be looked up.");
	} else if (r == 0) {
		answer_no_longer_kept(connection, &tunnel);
	}
	return r != STORE_NONE;
}

static void create(struct worker *worker, struct connection *connection, struct request *request,
	const struct idempotency_key *key)
{
	struct tunnel_request wanted;
	const struct tunnel_bounds bounds = bounds_of(worker, token_left_s(&request->caller));
	if (read_body(connection, request, tunnel_request_parse, &bounds, &wanted))
		creation_start(worker, connection, &request->caller, &wanted, key);
}

void handle_create(struct worker *worker, struct connection *connection, struct request *request)
{
	struct idempotency_key key;
	if (!worker_is_ready(worker, connection))
		return;
	int r = idempotency_key_read(
		&key, &request->head, buf_span(&request->body), request->caller.id);
	if (r == IDEMPOTENCY_BAD_KEY)
		answer_problem(connection, CODE_BAD_REQUEST,
			"Idempotency-Key must be one field of 1 to %d visible ASCII characters, as "
			"they are or in quotes.",
			IDEMPOTENCY_KEY_MAX);
	else if (r == IDEMPOTENCY_NO_KEY)
		create(worker, connection, request, NULL);
	else if (!is_repeated(worker, connection, &key))
		create(worker, connection, request, &key);
}

// ---- GET /_api/tunnels

struct list {
	struct buf document;
	struct tunnel_view view;
	unsigned n, limit;
	int64_t last;
	bool more;
	int r;
};

static bool add_to_list(const struct tunnel *tunnel, void *arg)
{
	struct list *list = arg;
	if (list->n == list->limit) {
		list->more = true;
		return false;
	}
	list->r = buf_printf(&list->document, list->n++ == 0 ? "\n" : ",\n");
	if (list->r == 0)
		list->r = tunnel_json(&list->document, tunnel, &list->view);
	list->last = tunnel->seq;
	return list->r == 0;
}

// One more than wanted is read, to know whether there is a next page.
static int make_list(struct worker *worker, const char *token, const struct tunnel_query *query,
	struct list *list)
{
	int r = buf_printf(&list->document, "[");
	if (r == 0)
		r = store_tunnels_list(worker->store, token, query->state, query->before,
			query->limit + 1, add_to_list, list);
	if (r < 0)
		worker_log_store(worker, "listing tunnels", r);
	if (r == 0)
		r = list->r;
	return r == 0 ? buf_printf(&list->document, "\n]\n") : r;
}

static void answer_list(
	struct connection *connection, const struct tunnel_query *query, const struct list *list)
{
	char fields[256];
	int n = 0;
	if (list->more)
		n = snprintf(fields, sizeof fields,
			"Link: </_api/tunnels?state=%s&limit=%u&cursor=%" PRId64
			">; rel=\"next\"\r\n",
			query->state != 0 ? tunnel_state_name(query->state) : "all", query->limit,
			list->last);
	answer_json(connection, 200, buf_span(&list->document), (struct span){fields, (size_t)n});
}

void handle_list(struct worker *worker, struct connection *connection, struct request *request)
{
	struct tunnel_query query;
	CLEANUP(buf_reset) struct buf said;
	buf_init(&said, FINDINGS_SAID_MAX);
	int r = tunnel_query_parse(&query, request->query, &said);
	if (r != FINDINGS_NONE) {
		answer_findings(connection, r, query.summary, buf_span(&said));
		return;
	}
	const char *scope = request_scope(request);
	size_t waiting_max = scope != NULL ? LIST_WAITING_SCOPED : LIST_WAITING_MAX;
	if (connections_waiting(&worker->connections) > waiting_max) {
		answer_problem(connection, CODE_DRAINING,
			"Too many answers wait to be read. Try again in a moment.");
		return;
	}
	struct list list = {.view.origins = &worker->settings.origins, .limit = query.limit};
	buf_init(&list.document, LIST_DOCUMENT_MAX);
	if (make_list(worker, scope, &query, &list) < 0)
		answer_problem(connection, CODE_INTERNAL, "The tunnels could not be listed.");
	else
		answer_list(connection, &query, &list);
	buf_reset(&list.document);
}

// ---- GET /_api/tunnels/{id}

struct showing {
	struct worker *worker;
	struct connection *connection;
	struct connection_waiter waiter;
	struct pending counters;
	char id[TUNNEL_ID_MAX + 1];
};

static void answer_shown(
	struct worker *worker, struct connection *connection, const struct tunnel *tunnel)
{
	const struct tunnel_view view = {.origins = &worker->settings.origins, .counters = true};
	answer_with_tunnel(connection, tunnel, &view);
}

bool handle_find_tunnel(struct worker *worker, struct connection *connection, const char *scope,
	struct span id, struct tunnel *tunnel)
{
	int r = tunnel_id_ok(id) ? store_tunnel_get(worker->store, id, tunnel) : STORE_NONE;
	if (r == 0 && (scope == NULL || strcmp(tunnel->token, scope) == 0))
		return true;
	if (r < 0) {
		worker_log_store(worker, "looking for a tunnel", r);
		answer_problem(connection, CODE_INTERNAL, "The tunnel could not be looked up.");
	} else {
		answer_problem(connection, CODE_TUNNEL_UNKNOWN, "There is no such tunnel.");
	}
	return false;
}

static void on_showing_over(struct connection_waiter *waiter, bool lost)
{
	struct showing *showing = container_of(waiter, struct showing, waiter);
	pending_stop(&showing->counters);
	free(showing);
}

// Counters only count while it lives: what came with its end is in the database by then.
static void on_counters(struct pending *pending, const struct ipc_message *message)
{
	struct showing *showing = container_of(pending, struct showing, counters);
	struct worker *worker = showing->worker;
	struct connection *connection = showing->connection;
	struct tunnel tunnel;
	connection_forget(connection);
	bool found = handle_find_tunnel(worker, connection, NULL, span_of(showing->id), &tunnel);
	free(showing);
	if (!found)
		return;
	if (message != NULL && tunnel.state == TUNNEL_ACTIVE) {
		struct tunnel_counters now = tunnel_counters_read(message->fields + 1);
		if (now.connections >= tunnel.counters.connections)
			tunnel.counters = now;
	}
	answer_shown(worker, connection, &tunnel);
}

// Returns false when the supervisor cannot be asked.
static bool ask_for_counters(
	struct worker *worker, struct connection *connection, const struct tunnel *tunnel)
{
	struct showing *showing = calloc(1, sizeof *showing);
	if (showing == NULL)
		return false;
	showing->worker = worker;
	showing->connection = connection;
	showing->waiter.over = on_showing_over;
	memcpy(showing->id, tunnel->id, sizeof showing->id);
	uint64_t request = pending_start(&worker->pendings, &showing->counters, MSG_COUNTERS_GET,
		COUNTERS_PATIENCE_MS, on_counters);
	if (request == 0 || ipc_post(&worker->control, MSG_COUNTERS_GET, -1, wire_uint(request),
				    wire_str(span_of(showing->id))) != IPC_SENT) {
		pending_stop(&showing->counters);
		free(showing);
		return false;
	}
	connection_wait(connection, &showing->waiter);
	return true;
}

void handle_show(struct worker *worker, struct connection *connection, struct request *request)
{
	struct tunnel tunnel;
	if (!handle_find_tunnel(worker, connection, request_scope(request), request->id, &tunnel))
		return;
	if (tunnel.state != TUNNEL_ACTIVE || !ask_for_counters(worker, connection, &tunnel))
		answer_shown(worker, connection, &tunnel);
}

// ---- PATCH and DELETE /_api/tunnels/{id}

// Whether it can still be changed; answers if not.
static bool is_not_over(struct connection *connection, const struct tunnel *tunnel)
{
	bool over = tunnel_state_is_over(tunnel->state);
	if (over)
		answer_problem(connection, CODE_TUNNEL_OVER, "The tunnel is over already: %s.",
			tunnel_state_name(tunnel->state));
	return !over;
}

// Whoever asks: what the tunnel may not outlive is the token it was made with.
static uint64_t left_to(struct worker *worker, const struct tunnel *tunnel)
{
	struct token token = {.id = TOKEN_OWNER};
	if (!token_is_owner(tunnel->token) &&
		store_token_get(worker->store, span_of(tunnel->token), &token) != 0)
		return 1; // it is being revoked
	return token_left_s(&token);
}

void handle_change(struct worker *worker, struct connection *connection, struct request *request)
{
	struct tunnel tunnel;
	struct tunnel_request wanted;
	if (!worker_is_ready(worker, connection) ||
		!handle_find_tunnel(
			worker, connection, request_scope(request), request->id, &tunnel) ||
		!is_not_over(connection, &tunnel))
		return;
	const struct tunnel_bounds bounds = bounds_of(worker, left_to(worker, &tunnel));
	if (!read_body(connection, request, tunnel_change_parse, &bounds, &wanted))
		return;
	if (tunnel.state == TUNNEL_STARTING)
		answer_problem(connection, CODE_CONFLICT, "The tunnel is still starting.");
	else
		extension_start(worker, connection, &request->caller, &tunnel, wanted.timeout_s);
}

void handle_delete(struct worker *worker, struct connection *connection, struct request *request)
{
	struct tunnel tunnel;
	if (!worker_is_ready(worker, connection) ||
		!handle_find_tunnel(
			worker, connection, request_scope(request), request->id, &tunnel))
		return;
	if (is_not_over(connection, &tunnel))
		deletion_start(worker, connection, &request->caller, &tunnel);
}
