// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "edge.h"

#include "backend.h"
#include "tickets.h"

#include <openssl/rand.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

enum {
	CONTROL_QUEUE_MAX = 16 * 1024, // log lines waiting for a busy supervisor
	LOG_ERROR = 0,
	LOG_WARNING = 1,
	LOG_LINE_MAX = 256,
	STOPPED_LOG_MS = 10000, // at most one line in this time says that accepting stops
};

static void log_line(struct edge *edge, unsigned level, const char *format, ...) PRINTF(3, 4);

// A line that does not fit the queue is lost.
static void log_line(struct edge *edge, unsigned level, const char *format, ...)
{
	char text[LOG_LINE_MAX];
	va_list ap;
	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	(void)ipc_post(&edge->control, MSG_LOG, -1, wire_uint(level), wire_str(span_of(text)));
}

// ---- visitors

static void on_arrived(struct acceptors *all, int fd, const struct facts *facts)
{
	struct edge *edge = container_of(all, struct edge, acceptors);
	session_begin(&edge->sessions, fd, contexts_accept(&edge->contexts), facts);
}

static bool on_shed(struct acceptors *all)
{
	return sessions_shed(&container_of(all, struct edge, acceptors)->sessions);
}

static void on_stopped(struct acceptors *all, int error)
{
	struct edge *edge = container_of(all, struct edge, acceptors);
	struct instant now = edge->loop.now;
	if (!instant_reached(now, instant_add_ms(edge->stopped_last, STOPPED_LOG_MS)))
		return;
	edge->stopped_last = now;
	log_line(edge, LOG_WARNING, "accepting stops for a moment: %s", strerror(error));
}

// ---- metrics

// Besides listeners and streams: standard streams, epoll, the two channels, the authorities.
enum { DESCRIPTORS_ALWAYS = 7 };

static void on_report(struct loop_timer *timer)
{
	struct edge *edge = container_of(timer, struct edge, sessions.report);
	struct sessions *s = &edge->sessions;
	size_t descriptors = DESCRIPTORS_ALWAYS + edge->acceptors.n + edge->acceptors.n_reserve +
			     s->n_handshakes + s->n_offered + 2 * (s->n_open + backend_count());
	int r = ipc_post(&edge->control, MSG_EDGE_COUNTS, -1, wire_uint(s->counts.completed),
		wire_uint(s->counts.failed), wire_uint(s->n_handshakes), wire_uint(s->n_offered),
		wire_uint(s->n_open), wire_uint(descriptors));
	if (r == IPC_SENT)
		s->counts = (struct session_counts){0};
	else
		sessions_counted(s);
}

// ---- control channel

static struct edge *edge_of(struct ipc_channel *channel)
{
	return container_of(channel, struct edge, control);
}

static int handle_setup(struct ipc_channel *channel, struct ipc_message *message)
{
	struct sessions *sessions = &edge_of(channel)->sessions;
	sessions->handshake_timeout_ms = (int64_t)message->fields[0].number;
	sessions->max_handshakes = MAX(message->fields[1].number, 1);
	channel->phase = PHASE_RUN;
	sessions_counted(sessions); // tells its descriptors
	return 0;
}

static int handle_listener(struct ipc_channel *channel, struct ipc_message *message)
{
	const struct facts facts = {
		.listener = (uint16_t)message->fields[0].number,
		.use = (enum listener_use)message->fields[1].number,
		.proxy = message->fields[2].number != 0,
	};
	return acceptors_add(&edge_of(channel)->acceptors, take_fd(&message->fd), &facts);
}

static int handle_key(struct ipc_channel *channel, struct ipc_message *message)
{
	struct edge *edge = edge_of(channel);
	const struct wire_value *f = message->fields;
	const char *why = "";
	int r = contexts_add(
		&edge->contexts, f[0].number, f[1].number, f[2].bytes, message->fd, &why);
	if (r == CONTEXTS_INVALID)
		log_line(edge, LOG_ERROR, "a certificate is of no use: %s", why);
	return MIN(r, 0);
}

static int handle_ticket_keys(struct ipc_channel *channel, struct ipc_message *message)
{
	tickets_set_keys(message->fields[0].bytes, message->fields[1].bytes);
	return 0;
}

static int handle_dial(struct ipc_channel *channel, struct ipc_message *message)
{
	return backend_begin(channel, message, EDGE_ROOTS_FD);
}

static const struct ipc_handling control_table[] = {
	{MSG_EDGE_SETUP, handle_setup},
	{MSG_LISTENER, handle_listener},
	{MSG_EDGE_KEY, handle_key},
	{MSG_TICKET_KEYS, handle_ticket_keys},
	{MSG_EDGE_DIAL, handle_dial},
};

static const struct ipc_handlers control_handlers = {
	.self = ROLE_EDGE,
	.peer = ROLE_SUPERVISOR,
	.table = control_table,
	.n = ARRAY_SIZE(control_table),
};

static const struct ipc_handlers gates_handlers = {.self = ROLE_EDGE, .peer = ROLE_GATE};

static void on_control_ended(struct ipc_channel *channel, const char *why)
{
	loop_stop(channel->loop, EDGE_EXIT_CONTROL);
}

static void on_control_exhausted(struct ipc_channel *channel, const struct ipc_message *lost)
{
	loop_stop(channel->loop, EDGE_EXIT_LOST);
}

// ---- channel to the gates

static void on_gates_ended(struct ipc_channel *channel, const char *why)
{
	loop_stop(channel->loop, EDGE_EXIT_CONTROL); // the supervisor's spare is gone as well
}

static void on_gates_writable(struct ipc_channel *channel)
{
	sessions_offer_again(&container_of(channel, struct edge, gates)->sessions);
}

// ---- life

int edge_prepare(void)
{
	uint8_t byte;
	// Dates in certificates are UTC, but libc looks for the time zone all the same.
	if (setenv("TZ", "UTC0", 1) < 0)
		return -errno;
	tzset();
	// No configuration file: what is spoken is decided here. Random numbers and a context make
	// it fetch its algorithms.
	if (OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1 || RAND_bytes(&byte, 1) != 1)
		return -ENOMEM;
	SSL_CTX *context = SSL_CTX_new(TLS_method());
	if (context == NULL)
		return -ENOMEM;
	SSL_CTX_free(context);
	return 0;
}

static int channels_init(struct edge *edge, uint32_t epoch)
{
	int r = ipc_init(
		&edge->gates, &edge->loop, EDGE_GATES_FD, &gates_handlers, 0, IPC_SEND_ONLY, 0);
	if (r < 0)
		return r;
	edge->gates.phase = PHASE_RUN;
	edge->gates.ended = on_gates_ended;
	edge->gates.writable = on_gates_writable;
	r = ipc_init(&edge->control, &edge->loop, IPC_FIRST_FD, &control_handlers, epoch, 0,
		CONTROL_QUEUE_MAX);
	edge->control.ended = on_control_ended;
	edge->control.exhausted = on_control_exhausted;
	return r;
}

int edge_init(struct edge *edge, uint32_t epoch, unsigned reached)
{
	*edge = (struct edge){0};
	int r = loop_init(&edge->loop);
	if (r < 0)
		return r;
	// Nothing was logged yet.
	edge->stopped_last = instant_add_ms(edge->loop.now, -STOPPED_LOG_MS);
	sessions_init(&edge->sessions, &edge->loop, &edge->gates);
	edge->sessions.report.expired = on_report;
	r = channels_init(edge, epoch);
	if (r == 0)
		r = acceptors_init(&edge->acceptors, &edge->loop);
	if (r < 0)
		return r;
	edge->acceptors.arrived = on_arrived;
	edge->acceptors.shed = on_shed;
	edge->acceptors.stopped = on_stopped;
	return MIN(ipc_post(&edge->control, MSG_READY, -1, wire_uint(reached)), 0);
}

int edge_run(struct edge *edge)
{
	int status = loop_run(&edge->loop);
	return status < 0 ? EDGE_EXIT_LOOP : status;
}
