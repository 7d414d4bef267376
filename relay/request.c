// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// From a complete request head to a request on its way: is it for this tunnel, may it pass, what
// the backend gets to see of it, and on which connection.

#include "access.h"
#include "channel.h"
#include "code.h"
#include "forwarded.h"
#include "http_date.h"
#include "notice.h"
#include "relay.h"
#include "rewrite.h"
#include "stray.h"
#include "visitor.h"

#include <stdio.h>

// ---- what it asks for

struct route {
	enum tunnel_origin origin; // on which the request came
	struct span prefix;        // "/t/<id>"; empty on an origin of the tunnel's own
	struct span rest;          // what follows it: empty or starting with / or ?
};

// On which of the tunnel's own origins a request came, if on one. What came by its port has come so
// whatever it says.
static enum tunnel_origin own_origin(const struct visitor *visitor, const struct http_head *head)
{
	const struct relay *relay = visitor->relay;
	struct span id = origin_wildcard_id(relay->wildcard_url, head->authority);
	if (visitor->facts.use == LISTENER_PORT)
		return ORIGIN_PORT;
	return id.n > 0 && span_eq(id, span_of(relay->config.id)) ? ORIGIN_WILDCARD : 0;
}

static bool route_find(
	const struct visitor *visitor, const struct http_head *head, struct route *ret)
{
	const struct relay *relay = visitor->relay;
	struct span path = head->path, prefix = {relay->prefix_text, relay->prefix_length};
	enum tunnel_origin own = own_origin(visitor, head);
	if (own != 0) {
		*ret = (struct route){.origin = own, .prefix = {path.p, 0}, .rest = path};
		return path.n > 0 && path.p[0] == '/' && !origin_path_is_ours(path);
	}
	if (!span_starts(path, prefix))
		return false;
	struct span rest = {path.p + prefix.n, path.n - prefix.n};
	if (rest.n > 0 && rest.p[0] != '/' && rest.p[0] != '?')
		return false;
	*ret = (struct route){.origin = ORIGIN_PATH, .prefix = {path.p, prefix.n}, .rest = rest};
	return true;
}

// Whether a request for a path at the root is one of this tunnel's pages: a browser sends it on
// whatever connection it has.
static bool is_own_stray(const struct relay *relay, const struct http_head *head)
{
	if (!stray_is(head))
		return false;
	struct span id = stray_by_referer(head);
	return span_eq(id.n > 0 ? id : stray_by_cookie(head).id, span_of(relay->config.id));
}

static void exchange_init(struct visitor *visitor, const struct http_head *head)
{
	struct exchange *x = &visitor->x;
	*x = (struct exchange){
		.to_head = head->method == HTTP_HEAD,
		.safe = http_method_is_safe(head->method),
		.old = head->minor == 0,
		.keep_alive = head->keep_alive && head->minor > 0,
		.last = !head->keep_alive,
		.expecting = head->expect_continue,
		.form = answer_form(head),
	};
	buf_init(&x->head, RELAY_HEAD_OUT);
	flow_init(&x->up, FLOW_UP, head->body, head->length, head->body == HTTP_BODY_CHUNKED);
	// A body often comes right behind its head: it is looked for before the loop tells of it.
	visitor->stream.readable |= !x->up.ended;
}

// ---- who may pass

// Whether HEAD asks for a WebSocket in the name of a page of the origin that it asks. Browsers name
// it with each WebSocket (RFC 6455 section 4.1), and no script can have them name another.
static bool is_socket_of_own_page(const struct visitor *visitor, const struct http_head *head)
{
	const struct http_field *origin = http_head_field(head, HTTP_ORIGIN);
	struct span scheme = visitor->x.https ? SPAN("https://") : SPAN("http://");
	if (!visitor->x.upgrade || head->method != HTTP_GET || origin == NULL ||
		!http_list_has(head->upgrade_protocols, SPAN("websocket")) ||
		!span_starts(origin->value, scheme))
		return false;
	struct span host = {origin->value.p + scheme.n, origin->value.n - scheme.n};
	return head->authority.n > 0 && span_eq_nocase(host, head->authority);
}

static struct access_verdict admit(
	struct visitor *visitor, const struct http_head *head, const struct route *route)
{
	struct relay *relay = visitor->relay;
	bool stray = route->origin == ORIGIN_PATH && route->prefix.n == 0;
	struct access_verdict verdict =
		access_check(&relay->config, &relay->secret, &relay->cookie, head);
	if (verdict.refused == CODE_AUTH_REQUIRED && stray &&
		is_socket_of_own_page(visitor, head) &&
		pass_equal(&relay->pass, stray_by_cookie(head).pass))
		verdict = (struct access_verdict){.authorization = true};
	return verdict;
}

// ---- what is said before any backend is asked

// Tunnels that lead to tunnels are fine, but not so many.
enum { PASSAGES_MAX = 4 };

// How often the request has been through a tunneld, this one or another (RFC 9110 section 7.6.3).
static unsigned passages(const struct http_head *head)
{
	unsigned n = 0;
	for (size_t i = 0; i < head->n_fields; i++) {
		struct span list = head->fields[i].value, element;
		while (head->fields[i].id == HTTP_VIA && http_list_next(&list, &element))
			n += span_eq(element, SPAN(REWRITE_VIA));
	}
	return n;
}

// Whether it means to leave HTTP for a byte relay to the service.
static bool asks_for_tcp(const struct visitor *visitor, const struct http_head *head)
{
	return head->upgrade && visitor->x.up.ended &&
	       http_list_has(head->upgrade_protocols, SPAN("tcp"));
}

// A pull tunnel's agent knows whether its service is one for that, and resets the stream if not.
static bool is_tcp(const struct visitor *visitor, const struct http_head *head)
{
	const struct tunnel_config *config = &visitor->relay->config;
	if (tunnel_config_pull(config))
		return head->method == HTTP_GET && asks_for_tcp(visitor, head);
	return config->backend.scheme == URL_TCP;
}

struct objection {
	enum code code;
	const char *detail;
};

static struct objection object(
	struct visitor *visitor, const struct http_head *head, const struct access_verdict *access)
{
	struct relay *relay = visitor->relay;
	if (access->refused != CODE_NONE)
		return (struct objection){access->refused, NULL};
	if (!visitor->admitted && relay->n_admitted >= relay->config.max_connections)
		return (struct objection){CODE_TOO_MANY_CONNECTIONS,
			"The tunnel has as many connections as its limits.connections allows."};
	relay->n_admitted += !visitor->admitted;
	visitor->admitted = true;
	if (visitor->x.tcp && !asks_for_tcp(visitor, head))
		return (struct objection){CODE_BAD_REQUEST, REQUEST_TCP_DETAIL};
	if (passages(head) > PASSAGES_MAX)
		return (struct objection){CODE_LOOP_DETECTED, NULL};
	if (relay_bytes_left(relay, 1) == 0)
		return (struct objection){CODE_TUNNEL_OVER, "Its limits.bytes is used up."};
	switch (budget_request(&relay->budget, relay->loop.now)) {
	case BUDGET_OK: break;
	case BUDGET_TOO_FAST:
		return (struct objection){CODE_RATE_LIMITED,
			"Requests come faster than the tunnel's limits.request_rate allows."};
	case BUDGET_USED_UP:
		return (struct objection){CODE_TUNNEL_OVER, "Its limits.requests is used up."};
	}
	visitor->x.accepted = true;
	counter_add(&relay->counters->requests, 1);
	atomic_store_explicit(
		&relay->counters->last_activity, (uint64_t)wall_now(), memory_order_relaxed);
	return (struct objection){CODE_NONE, NULL};
}

struct mapping request_mapping(const struct visitor *visitor)
{
	const struct relay *relay = visitor->relay;
	bool path = visitor->x.origin == ORIGIN_PATH;
	return (struct mapping){
		.prefix = {path ? relay->prefix_text : NULL, path ? relay->prefix_length : 0},
		.outside = visitor->x.outside,
		.keep = relay->config.prefix == PREFIX_KEEP,
		.backend = relay->authority,
		.backend_scheme =
			relay->config.backend.scheme == URL_HTTPS ? SPAN("https") : SPAN("http"),
		.own = relay->origins[visitor->x.origin].host,
		.routing = path && visitor->x.form == FORM_HTML,
		.pass = span_of(relay->pass.digits),
		.https = visitor->x.https,
		.jar = visitor->x.origin == ORIGIN_PORT,
		.id = span_of(relay->config.id),
	};
}

// ---- on its way

// A connection that is already there, or NULL.
static struct backend *backend_at_hand(struct visitor *visitor)
{
	if (visitor->backend != NULL && !backend_is_idle(visitor->backend))
		visitor->backend = backend_free(visitor->backend);
	if (visitor->backend == NULL)
		visitor->backend = backend_reuse(visitor);
	return visitor->backend;
}

static enum step forward(struct visitor *visitor, struct span head, struct span rest)
{
	struct exchange *x = &visitor->x;
	bool at_hand = !x->tcp && backend_at_hand(visitor) != NULL;
	// Kept where it may have to be sent later, or again: a connection that was idle may be
	// closed by the backend just now.
	bool may_repeat = x->up.ended && (x->safe || (at_hand && channel_is(visitor->backend)));
	if ((!at_hand || may_repeat) && buf_add_span(&x->head, head) < 0)
		return visitor_drop(visitor);
	if (at_hand)
		return exchange_begin(visitor, &(struct flow_start){.lead = head, .rest = rest});
	if (buf_add_span(&visitor->stream.in, rest) < 0)
		return visitor_drop(visitor);
	return request_dial(visitor, 0);
}

// Sends the visitor to PREFIX, SLASH and PATH. REST, what follows the request, stays with the
// connection.
static enum step redirect(struct visitor *visitor, unsigned status, struct span prefix,
	const char *slash, struct span path, struct span rest)
{
	struct relay *relay = visitor->relay;
	char *text = relay->head_out;
	bool keep = visitor->x.keep_alive && visitor->x.up.ended && visitor->admitted &&
		    !budget_requests_gone(&relay->budget);
	visitor->x.status = (uint16_t)status;
	int n = snprintf(text, RELAY_HEAD_OUT,
		"HTTP/1.1 %u %s\r\nDate: %s\r\nLocation: %.*s%s%.*s\r\n"
		"Content-Length: 0\r\n%s%s%s\r\n",
		status, http_reason(status), http_date_now(), (int)prefix.n, prefix.p, slash,
		(int)path.n, path.p,
		status == 307 ? "Cache-Control: no-store\r\nVary: Referer, Cookie\r\n" : "",
		visitor->x.code == CODE_MISDIRECTED ? "Tunnel-Error: misdirected\r\n" : "",
		keep ? "" : "Connection: close\r\n");
	struct iovec piece = {text, (size_t)n};
	if (buf_add_span(&visitor->stream.in, rest) < 0 ||
		stream_send(&visitor->stream, &piece, 1) < 0)
		return visitor_drop(visitor);
	return keep ? visitor_next(visitor) : visitor_finish(visitor);
}

// "/t/<id>" without its slash would make every relative link of the page miss the tunnel, and has
// no part in the tunnel cookie. A browser that was asked for a password there would send it to all
// of /t/, without being asked (RFC 7617 section 2.2). So this comes before any question.
static enum step redirect_to_slash(
	struct visitor *visitor, const struct route *route, struct span rest)
{
	return redirect(visitor, 308, route->prefix, "/", route->rest, rest);
}

// A request for somebody else, on a connection that is ours for good. A browser tries another
// connection by itself, once; when that is a kept one of a tunnel too, a person would see this
// answer. So who navigates is sent to where they were going, which ends this connection, until the
// browser has none left but new ones.
static enum step misdirected(
	struct visitor *visitor, const struct http_head *head, struct span rest)
{
	if (visitor->x.form != FORM_HTML || head->path.n == 0 || head->path.p[0] != '/' ||
		mapping_names_a_host(head->path))
		return refuse_connection(visitor, CODE_MISDIRECTED, (struct span){NULL, 0});
	counter_add(&visitor->relay->counters->refused[CODE_MISDIRECTED], 1);
	visitor->x.code = CODE_MISDIRECTED;
	visitor->x.keep_alive = false;
	visitor->unread = true;
	return redirect(visitor, 307, SPAN(""), "", head->path, rest);
}

static enum step refuse_parse(struct visitor *visitor, int outcome, const char *why)
{
	enum code code = outcome == HTTP_TOO_LARGE ? CODE_HEAD_TOO_LARGE : CODE_BAD_REQUEST;
	char detail[PROBLEM_WHY_SIZE];
	return refuse_connection(visitor, code, problem_why(detail, why));
}

// Refuses the request in hand; what follows it stays with the connection.
static enum step refuse_with_rest(
	struct visitor *visitor, enum code code, struct span detail, struct span rest)
{
	if (buf_add_span(&visitor->stream.in, rest) < 0)
		return visitor_drop(visitor);
	return refuse(visitor, code, detail);
}

// Host, as far as it is known which connection the request will take.
static struct span authority_for(const struct visitor *visitor)
{
	struct span host = {NULL, 0};
	if (visitor->backend != NULL)
		host = channel_host(visitor->backend);
	return host.n > 0 ? host : visitor->relay->authority;
}

static enum step request_route(
	struct visitor *visitor, const struct http_head *head, struct route route, struct span rest)
{
	struct relay *relay = visitor->relay;
	struct exchange *x = &visitor->x;
	if ((route.rest.n == 0 || route.rest.p[0] != '/') && !head->upgrade && x->up.ended)
		return redirect_to_slash(visitor, &route, rest);
	const struct relay_origin *origin = &relay->origins[route.origin];
	x->origin = (uint8_t)route.origin;
	x->https = visitor->sender.tls ||
		   (origin->https && span_eq_nocase(head->authority, origin->host));
	x->tcp = is_tcp(visitor, head);
	x->upgrade = head->upgrade && x->up.ended && !x->tcp;
	struct access_verdict access = admit(visitor, head, &route);
	if (access.refused == CODE_NONE && notice_is_due(visitor, head))
		return refuse_for_notice(visitor);
	struct objection objection = object(visitor, head, &access);
	if (objection.code != CODE_NONE)
		return refuse_with_rest(visitor, objection.code, span_of(objection.detail), rest);

	bool strip = relay->config.prefix == PREFIX_STRIP && route.prefix.n > 0;
	x->outside = route.prefix.n == 0 || route.rest.n == 0 || route.rest.p[0] != '/';
	const struct mapping mapping = request_mapping(visitor);
	size_t n = rewrite_request(
		&(struct rewrite_request){
			.head = head,
			.mapping = &mapping,
			.path = strip ? route.rest : head->path,
			.prefix = strip ? route.prefix : (struct span){NULL, 0},
			.authority = authority_for(visitor),
			.peer = visitor->sender.peer,
			.https = x->https,
			.authorization = access.authorization,
			.upgrade = x->upgrade,
		},
		relay->head_out, RELAY_HEAD_OUT);
	if (n == 0)
		return refuse_with_rest(visitor, CODE_HEAD_TOO_LARGE, (struct span){NULL, 0}, rest);
	return forward(visitor, (struct span){relay->head_out, n}, rest);
}

enum step request_begin(struct visitor *visitor, char *bytes, size_t size, struct span rest)
{
	static struct http_head head; // 4 KiB, of use only within this call
	struct relay *relay = visitor->relay;
	const char *why = NULL;
	struct route route;
	visitor->scanned = 0;
	int r = http_request_parse(&head, bytes, size, &why);
	if (r != HTTP_OK)
		return refuse_parse(visitor, r, why);
	exchange_init(visitor, &head);
	visitor->sender = visitor->facts;
	forwarded_apply(&visitor->sender, &head, relay->trusted_proxies);
	if (request_log_on(&relay->log))
		exchange_log_begin(visitor, &head);
	if (route_find(visitor, &head, &route))
		return request_route(visitor, &head, route, rest);
	if (!is_own_stray(relay, &head))
		return misdirected(visitor, &head, rest);
	// Nobody follows a redirect of an upgrade.
	struct span prefix = {relay->prefix_text, relay->prefix_length};
	if (!head.upgrade)
		return redirect(visitor, 307, prefix, "", head.path, rest);
	route = (struct route){
		.origin = ORIGIN_PATH, .prefix = {head.path.p, 0}, .rest = head.path};
	return request_route(visitor, &head, route, rest);
}

// ---- dialling

// Through an agent, now or when there is one.
static enum step agent_dial(struct visitor *visitor)
{
	struct relay *relay = visitor->relay;
	int r = agents_connect(visitor);
	if (r == 0)
		return STEP_AGAIN;
	if (r < 0)
		return refuse(visitor, CODE_INTERNAL, (struct span){NULL, 0});
	dial_wait(relay, &visitor->dial);
	return visitor_deadline(visitor, relay->agent_grace_ms, STEP_WAIT);
}

enum step request_dial(struct visitor *visitor, uint8_t attempt)
{
	visitor->state = VISITOR_DIALING;
	if (tunnel_config_pull(&visitor->relay->config))
		return agent_dial(visitor);
	if (dial_start(visitor->relay, &visitor->dial, attempt) < 0)
		return refuse(visitor, CODE_INTERNAL, (struct span){NULL, 0});
	return visitor_deadline(visitor, visitor->relay->connect_timeout_ms, STEP_WAIT);
}

// The head that was kept, with the Host of the service this connection leads to: it was made before
// that was known. It may be put into OUT.
static struct span head_for(
	const struct backend *backend, const struct buf *kept, char out[RELAY_HEAD_OUT])
{
	struct span host = channel_host(backend);
	struct span head = buf_span(kept);
	size_t n = host.n > 0 ? rewrite_host(head, host, out, RELAY_HEAD_OUT) : 0;
	return n > 0 ? (struct span){out, n} : head;
}

static enum step connected(struct visitor *visitor)
{
	struct exchange *x = &visitor->x;
	if (x->tcp)
		return exchange_switch(visitor,
			SPAN("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
			     "Upgrade: tcp\r\nVia: " REWRITE_VIA "\r\n\r\n"),
			(struct span){NULL, 0});
	struct span lead = head_for(visitor->backend, &x->head, visitor->relay->head_out);
	struct buf head = x->head;
	bool bare = x->up.ended; // a body can be sent but once
	buf_init(&x->head, RELAY_HEAD_OUT);
	enum step step = exchange_begin(visitor, &(struct flow_start){.lead = lead});
	// An agent's connection may end at any time.
	bool again = bare && step != STEP_GONE && visitor->state == VISITOR_EXCHANGE &&
		     channel_is(visitor->backend);
	if (again)
		x->head = head;
	else
		buf_reset(&head);
	return step;
}

enum step request_step(struct visitor *visitor)
{
	if (visitor->backend == NULL)
		return STEP_WAIT; // for the supervisor
	int r = backend_check_connected(visitor->backend);
	if (r == BACKEND_CONNECTING)
		return STEP_WAIT;
	if (r == 0)
		return connected(visitor);
	visitor->backend = backend_free(visitor->backend);
	if (visitor->dial.attempt + 1 < visitor->dial.addresses)
		return request_dial(visitor, (uint8_t)(visitor->dial.attempt + 1));
	return refuse(visitor, r == -ETIMEDOUT ? CODE_BACKEND_TIMEOUT : CODE_BACKEND_REFUSED,
		(struct span){NULL, 0});
}
