// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "routes.h"

#include "access.h"
#include "answer.h"
#include "forwarded.h"
#include "handlers.h"
#include "worker.h"

#include <stdio.h>

static const struct route routes[] = {
	{HTTP_POST, "/_api/tunnels", ROUTE_TOKEN, handle_create},
	{HTTP_GET, "/_api/tunnels", ROUTE_TOKEN, handle_list},
	{HTTP_GET, "/_api/tunnels/{id}", ROUTE_TOKEN, handle_show},
	{HTTP_PATCH, "/_api/tunnels/{id}", ROUTE_TOKEN, handle_change},
	{HTTP_DELETE, "/_api/tunnels/{id}", ROUTE_TOKEN, handle_delete},
	{HTTP_GET, "/_api/tunnels/{id}/agent", ROUTE_AGENT, handle_agent},
	{HTTP_POST, "/_api/tokens", ROUTE_OWNER, handle_token_create},
	{HTTP_GET, "/_api/tokens", ROUTE_OWNER, handle_token_list},
	{HTTP_GET, "/_api/tokens/{id}", ROUTE_OWNER, handle_token_show},
	{HTTP_DELETE, "/_api/tokens/{id}", ROUTE_OWNER, handle_token_delete},
	{HTTP_GET, "/_api/events", ROUTE_TOKEN, handle_events},
	{HTTP_GET, "/_api/audit", ROUTE_TOKEN, handle_audit},
	{HTTP_GET, "/_api/attestation", ROUTE_PUBLIC, handle_attestation, .open = true},
	{HTTP_GET, "/_api/tunnels/{id}/attestation", ROUTE_PUBLIC, handle_tunnel_attestation,
		.open = true},
	{HTTP_GET, "/_api/tunnels/{id}/receipt", ROUTE_PUBLIC, handle_receipt},
	{HTTP_GET, "/_api/version", ROUTE_PUBLIC, handle_version},
	{HTTP_GET, "/_api/openapi.json", ROUTE_PUBLIC, handle_openapi},
	{HTTP_GET, "/healthz", ROUTE_PUBLIC, handle_health},
	{HTTP_GET, "/readyz", ROUTE_PUBLIC, handle_ready},
	{HTTP_GET, "/_t/{id}/", ROUTE_PUBLIC, handle_about},
	{HTTP_POST, "/_t/{id}/enter", ROUTE_PUBLIC, handle_enter},
	{HTTP_GET, "/_t/{id}/login", ROUTE_PUBLIC, handle_login_form},
	{HTTP_POST, "/_t/{id}/login", ROUTE_PUBLIC, handle_login},
	{HTTP_GET, "/assets/{id}", ROUTE_PUBLIC, handle_asset, .control = true},
	{HTTP_GET, "/", ROUTE_PUBLIC, handle_front},
};

const struct route *routes_table(size_t *n)
{
	*n = ARRAY_SIZE(routes);
	return routes;
}

// All there is on a listener for metrics, and on no other.
static const struct route metrics_route = {HTTP_GET, "/metrics", ROUTE_PUBLIC, handle_metrics};

// Whether PATH is what PATTERN describes; *ID is then what stands for {id}.
static bool matches(const char *pattern, struct span path, struct span *id)
{
	const char *hole = strstr(pattern, "{id}");
	if (hole == NULL)
		return span_eq(span_of(pattern), path);
	struct span before = {pattern, (size_t)(hole - pattern)}, after = span_of(hole + 4);
	if (path.n <= before.n + after.n || !span_starts(path, before) ||
		!span_eq(after, (struct span){path.p + path.n - after.n, after.n}))
		return false;
	*id = (struct span){path.p + before.n, path.n - before.n - after.n};
	return memchr(id->p, '/', id->n) == NULL;
}

static bool serves(const struct route *route, enum http_method method)
{
	return route->method == method || (route->method == HTTP_GET && method == HTTP_HEAD);
}

// ---- refusals

static const char *method_name(enum http_method method)
{
	switch ((int)method) {
	case HTTP_GET: return "GET, HEAD";
	case HTTP_POST: return "POST";
	case HTTP_PATCH: return "PATCH";
	case HTTP_DELETE: return "DELETE";
	default: return "";
	}
}

// Writes the methods of a path, as for Allow.
static void format_methods(struct span path, char *out, size_t size)
{
	struct span id;
	int n = snprintf(out, size, "OPTIONS");
	for (size_t i = 0; i < ARRAY_SIZE(routes); i++)
		if (matches(routes[i].path, path, &id))
			n += snprintf(
				out + n, size - (size_t)n, ", %s", method_name(routes[i].method));
}

static void answer_wrong_method(struct connection *connection, const struct request *request)
{
	char methods[64], allow[192], detail[128];
	format_methods(request->path, methods, sizeof methods);
	const char *open = connection->open && request->head.method == HTTP_OPTIONS
				   ? "Access-Control-Allow-Origin: *\r\n"
				     "Access-Control-Allow-Methods: GET, HEAD\r\n"
				   : "";
	int n = snprintf(allow, sizeof allow, "Allow: %s\r\n%s", methods, open);
	struct span fields = {allow, (size_t)n};
	if (request->head.method == HTTP_OPTIONS) {
		answer_empty(connection, 204, fields);
		return;
	}
	snprintf(detail, sizeof detail, "This address supports these methods: %s.", methods);
	struct problem problem = {
		.code = CODE_METHOD_NOT_ALLOWED, .detail = span_of(detail), .fields = fields};
	answer_problem_full(connection, &problem);
}

// Only a token that was shown and is wrong counts as a failure.
static void answer_no_token(
	struct worker *worker, struct connection *connection, const struct request *request)
{
	struct problem problem = {.code = CODE_TOKEN_INVALID,
		.fields = SPAN("WWW-Authenticate: Bearer realm=\"tunneld\"\r\n")};
	unsigned wait_s = 0;
	if (http_head_field(&request->head, HTTP_AUTHORIZATION) != NULL)
		wait_s = failures_note(&worker->failures, connection->facts.peer, worker->loop.now);
	if (wait_s > 0)
		problem = (struct problem){.code = CODE_RATE_LIMITED,
			.detail = SPAN(FAILURES_DETAIL),
			.retry_after = wait_s};
	answer_problem_full(connection, &problem);
}

bool routes_admit(struct worker *worker, struct connection *connection,
	const struct request *request, int outcome)
{
	if (outcome == ACCESS_NONE) {
		answer_no_token(worker, connection, request);
	} else if (outcome < 0) {
		worker_log_store(worker, "looking for a token", outcome);
		answer_problem(connection, CODE_INTERNAL, "The token could not be looked up.");
	}
	return outcome == 0;
}

// Finds out who asks, or answers.
static void identify(struct worker *worker, struct connection *connection, struct request *request)
{
	const struct route *route = request->route;
	int r = access_find(
		&request->head, &worker->settings.owner_token, worker->store, &request->caller);
	if (!routes_admit(worker, connection, request, r))
		return;
	bool owner = token_is_owner(request->caller.id);
	if (route->access == ROUTE_OWNER && !owner)
		answer_problem(connection, CODE_TOKEN_SCOPE, "Only the owner's token allows this.");
	else
		connection_prefer(connection, owner);
}

// ---- the server

static void begin_metrics(struct connection *connection, struct request *request)
{
	connection->privileged = true; // a flood of visitors must not hide itself
	if (span_eq(request->path, span_of(metrics_route.path)) &&
		serves(&metrics_route, request->head.method))
		request->route = &metrics_route;
	else
		answer_problem(connection, CODE_NOT_FOUND, "There is GET /metrics here only.");
}

// Whether the request came to an origin of a tunnel's own: by its host name, or by a port of the
// pool, whether a tunnel has that now or not.
static bool is_on_own_origin(const struct connection *connection)
{
	return connection->own[0] != '\0' || connection->facts.use == LISTENER_PORT;
}

// Whether it came to a listener of the API's own, by a name that others can lead there.
static bool is_misled(const struct worker *worker, const struct connection *connection,
	const struct request *request)
{
	return connection->facts.use == LISTENER_CONTROL &&
	       !control_host_ok(request->head.authority, span_of(worker->settings.control_host));
}

// What is served where. On a tunnel's own origin that is its login, and what is public about it;
// what needs a token is for the origin of the API, if it has one. Returns why ROUTE is not served,
// or NULL.
static const char *not_here(const struct worker *worker, const struct connection *connection,
	const struct route *route, const struct request *request)
{
	bool own = is_on_own_origin(connection);
	bool secret = route->access == ROUTE_TOKEN || route->access == ROUTE_OWNER;
	bool control = connection->facts.use == LISTENER_CONTROL;
	if (own && secret)
		return "The API is not served on the address of a tunnel.";
	if (own && request->id.n > 0 && !span_eq(request->id, span_of(connection->own)))
		return "This is the address of another tunnel.";
	if (secret && worker->settings.control && !control)
		return "The API of this server has an address of its own (control_listen).";
	if (control && span_starts(request->path, SPAN("/_t/")))
		return "Tunnels are not reached by the address of the API.";
	return NULL;
}

// Nothing that has a route.
static void answer_elsewhere(
	struct worker *worker, struct connection *connection, const struct request *request)
{
	if (is_on_own_origin(connection) && !origin_path_is_ours(request->path))
		handle_own(worker, connection);
	else if (connection->facts.use == LISTENER_CONTROL || is_on_own_origin(connection))
		answer_refusal(connection, CODE_NOT_FOUND, 0, (struct span){NULL, 0});
	else
		handle_elsewhere(worker, connection, request);
}

// Finds the route, or answers. Whatever is decided here is decided before a body is read.
static void begin(struct connection *connection, struct request *request)
{
	struct worker *worker = container_of(connection->set, struct worker, connections);
	enum http_method method = request->head.method;
	bool known = false;
	forwarded_apply(&connection->facts, &request->head, worker->settings.trusted_proxies);
	if (worker->store == NULL) {
		struct problem problem = {.code = CODE_DRAINING,
			.detail = SPAN("The database of this server cannot be used now."),
			.retry_after = 1};
		answer_problem_full(connection, &problem);
		return;
	}
	if (connection->kind == CONNECTION_REFUSED) {
		if (connection->form == FORM_HTML)
			answer_refusal(connection, CODE_DRAINING, 1, (struct span){NULL, 0});
		else
			answer_problem(connection, CODE_DRAINING,
				"As many connections are open already as max_api_connections allows.");
		return;
	}
	if (connection->facts.use == LISTENER_METRICS) {
		begin_metrics(connection, request);
		return;
	}
	if (is_misled(worker, connection, request)) {
		answer_problem(connection, CODE_MISDIRECTED,
			"This address is not known by that name: control_url can name it.");
		return;
	}
	if (method == HTTP_OPTIONS && span_eq(request->head.target, SPAN("*"))) {
		answer_empty(connection, 204,
			SPAN("Allow: GET, HEAD, POST, PATCH, DELETE, OPTIONS\r\n"));
		return;
	}
	bool ours = !is_on_own_origin(connection) || origin_path_is_ours(request->path);
	for (size_t i = 0; i < ARRAY_SIZE(routes) && request->route == NULL && ours; i++) {
		bool here = !routes[i].control || connection->facts.use == LISTENER_CONTROL;
		if (!here || !matches(routes[i].path, request->path, &request->id))
			continue;
		known = true;
		connection->open |= routes[i].open;
		if (serves(&routes[i], method))
			request->route = &routes[i];
	}
	const struct route *route = request->route;
	const char *why = route != NULL ? not_here(worker, connection, route, request) : NULL;
	if (!known)
		answer_elsewhere(worker, connection, request);
	else if (why != NULL)
		answer_problem(connection, CODE_NOT_FOUND, "%s", why);
	else if (route == NULL)
		answer_wrong_method(connection, request);
	else if (route->access >= ROUTE_TOKEN)
		identify(worker, connection, request);
}

static void handle(struct connection *connection, struct request *request)
{
	struct worker *worker = container_of(connection->set, struct worker, connections);
	const struct route *route = request->route;
	// The token may have ended while the body was on its way.
	int r = route->access >= ROUTE_TOKEN ? access_again(worker->store, &request->caller) : 0;
	if (routes_admit(worker, connection, request, r))
		route->handle(worker, connection, request);
}

static void failed(struct connection *connection, enum code code, const char *request_id)
{
	struct worker *worker = container_of(connection->set, struct worker, connections);
	const struct code_info *info = code_info(code);
	worker_log(worker, code == CODE_INTERNAL ? LOG_ERROR : LOG_INFO,
		"answered %u %s, request_id %s", info->status, info->name, request_id);
}

const struct connection_server routes_server = {begin, handle, handle_upgraded, failed};
