// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Routes go out in the order in which tunnels come to life: each gate has a cursor in the list of
// the living. A route carries a descriptor, so it is only sent when nothing waits in the gate's
// queue; what the queue has room for is the loss of all routes at once.
//
// A new gate gets its listeners after the routes of all living tunnels: visitors wait for it, and
// one that it does not know a route for would be told that there is no such tunnel.

#include "gate_channel.h"

#include "origins.h"
#include "request_lines.h"
#include "spawn.h"
#include "supervisor.h"

enum {
	GATE_API_FD = 4,
	GATE_EDGES_FD = 5,
	DROP_SIZE = 64,   // more than a ROUTE_DROP has
	SETUPS = 4,       // messages besides them
	NOTHING_LEFT = 2, // no enum ipc_outcome
};

static struct gate *gate_of(struct ipc_channel *channel)
{
	struct process *process = container_of(channel, struct process, control);
	struct child *child = container_of(process, struct child, process);
	return container_of(child, struct gate, child);
}

// ---- telling it

static void set_stall(struct gate *gate)
{
	struct loop *loop = &gate->child.supervisor->loop;

	if (gate->stall.place == 0 &&
		loop_timer_set(loop, &gate->stall, instant_add_ms(loop->now, GATE_STALL_MS)) < 0)
		process_kill(&gate->child.process);
}

static void on_stall(struct loop_timer *timer)
{
	struct gate *gate = container_of(timer, struct gate, stall);

	process_log(&gate->child.process, LOG_ERROR, "does not read its channel");
	process_kill(&gate->child.process);
}

// Sends the next route or, behind the routes there were at its start, the next listener. Returns
// what ipc_send() does, or NOTHING_LEFT.
static int tell_next(struct gate *gate)
{
	const struct supervisor *supervisor = gate->child.supervisor;
	struct ipc_channel *control = &gate->child.process.control;
	struct tunnel *tunnel = gate->cursor.next;

	const struct listeners *listeners = &supervisor->listeners;
	while (tunnel == NULL && gate->n_listeners < listeners->n &&
		listeners->entries[gate->n_listeners].tls)
		gate->n_listeners++; // edges have those
	if (tunnel == NULL && gate->n_listeners == listeners->n)
		return NOTHING_LEFT;
	if (tunnel == NULL) {
		size_t i = gate->n_listeners;
		const struct listener_entry *entry = &supervisor->listeners.entries[i];
		int r = ipc_post(control, MSG_LISTENER, entry->fd, wire_uint(i),
			wire_uint(entry->use), wire_bool(entry->proxy));
		gate->n_listeners += r == IPC_SENT;
		return r;
	}
	if (tunnel_over(tunnel)) {
		gate->cursor.next = TAILQ_NEXT(tunnel, link);
		return IPC_SENT;
	}
	// One whose next relay is not there, or not inspected, comes to the end of the list with
	// that; until then its visitors wait at a channel that leads nowhere.
	int fd = tunnel->state == TUNNEL_LIVE ? tunnel->visitors_fd : supervisor->gates.dead_end;
	int r = ipc_post(control, MSG_ROUTE_ADD, fd, wire_str(span_of(tunnel->id)),
		wire_uint(tunnel->listener));
	if (r == IPC_SENT)
		gate->cursor.next = TAILQ_NEXT(tunnel, link);
	return r;
}

// Sends until all is told or the gate's socket is full. A route for which there is no descriptor or
// memory to queue it waits in the list, as long as for a full socket.
static void tell(struct gate *gate)
{
	struct ipc_channel *control = &gate->child.process.control;
	int r = IPC_SENT;

	while (r == IPC_SENT && control->queued == 0) {
		r = tell_next(gate);
		if (r == IPC_SENT || r == NOTHING_LEFT)
			loop_timer_clear(control->loop, &gate->stall);
	}
	if (control->queued > 0 || r == IPC_FULL || r == -ENOMEM) {
		ipc_want_writable(control);
		set_stall(gate);
	} else if (r != NOTHING_LEFT && r != -EPIPE) {
		process_log(&gate->child.process, LOG_ERROR, "cannot be given a route");
		process_kill(&gate->child.process);
	}
}

static void on_writable(struct ipc_channel *channel)
{
	tell(gate_of(channel));
}

void gates_route_add(struct gates *gates)
{
	for (size_t i = 0; i < gates->n; i++)
		if (child_ready(&gates->items[i].child))
			tell(&gates->items[i]);
}

void gates_route_drop(struct gates *gates, const char *id)
{
	for (size_t i = 0; i < gates->n; i++) {
		struct gate *gate = &gates->items[i];
		if (!child_ready(&gate->child))
			continue;
		struct ipc_channel *control = &gate->child.process.control;
		int r = ipc_post(control, MSG_ROUTE_DROP, -1, wire_str(span_of(id)));
		if (r == IPC_FULL || r == -ENOMEM) {
			process_log(&gate->child.process, LOG_ERROR, "does not read its channel");
			process_kill(&gate->child.process);
		} else if (control->queued > 0) {
			ipc_want_writable(control);
			set_stall(gate);
		}
	}
}

// ---- what it tells

static int on_counts(struct ipc_channel *channel, struct ipc_message *message)
{
	static const enum code codes[] = {
		CODE_BAD_REQUEST, CODE_HEAD_TOO_LARGE, CODE_REQUEST_TIMEOUT, CODE_DRAINING};
	struct gate *gate = gate_of(channel);
	struct metrics *now = &gate->child.supervisor->tally.now;
	const struct wire_value *field = message->fields;

	now->accepted += (field++)->number;
	now->cut += (field++)->number;
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
		now->gate_refusals[codes[i]] += (field++)->number;
	for (size_t i = 0; i < METRICS_WAITS; i++)
		gate->waiting[i] = (field++)->number;
	gate->descriptors = field->number;
	return 0;
}

// ---- life

static const struct ipc_handling handling[] = {
	{MSG_READY, child_on_ready},
	{MSG_LOG, process_on_log},
	{MSG_REQUESTS, request_lines_on_message},
	{MSG_GATE_COUNTS, on_counts},
};

static const struct ipc_handlers handlers = {
	.self = ROLE_SUPERVISOR,
	.peer = ROLE_GATE,
	.table = handling,
	.n = ARRAY_SIZE(handling),
};

static void describe(struct child *child, struct process_request *request)
{
	struct supervisor *supervisor = child->supervisor;
	static struct spawn_fd fds[2];

	edges_mend_streams(&supervisor->edges);
	fds[0] = (struct spawn_fd){supervisor->api.visitors_in, GATE_API_FD};
	fds[1] = (struct spawn_fd){supervisor->edges.streams_out, GATE_EDGES_FD};
	request->role = ROLE_GATE;
	request->handlers = &handlers;
	request->queue_max = (SETUPS + supervisor->options->max_tunnels) * DROP_SIZE;
	request->uid = supervisor_uid(supervisor, UID_GATE);
	request->root_fd = supervisor->void_fd;
	request->fds = fds;
	request->n_fds = ARRAY_SIZE(fds);
}

static int ready(struct child *child)
{
	struct gate *gate = container_of(child, struct gate, child);
	struct supervisor *supervisor = child->supervisor;
	struct ipc_channel *control = &child->process.control;
	int r = origins_send(&child->process);

	if (r != IPC_SENT)
		return r;
	r = ipc_post(control, MSG_GATE_SETUP, -1,
		wire_uint((uint64_t)supervisor->options->head_timeout * 1000),
		wire_uint(supervisor->options->max_pending),
		wire_uint(request_lines_rate(supervisor->options)),
		wire_uint(supervisor->options->max_pending_per_tunnel),
		wire_uint((uint64_t)supervisor->options->pending_timeout * 1000));

	if (r != IPC_SENT)
		return r;
	control->writable = on_writable;
	gate->n_listeners = 0;
	tunnels_cursor_start(&supervisor->tunnels, &gate->cursor, LIST_LIVING);
	tell(gate);
	return IPC_SENT;
}

static void gone(struct child *child)
{
	struct gate *gate = container_of(child, struct gate, child);

	loop_timer_clear(&child->supervisor->loop, &gate->stall);
	memset(gate->waiting, 0, sizeof gate->waiting);
	gate->descriptors = 0;
}

static const struct child_kind kind = {.describe = describe, .ready = ready, .gone = gone};

size_t gates_count(const struct options *options)
{
	return options->gates > 0 ? options->gates : MIN(child_cores(), (size_t)GATES_MAX);
}

int gates_init(struct gates *gates, struct supervisor *supervisor, size_t n)
{
	int pair[2];
	int r = ipc_pair(pair);

	if (r < 0)
		return r;
	close(pair[1]);
	gates->dead_end = pair[0];
	gates->items = calloc(n, sizeof *gates->items);
	if (gates->items == NULL)
		return -ENOMEM;
	gates->n = n;
	for (size_t i = 0; i < n; i++) {
		struct gate *gate = &gates->items[i];
		child_init(&gate->child, supervisor, &kind);
		gate->stall.expired = on_stall;
		tunnels_cursor_init(&supervisor->tunnels, &gate->cursor, LIST_LIVING);
	}
	return 0;
}

void gates_start(struct gates *gates)
{
	for (size_t i = 0; i < gates->n; i++)
		child_start(&gates->items[i].child);
}

bool gates_proven(const struct gates *gates)
{
	for (size_t i = 0; i < gates->n; i++)
		if (!gates->items[i].child.proven)
			return false;
	return true;
}

void gates_kill(struct gates *gates)
{
	for (size_t i = 0; i < gates->n; i++)
		process_kill(&gates->items[i].child.process);
}
