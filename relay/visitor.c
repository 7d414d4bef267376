// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "visitor.h"

#include "relay.h"

#include <assert.h>

enum {
	DRAIN_MAX = 256 * 1024, // bytes of a refused request that are read and thrown away
	TICK_MS = 250,          // while closing or delivering
	LINGER_TICKS = 8,       // how long a peer may take to close after us
	READ_LEAST = 4096,      // room made for more of a head
	STEPS_MAX = 64,         // before others get their turn
};

// ---- life

static void on_ready(struct loop_watch *watch, uint32_t events)
{
	struct visitor *visitor = container_of(watch, struct visitor, stream.watch);
	stream_note(&visitor->stream, events);
	visitor_step(visitor);
}

static void on_task(struct loop_task *task)
{
	visitor_step(container_of(task, struct visitor, task));
}

static void on_timer(struct loop_timer *timer);

static struct visitor *visitor_new(struct relay *relay, int fd, enum stream_socket kind)
{
	struct visitor *visitor = calloc(1, sizeof *visitor);
	if (visitor == NULL) {
		close(fd);
		return NULL;
	}
	visitor->relay = relay;
	visitor->timer.expired = on_timer;
	visitor->task.run = on_task;
	if (stream_open(&visitor->stream, &relay->loop, fd, kind, on_ready) < 0) {
		free(visitor);
		return NULL;
	}
	counter_add(&relay->counters->connections, 1);
	counter_add(&relay->counters->open, 1);
	relay_descriptor_taken(relay);
	return visitor;
}

static void exchange_deinit(struct visitor *visitor)
{
	struct exchange *x = &visitor->x;
	if (x->line != NULL)
		exchange_log_end(visitor);
	flow_deinit(&x->up, visitor->relay);
	flow_deinit(&x->down, visitor->relay);
	buf_reset(&x->head);
	if (x->accepted)
		budget_finished(&visitor->relay->budget);
	*x = (struct exchange){0};
	relay_check_budget(visitor->relay);
}

enum step visitor_drop(struct visitor *visitor)
{
	struct relay *relay = visitor->relay;
	dial_cancel(relay, &visitor->dial);
	loop_timer_clear(&relay->loop, &visitor->timer);
	loop_task_clear(&visitor->task);
	stream_close(&visitor->stream);
	visitor->backend = backend_free(visitor->backend);
	exchange_deinit(visitor);
	if (visitor->link.le_prev != NULL)
		LIST_REMOVE(visitor, link);
	counter_add(&relay->counters->open, UINT64_MAX); // minus one
	relay->n_admitted -= visitor->admitted;
	relay_descriptor_closed(relay);
	free(visitor);
	return STEP_GONE;
}

enum step visitor_deadline(struct visitor *visitor, uint32_t ms, enum step then)
{
	struct loop *loop = &visitor->relay->loop;
	if (loop_timer_set(loop, &visitor->timer, instant_add_ms(loop->now, ms)) < 0)
		return visitor_drop(visitor);
	return then;
}

// The exchange is over, but not for the budget: the end of the tunnel would cut what is on its way.
static void exchange_over(struct visitor *visitor)
{
	bool accepted = visitor->x.accepted;
	visitor->x.accepted = false;
	exchange_deinit(visitor);
	visitor->x.accepted = accepted;
}

enum step visitor_next(struct visitor *visitor)
{
	exchange_over(visitor);
	visitor->state = VISITOR_DELIVERING;
	visitor->scanned = 0;
	return STEP_AGAIN;
}

// ---- between two requests

static enum step delivering_step(struct visitor *visitor)
{
	struct relay *relay = visitor->relay;
	if (budget_requests_gone(&relay->budget))
		return visitor_finish(visitor); // none follows
	if (visitor->x.accepted && relay->config.max_requests > 0) {
		int r = stream_flush(&visitor->stream);
		if (r < 0)
			return visitor_drop(visitor);
		if (r == STREAM_PENDING || !stream_delivered(&visitor->stream))
			return visitor_deadline(visitor, TICK_MS, STEP_WAIT);
		if (visitor->stream.local && visitor->link.le_prev == NULL)
			LIST_INSERT_HEAD(&relay->leaving, visitor, link);
	}
	exchange_deinit(visitor);
	visitor->state = VISITOR_HEAD;
	return visitor_deadline(visitor, relay->idle_timeout_ms, STEP_AGAIN);
}

void visitors_leave(struct relay *relay)
{
	struct visitor *visitor;
	LIST_FOREACH(visitor, &relay->leaving, link)
	if (visitor->state == VISITOR_HEAD)
		(void)stream_leave(&visitor->stream);
}

// ---- the end

enum step visitor_finish(struct visitor *visitor)
{
	// What has been told the end of a byte relay may still have to be given the rest.
	if (visitor->backend != NULL && !visitor->backend->stream.shut)
		visitor->backend = backend_free(visitor->backend);
	visitor->unread |=
		!visitor->x.last || !visitor->x.up.ended || buf_len(&visitor->stream.in) > 0;
	exchange_over(visitor);
	visitor->state = VISITOR_CLOSING;
	visitor->ticks = 0;
	return visitor_deadline(visitor, TICK_MS, STEP_AGAIN);
}

// Reads and throws away what the peer still sends: closing with unread bytes would reset the
// connection and could destroy our last answer on its way.
static void drain(struct visitor *visitor)
{
	struct stream *stream = &visitor->stream;
	while (stream->readable && !stream->ended && visitor->drained < DRAIN_MAX) {
		ssize_t n = stream_read(stream, visitor->relay->scratch, RELAY_SCRATCH);
		if (n <= 0)
			return;
		visitor->drained += (size_t)n;
		visitor->unread = true;
	}
}

static enum step closing_step(struct visitor *visitor)
{
	struct stream *stream = &visitor->stream;
	int r = stream_flush(stream);
	if (r < 0)
		return visitor_drop(visitor);
	if (r == STREAM_PENDING)
		return STEP_WAIT;
	drain(visitor);
	bool over = stream->ended || stream->broken || (!visitor->unread && !stream->readable);
	if (stream->local || !over) {
		stream_finish(stream);
		over = stream->local || visitor->drained >= DRAIN_MAX ||
		       visitor->ticks >= LINGER_TICKS;
	}
	// SO_LINGER {1, 0} stays until the kernel has sent all but a first window: what it still
	// held after an orderly close would be delivered even when the tunnel is over.
	struct backend *backend = visitor->backend;
	if (backend != NULL)
		stream_finish(&backend->stream); // has been shut; an edge has to know more
	if (!over || !stream_may_close(stream) ||
		(backend != NULL && !stream_may_close(&backend->stream)))
		return STEP_WAIT;
	stream_set_orderly(stream);
	if (backend != NULL)
		stream_set_orderly(&backend->stream);
	return visitor_drop(visitor);
}

// ---- waiting for a request

static enum step refuse_head(struct visitor *visitor, int outcome)
{
	if (outcome == HTTP_TOO_LARGE)
		return refuse_connection(visitor, CODE_HEAD_TOO_LARGE, (struct span){NULL, 0});
	return refuse_connection(visitor, CODE_BAD_REQUEST, (struct span){NULL, 0});
}

// BYTES are all there is of the next request. Returns STEP_WAIT when its head is not complete: the
// caller keeps them.
static enum step feed(struct visitor *visitor, char *bytes, size_t n, bool *incomplete)
{
	size_t size = 0;
	int r = http_head_find(bytes, n, true, &visitor->scanned, &size);
	*incomplete = r == HTTP_MORE;
	if (r == HTTP_OK)
		return request_begin(visitor, bytes, size, (struct span){bytes + size, n - size});
	return r == HTTP_MORE ? STEP_WAIT : refuse_head(visitor, r);
}

static enum step keep(struct visitor *visitor, const char *bytes, size_t n)
{
	bool first = buf_len(&visitor->stream.in) == 0;
	if (buf_add(&visitor->stream.in, bytes, n) < 0)
		return visitor_drop(visitor);
	return first ? visitor_deadline(visitor, visitor->relay->head_timeout_ms, STEP_AGAIN)
		     : STEP_AGAIN;
}

// The bytes are taken out of the stream while a request is made of them: what follows its head is
// put back.
static enum step feed_buffered(struct visitor *visitor, bool *incomplete)
{
	struct buf in = visitor->stream.in;
	buf_init(&visitor->stream.in, in.cap);
	enum step step = feed(visitor, in.base + in.start, buf_len(&in), incomplete);
	if (*incomplete)
		visitor->stream.in = in;
	else
		buf_reset(&in);
	return step;
}

static enum step at_end_of_requests(struct visitor *visitor, ssize_t n)
{
	if (n == -EAGAIN)
		return STEP_WAIT;
	return n == 0 ? visitor_finish(visitor) : visitor_drop(visitor);
}

static enum step head_read(struct visitor *visitor)
{
	struct stream *stream = &visitor->stream;
	struct relay *relay = visitor->relay;
	bool incomplete;
	enum step step;
	if (!stream->readable)
		return STEP_WAIT;
	if (buf_len(&stream->in) > 0) {
		char *room = buf_room(&stream->in, READ_LEAST);
		ssize_t n = room != NULL ? stream_read(stream, room, READ_LEAST) : -ENOMEM;
		if (n <= 0)
			return at_end_of_requests(visitor, n);
		buf_added(&stream->in, (size_t)n);
		step = feed_buffered(visitor, &incomplete);
		return incomplete ? STEP_AGAIN : step; // READ_LEAST bytes need not be all there is
	}
	ssize_t n = stream_read(stream, relay->scratch, RELAY_SCRATCH);
	if (n <= 0)
		return at_end_of_requests(visitor, n);
	step = feed(visitor, relay->scratch, (size_t)n, &incomplete);
	return incomplete ? keep(visitor, relay->scratch, (size_t)n) : step;
}

static enum step head_step(struct visitor *visitor)
{
	int r = stream_flush(&visitor->stream);
	if (r < 0)
		return visitor_drop(visitor);
	if (r == STREAM_PENDING)
		return STEP_WAIT; // no further request before the last answer is out
	// Asked only when epoll has told of something: a request that needs it asks once more.
	struct backend *backend = visitor->backend;
	if (backend != NULL && (backend->stream.readable || backend->stream.broken) &&
		!backend_is_idle(backend))
		visitor->backend = backend_free(backend);
	if (visitor->scanned == 0 && buf_len(&visitor->stream.in) > 0) {
		bool incomplete; // sent behind the last request
		enum step step = feed_buffered(visitor, &incomplete);
		if (!incomplete)
			return step;
		step = visitor_deadline(visitor, visitor->relay->head_timeout_ms, STEP_WAIT);
		if (step != STEP_WAIT)
			return step;
	}
	return head_read(visitor);
}

// ---- steps

static enum step (*const steps[])(struct visitor *) = {
	[VISITOR_HEAD] = head_step,
	[VISITOR_DIALING] = request_step,
	[VISITOR_EXCHANGE] = exchange_step,
	[VISITOR_BYTES] = exchange_bytes_step,
	[VISITOR_DELIVERING] = delivering_step,
	[VISITOR_CLOSING] = closing_step,
};

// That is how an edge ends a connection whose end we have said.
static bool closed_by_edge(const struct visitor *visitor)
{
	return visitor->stream.local && visitor->state == VISITOR_CLOSING;
}

static void go_on(struct visitor *visitor, enum step step)
{
	for (int i = 0; step == STEP_AGAIN; i++) {
		if (i == STEPS_MAX) {
			loop_task_set(&visitor->relay->loop, &visitor->task);
			return;
		}
		if (visitor->stream.broken && !closed_by_edge(visitor))
			step = visitor_drop(visitor);
		else
			step = steps[visitor->state](visitor);
	}
}

void visitor_step(struct visitor *visitor)
{
	go_on(visitor, STEP_AGAIN);
}

static enum step connect_timed_out(struct visitor *visitor)
{
	struct relay *relay = visitor->relay;
	visitor->backend = backend_free(visitor->backend);
	dial_cancel(relay, &visitor->dial);
	if (tunnel_config_pull(&relay->config))
		return counter_get(&relay->counters->agents) == 0
			       ? refuse(visitor, CODE_AGENT_OFFLINE, (struct span){NULL, 0})
			       : refuse(visitor, CODE_TOO_MANY_CONNECTIONS,
					 SPAN("The agents take no more connections now."));
	if (visitor->dial.attempt + 1 < visitor->dial.addresses)
		return request_dial(visitor, (uint8_t)(visitor->dial.attempt + 1));
	return refuse(visitor, CODE_BACKEND_TIMEOUT,
		SPAN("The service did not accept a connection within connect_timeout."));
}

static enum step timed_out(struct visitor *visitor)
{
	switch (visitor->state) {
	case VISITOR_HEAD:
		if (buf_len(&visitor->stream.in) == 0)
			return visitor_finish(visitor);
		return refuse_connection(visitor, CODE_REQUEST_TIMEOUT,
			SPAN("The head of the request did not arrive within head_timeout."));
	case VISITOR_DIALING: return connect_timed_out(visitor);
	case VISITOR_CLOSING:
		if (visitor->ticks < LINGER_TICKS)
			visitor->ticks++;
		return visitor_deadline(visitor, TICK_MS, STEP_AGAIN);
	case VISITOR_EXCHANGE: return exchange_stalled(visitor);
	case VISITOR_DELIVERING: return STEP_AGAIN;
	case VISITOR_BYTES: break; // left over from an earlier state: no idle cut
	}
	return STEP_WAIT;
}

static void on_timer(struct loop_timer *timer)
{
	struct visitor *visitor = container_of(timer, struct visitor, timer);
	go_on(visitor, timed_out(visitor));
}

// ---- from outside

int visitor_on_message(struct ipc_channel *channel, struct ipc_message *message)
{
	struct relay *relay = container_of(channel, struct relay, visitors);
	const struct wire_value *fields = message->fields;
	int r = ipc_check_stream(message->fd, false);
	if (r < 0 || r == IPC_STREAM_OVER)
		return r < 0 ? r : 0;
	struct visitor *visitor = visitor_new(
		relay, take_fd(&message->fd), r == IPC_STREAM_LOCAL ? STREAM_LOCAL : STREAM_TCP);
	if (visitor == NULL)
		return 0; // no memory: this one is closed, others go on
	visitor->facts = visitor->sender = facts_read(fields);
	char *bytes = (char *)(uintptr_t)fields[FACTS_BYTES].bytes.p;
	bool incomplete;
	enum step step = feed(visitor, bytes, fields[FACTS_BYTES].bytes.n, &incomplete);
	if (incomplete)
		step = keep(visitor, bytes, fields[FACTS_BYTES].bytes.n);
	go_on(visitor, step);
	return 0;
}

void visitor_dialed(struct visitor *visitor, int fd)
{
	assert(visitor->state == VISITOR_DIALING);
	visitor->backend = backend_new(visitor, fd);
	if (visitor->backend == NULL)
		go_on(visitor, refuse(visitor, CODE_INTERNAL, (struct span){NULL, 0}));
	else
		visitor_step(visitor);
}

void visitor_dial_failed(struct visitor *visitor, enum dial_failure why)
{
	static const struct {
		enum code code;
		const char *detail;
	} answers[DIAL_FAILURES] = {
		[DIAL_REFUSED] = {CODE_BACKEND_REFUSED, NULL},
		[DIAL_TIMEOUT] = {CODE_BACKEND_TIMEOUT, NULL},
		[DIAL_FORBIDDEN] = {CODE_BACKEND_REFUSED,
			"The name of the service now leads to an address that tunnels may not use."},
		[DIAL_UNRESOLVED] = {CODE_BACKEND_REFUSED,
			"The name of the service behind this tunnel no longer resolves."},
		[DIAL_EXHAUSTED] = {CODE_TOO_MANY_CONNECTIONS, "The server is out of descriptors."},
		[DIAL_TLS] = {CODE_BACKEND_BAD_RESPONSE,
			"The service speaks no TLS, or none that is acceptable here (1.2 or 1.3)."},
		[DIAL_CERT_EXPIRED] = {CODE_BACKEND_BAD_RESPONSE,
			"The certificate of the service has expired, or is not valid yet."},
		[DIAL_CERT_NAME] = {CODE_BACKEND_BAD_RESPONSE,
			"The certificate of the service is for another name."},
		[DIAL_CERT_UNTRUSTED] = {CODE_BACKEND_BAD_RESPONSE,
			"Nobody who is trusted here (tls_roots) vouches for the certificate of the "
			"service."},
	};
	if (why < DIAL_REFUSED || why >= DIAL_FAILURES)
		why = DIAL_REFUSED;
	go_on(visitor, refuse(visitor, answers[why].code, span_of(answers[why].detail)));
}
