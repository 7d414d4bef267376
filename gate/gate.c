// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "gate.h"

#include "http_head.h"
#include "stray.h"
#include "target.h"
#include "tunnel_config.h"

#include <stdarg.h>
#include <stdio.h>

enum {
	CONTROL_QUEUE_MAX = 16 * 1024, // log lines waiting for a busy supervisor
	LOG_WARNING = 1,
	LOG_LINE_MAX = 256,
	STOPPED_LOG_MS = 10000, // at most one line in this time says that accepting stops
};

struct tunnel {
	struct route route;
	struct outlet outlet;
	uint16_t listener; // its own, 0: none
};

static void log_line(struct gate *gate, unsigned level, const char *format, ...) PRINTF(3, 4);

// A line that does not fit the queue is lost.
static void log_line(struct gate *gate, unsigned level, const char *format, ...)
{
	char text[LOG_LINE_MAX];
	va_list ap;
	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	(void)ipc_post(&gate->control, MSG_LOG, -1, wire_uint(level), wire_str(span_of(text)));
}

// ---- tunnels

static struct tunnel *tunnel_find(const struct gate *gate, struct span id)
{
	struct route *route = routes_find(&gate->routes, id);
	return route != NULL ? container_of(route, struct tunnel, route) : NULL;
}

static struct tunnel *tunnel_new(struct gate *gate, struct span id)
{
	struct tunnel *tunnel = malloc(sizeof *tunnel);
	if (tunnel == NULL)
		return NULL;
	*tunnel = (struct tunnel){0};
	outlet_init(&tunnel->outlet, &gate->loop, ROLE_RELAY);
	if (routes_add(&gate->routes, &tunnel->route, id) < 0) {
		free(tunnel);
		return NULL;
	}
	return tunnel;
}

// LISTENER is its own from now on, and no other; 0: none is.
static void set_listener(struct gate *gate, struct tunnel *tunnel, uint16_t listener)
{
	if (tunnel->listener != 0)
		gate->by_listener[tunnel->listener] = NULL;
	if (listener != 0 && gate->by_listener[listener] != NULL)
		gate->by_listener[listener]->listener = 0;
	if (listener != 0)
		gate->by_listener[listener] = tunnel;
	tunnel->listener = listener;
}

// Visitors still parked get their answer, 410 or 404, from the API worker.
static void tunnel_free(struct gate *gate, struct tunnel *tunnel)
{
	routes_drop(&gate->routes, &tunnel->route);
	set_listener(gate, tunnel, 0);
	outlet_deinit(&tunnel->outlet, &gate->api);
	free(tunnel);
}

// The tunnel whose own this listener is, if there is one, else the one with this id.
static struct tunnel *tunnel_look(const struct gate *gate, uint16_t listener, struct span id)
{
	return listener != 0 ? gate->by_listener[listener] : tunnel_find(gate, id);
}

// A tunnel's 201 can reach its first visitor before we have looked at the message that announces
// the tunnel to us, so what waits on the control channel counts as known.
static struct tunnel *tunnel_look_now(struct gate *gate, uint16_t listener, struct span id)
{
	struct tunnel *tunnel = tunnel_look(gate, listener, id);
	uint64_t before;
	do {
		before = gate->messages;
		if (tunnel != NULL || !ipc_open(&gate->control) || !ipc_drain(&gate->control))
			return tunnel;
		tunnel = tunnel_look(gate, listener, id);
	} while (gate->messages != before);
	return tunnel;
}

// ---- visitors

// To the tunnel that a request which has strayed belongs to: an upgrade at once, as nobody follows
// a redirect of one, anything else by one, so that the browser sees where it is. Returns false when
// it belongs to none.
static bool route_stray(struct gate *gate, struct visitor *visitor, const struct http_head *request)
{
	const struct span ids[] = {stray_by_referer(request), stray_by_cookie(request).id};
	struct tunnel *tunnel = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(ids) && tunnel == NULL; i++)
		if (ids[i].n > 0)
			tunnel = tunnel_look_now(gate, 0, ids[i]);
	if (tunnel == NULL)
		return false;
	struct span id = {tunnel->route.id, tunnel->route.id_size};
	if (request->upgrade)
		outlet_offer(&tunnel->outlet, visitor);
	else
		visitor_redirect(visitor, 307, id, request->path);
	return true;
}

static void route_by_path(
	struct gate *gate, struct visitor *visitor, const struct http_head *request)
{
	struct target target = target_of(request->path);
	struct tunnel *tunnel =
		target.kind == TARGET_TUNNEL ? tunnel_look_now(gate, 0, target.id) : NULL;
	if (target.kind == TARGET_BARE)
		visitor_redirect(visitor, 308, (struct span){NULL, 0}, request->path);
	else if (target.kind == TARGET_TUNNEL || !stray_is(request) ||
		 !route_stray(gate, visitor, request))
		outlet_offer(tunnel != NULL ? &tunnel->outlet : &gate->api, visitor);
}

// On an origin of a tunnel's own everything is the tunnel's, but for our own few paths. ID: of that
// tunnel, when the listener does not say which it is.
static void route_to_own(struct gate *gate, struct visitor *visitor,
	const struct http_head *request, uint16_t listener, struct span id)
{
	struct tunnel *tunnel = tunnel_look_now(gate, listener, id);
	if (tunnel != NULL)
		id = (struct span){tunnel->route.id, tunnel->route.id_size};
	visitor_set_own(visitor, id);
	bool ours = request->path.p[0] != '/' || origin_path_is_ours(request->path);
	outlet_offer(tunnel != NULL && !ours ? &tunnel->outlet : &gate->api, visitor);
}

static void route_request(
	struct gate *gate, struct visitor *visitor, const struct http_head *request)
{
	enum listener_use use = visitor->facts.use;
	struct span id = origin_wildcard_id(gate->origins.url[ORIGIN_WILDCARD], request->authority);
	if (use == LISTENER_METRICS || use == LISTENER_CONTROL)
		outlet_offer(&gate->api, visitor);
	else if (request->method == HTTP_CONNECT)
		visitor_answer(visitor, CODE_BAD_REQUEST,
			SPAN("CONNECT is not for this server: a tunnel is reached by its path."));
	else if (use == LISTENER_PORT)
		route_to_own(
			gate, visitor, request, visitor->facts.listener, (struct span){NULL, 0});
	else if (id.n > 0)
		route_to_own(gate, visitor, request, 0, id);
	else
		route_by_path(gate, visitor, request);
}

static void on_complete(struct visitors *all, struct visitor *visitor, size_t size)
{
	static struct http_head request;
	struct gate *gate = container_of(all, struct gate, visitors);
	struct span bytes = visitor_bytes(visitor);
	const char *why = NULL;
	int outcome = http_request_parse(&request, bytes.p, size, &why);
	if (outcome == HTTP_OK) {
		// Pages are the API worker's; a person who meets us at our limits reads JSON.
		visitor->form = answer_form(&request) == FORM_STATUS ? FORM_STATUS : FORM_JSON;
		visitor->to_head = request.method == HTTP_HEAD;
		route_request(gate, visitor, &request);
	} else {
		visitor->to_head = span_starts(bytes, SPAN("HEAD "));
		char detail[PROBLEM_WHY_SIZE];
		visitor_answer(visitor,
			outcome == HTTP_TOO_LARGE ? CODE_HEAD_TOO_LARGE : CODE_BAD_REQUEST,
			problem_why(detail, why));
	}
}

static void on_arrived(struct acceptors *all, int fd, const struct facts *facts)
{
	visitor_arrive(&container_of(all, struct gate, acceptors)->visitors, fd, facts);
}

static bool on_shed(struct acceptors *all)
{
	return visitors_shed(&container_of(all, struct gate, acceptors)->visitors);
}

static void on_stopped(struct acceptors *all, int error)
{
	struct gate *gate = container_of(all, struct gate, acceptors);
	struct instant now = gate->loop.now;
	if (!instant_reached(now, instant_add_ms(gate->stopped_last, STOPPED_LOG_MS)))
		return;
	gate->stopped_last = now;
	log_line(gate, LOG_WARNING, "accepting stops for a moment: %s", strerror(error));
}

// ---- metrics

// Besides tunnels, listeners and visitors: standard streams, epoll, the three channels.
enum { DESCRIPTORS_ALWAYS = 7 };

static void on_report(struct loop_timer *timer)
{
	struct gate *gate = container_of(timer, struct gate, visitors.report);
	struct visitors *v = &gate->visitors;
	size_t descriptors = DESCRIPTORS_ALWAYS + gate->acceptors.n + gate->acceptors.n_reserve +
			     gate->routes.n + v->reading.n + v->n_parked + v->closing.n;
	int r = ipc_post(&gate->control, MSG_GATE_COUNTS, -1, wire_uint(v->counts.accepted),
		wire_uint(v->counts.cut), wire_uint(v->counts.refused[CODE_BAD_REQUEST]),
		wire_uint(v->counts.refused[CODE_HEAD_TOO_LARGE]),
		wire_uint(v->counts.refused[CODE_REQUEST_TIMEOUT]),
		wire_uint(v->counts.refused[CODE_DRAINING]), wire_uint(v->reading.n),
		wire_uint(v->n_parked), wire_uint(v->closing.n), wire_uint(descriptors));
	if (r == IPC_SENT)
		v->counts = (struct visitor_counts){0};
	// Who waits now is told again when it has changed, also when nothing else happens.
	if (r != IPC_SENT || v->reading.n + v->n_parked + v->closing.n > 0)
		visitors_counted(v);
}

// ---- control channel

static int handle_origins(struct ipc_channel *channel, struct ipc_message *message)
{
	struct gate *gate = container_of(channel, struct gate, control);
	gate->messages++;
	origins_read(&gate->origins, message->fields);
	return 0;
}

static int handle_setup(struct ipc_channel *channel, struct ipc_message *message)
{
	struct gate *gate = container_of(channel, struct gate, control);
	gate->messages++;
	gate->visitors.head_timeout_ms = (int64_t)message->fields[0].number;
	gate->visitors.max_waiting = MAX(message->fields[1].number, 1);
	gate->visitors.max_parked = message->fields[3].number;
	gate->visitors.park_ms = (int64_t)message->fields[4].number;
	channel->phase = PHASE_RUN;
	request_log_init(&gate->visitors.log, &gate->loop, channel, &gate->batch,
		(uint32_t)message->fields[2].number);
	visitors_counted(&gate->visitors); // tells its descriptors
	return 0;
}

static int handle_listener(struct ipc_channel *channel, struct ipc_message *message)
{
	struct gate *gate = container_of(channel, struct gate, control);
	gate->messages++;
	const struct facts facts = {
		.listener = (uint16_t)message->fields[0].number,
		.use = (enum listener_use)message->fields[1].number,
		.proxy = message->fields[2].number != 0,
	};
	return acceptors_add(&gate->acceptors, take_fd(&message->fd), &facts);
}

static int handle_route_add(struct ipc_channel *channel, struct ipc_message *message)
{
	struct gate *gate = container_of(channel, struct gate, control);
	struct span id = message->fields[0].bytes;
	gate->messages++;
	if (!tunnel_id_ok(id))
		return -EBADMSG;
	struct tunnel *tunnel = tunnel_find(gate, id);
	// A missing route costs its tunnel all its visitors: half-open connections go first.
	while (tunnel == NULL && (tunnel = tunnel_new(gate, id)) == NULL)
		if (!visitors_shed(&gate->visitors))
			return -ENOMEM;
	set_listener(gate, tunnel, (uint16_t)message->fields[1].number);
	visitors_counted(&gate->visitors);
	return outlet_connect(&tunnel->outlet, take_fd(&message->fd));
}

static int handle_route_drop(struct ipc_channel *channel, struct ipc_message *message)
{
	struct gate *gate = container_of(channel, struct gate, control);
	gate->messages++;
	struct tunnel *tunnel = tunnel_find(gate, message->fields[0].bytes);
	if (tunnel != NULL)
		tunnel_free(gate, tunnel);
	visitors_counted(&gate->visitors);
	return 0;
}

static const struct ipc_handling control_table[] = {
	{MSG_ORIGINS, handle_origins},
	{MSG_GATE_SETUP, handle_setup},
	{MSG_LISTENER, handle_listener},
	{MSG_ROUTE_ADD, handle_route_add},
	{MSG_ROUTE_DROP, handle_route_drop},
};

static const struct ipc_handlers control_handlers = {
	.self = ROLE_GATE,
	.peer = ROLE_SUPERVISOR,
	.table = control_table,
	.n = ARRAY_SIZE(control_table),
};

static void on_control_ended(struct ipc_channel *channel, const char *why)
{
	loop_stop(&container_of(channel, struct gate, control)->loop, GATE_EXIT_CONTROL);
}

static void on_control_exhausted(struct ipc_channel *channel, const struct ipc_message *lost)
{
	loop_stop(&container_of(channel, struct gate, control)->loop, GATE_EXIT_LOST);
}

// ---- streams of edges

static int handle_stream(struct ipc_channel *channel, struct ipc_message *message)
{
	struct gate *gate = container_of(channel, struct gate, edges);
	const struct wire_value *fields = message->fields;
	struct facts facts = {
		.listener = (uint16_t)fields[1].number,
		.use = (enum listener_use)fields[2].number,
		.local = true,
		.tls = true,
	};
	memcpy(facts.peer, fields[0].bytes.p, PEER_SIZE);
	if (ipc_check_stream(message->fd, false) != IPC_STREAM_LOCAL)
		return -EBADMSG;
	visitor_arrive_by_edge(&gate->visitors, take_fd(&message->fd), &facts, fields[3].bytes);
	return 0;
}

static const struct ipc_handling edges_table[] = {{MSG_STREAM, handle_stream}};

static const struct ipc_handlers edges_handlers = {
	.self = ROLE_GATE,
	.peer = ROLE_EDGE,
	.table = edges_table,
	.n = ARRAY_SIZE(edges_table),
};

static void on_edges_ended(struct ipc_channel *channel, const char *why)
{
	struct gate *gate = container_of(channel, struct gate, edges);
	if (ipc_open(channel))
		log_line(gate, LOG_WARNING, "an edge sent what it must not: %s", why);
}

// The visitor is lost. Those that come next find room.
static void on_edges_exhausted(struct ipc_channel *channel, const struct ipc_message *lost)
{
	visitors_shed(&container_of(channel, struct gate, edges)->visitors);
}

static int edges_init(struct gate *gate)
{
	int r = ipc_init(&gate->edges, &gate->loop, GATE_EDGES_FD, &edges_handlers, 0,
		IPC_SHARED | IPC_ANY_EPOCH | IPC_EXCLUSIVE, 0);
	gate->edges.phase = PHASE_RUN;
	gate->edges.ended = on_edges_ended;
	gate->edges.exhausted = on_edges_exhausted;
	return r;
}

// ---- life

int gate_init(struct gate *gate, uint32_t epoch, unsigned reached)
{
	*gate = (struct gate){0};
	int r = loop_init(&gate->loop);
	if (r < 0)
		return r;
	// Nothing was logged yet.
	gate->stopped_last = instant_add_ms(gate->loop.now, -STOPPED_LOG_MS);
	routes_init(&gate->routes);
	visitors_init(&gate->visitors, &gate->loop);
	gate->visitors.complete = on_complete;
	gate->visitors.report.expired = on_report;
	outlet_init(&gate->api, &gate->loop, ROLE_API);
	r = outlet_connect(&gate->api, GATE_API_FD);
	if (r == 0)
		r = edges_init(gate);
	if (r == 0)
		r = acceptors_init(&gate->acceptors, &gate->loop);
	if (r < 0)
		return r;
	gate->acceptors.arrived = on_arrived;
	gate->acceptors.shed = on_shed;
	gate->acceptors.stopped = on_stopped;
	r = ipc_init(&gate->control, &gate->loop, IPC_FIRST_FD, &control_handlers, epoch, 0,
		CONTROL_QUEUE_MAX);
	if (r < 0)
		return r;
	gate->control.ended = on_control_ended;
	gate->control.exhausted = on_control_exhausted;
	r = ipc_post(&gate->control, MSG_READY, -1, wire_uint(reached));
	return r < 0 ? r : 0;
}

int gate_run(struct gate *gate)
{
	int status = loop_run(&gate->loop);
	return status < 0 ? GATE_EXIT_LOOP : status;
}
