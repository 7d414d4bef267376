// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "events.h"

#include "answer.h"
#include "tunnel_json.h"
#include "worker.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>

static const char *const kind_names[EVENT_KINDS] = {
	[EVENT_CREATED] = "created", [EVENT_UPDATED] = "updated", [EVENT_ENDED] = "ended"};

static struct event_stream *stream_of(struct connection_waiter *waiter)
{
	return container_of(waiter, struct event_stream, waiter);
}

// ---- what is kept

// The event with this number, or NULL: it is not kept any more, or could not be.
static const struct event *find(const struct events *events, uint64_t number)
{
	if (number == 0 || number > events->last || events->last - number >= EVENTS_KEPT)
		return NULL;
	return events->kept[number % EVENTS_KEPT];
}

static void format_id(const struct events *events, uint64_t number, char out[EVENTS_ID_SIZE])
{
	snprintf(out, EVENTS_ID_SIZE, "%016" PRIx64 "-%" PRIu64, events->instance, number);
}

// The number of the event behind the one with this id, 0 when that is none of ours.
static uint64_t parse_id(const struct events *events, struct span id)
{
	char own[EVENTS_ID_SIZE];
	uint64_t number = 0;
	format_id(events, 0, own);
	struct span digits = {id.p, id.n};
	size_t prefix = strlen(own) - 1;
	if (id.n <= prefix || id.n >= EVENTS_ID_SIZE || memcmp(id.p, own, prefix) != 0)
		return 0;
	digits.p += prefix;
	digits.n -= prefix;
	for (size_t i = 0; i < digits.n; i++) {
		if (digits.p[i] < '0' || digits.p[i] > '9' || number > events->last)
			return 0;
		number = number * 10 + (uint64_t)(digits.p[i] - '0');
	}
	return number <= events->last ? number + 1 : 0;
}

static bool is_for(const struct event *event, const struct event_stream *stream)
{
	return stream->token[0] == '\0' || strcmp(event->token, stream->token) == 0;
}

// ---- a stream

static void on_over(struct connection_waiter *waiter, bool lost)
{
	struct event_stream *stream = stream_of(waiter);
	struct events *events = &stream->worker->events;
	TAILQ_REMOVE(&events->streams, stream, link);
	if (stream->counting)
		meters_unwatch(&events->meters);
	if (--events->n == 0)
		loop_timer_clear(&stream->worker->loop, &events->beat);
	free(stream);
	(void)lost;
}

// The first lines say where the stream begins: a client that loses it before the first event comes
// back to this place.
static int add_opening(struct event_stream *stream, struct buf *out)
{
	char id[EVENTS_ID_SIZE];
	if (stream->next == 0)
		return buf_printf(out, "retry: %d\n\n", EVENTS_RETRY_MS);
	format_id(&stream->worker->events, stream->next - 1, id);
	return buf_printf(out, "retry: %d\nid: %s\n\n", EVENTS_RETRY_MS, id);
}

static int add_reset(struct event_stream *stream, struct buf *out)
{
	const struct events *events = &stream->worker->events;
	char id[EVENTS_ID_SIZE];
	format_id(events, events->last, id);
	int r = buf_printf(out, "id: %s\nevent: reset\ndata: {}\n\n", id);
	if (r == 0)
		stream->next = events->last + 1;
	return r;
}

static int add_next(struct event_stream *stream, struct buf *out)
{
	const struct event *event = find(&stream->worker->events, stream->next);
	if (event == NULL)
		return add_reset(stream, out);
	int r = is_for(event, stream) ? buf_add(out, event->text, event->n) : 0;
	if (r == 0)
		stream->next++;
	return r;
}

static bool on_more(struct connection_waiter *waiter, struct buf *out)
{
	struct event_stream *stream = stream_of(waiter);
	const struct events *events = &stream->worker->events;
	size_t before = buf_len(out);
	int r = 0;
	if (!stream->opened) {
		r = add_opening(stream, out);
		stream->opened = r == 0;
	}
	while (r == 0 && stream->next <= events->last && buf_len(out) < EVENTS_AT_ONCE)
		r = add_next(stream, out);
	if (r == 0 && stream->next == 0)
		r = add_reset(stream, out);
	if (r == 0 && stream->counting)
		r = meters_tell(
			&events->meters, &stream->counted, stream->token, out, EVENTS_AT_ONCE);
	if (r == 0 && stream->beat && buf_len(out) == before)
		r = buf_printf(out, ":\n\n");
	stream->beat = false;
	return buf_len(out) > before; // what could not be added is tried again with the next event
}

static void on_beat(struct loop_timer *timer)
{
	struct events *events = container_of(timer, struct events, beat);
	struct event_stream *stream;
	TAILQ_FOREACH(stream, &events->streams, link)
	{
		stream->beat = true;
		connection_go_on(stream->connection);
	}
	// It was set: setting it again cannot fail.
	if (loop_timer_set(&events->worker->loop, timer,
		    instant_add_ms(instant_now(), EVENTS_BEAT_MS)) < 0)
		worker_log(events->worker, LOG_ERROR, "event streams are silent: out of memory");
}

// ---- beginning and end of one

// Scoped tokens leave a quarter of the streams to the owner, and each takes a quarter at most.
static bool has_place(const struct events *events, const char *token)
{
	unsigned max = (unsigned)events->worker->settings.max_event_streams;
	unsigned of_token = 0, scoped = 0;
	const struct event_stream *stream;
	TAILQ_FOREACH(stream, &events->streams, link)
	{
		scoped += stream->token[0] != '\0';
		of_token += token != NULL && strcmp(stream->token, token) == 0;
	}
	if (token == NULL)
		return events->n < max;
	return scoped < max - max / 4 && of_token < MAX(1, max / 4) && events->n < max;
}

static void refuse(struct events *events, struct connection *connection)
{
	char detail[128];
	int n = snprintf(detail, sizeof detail,
		"There are as many event streams as max_event_streams (%" PRIu64 ") allows you.",
		events->worker->settings.max_event_streams);
	struct problem problem = {.code = CODE_TOO_MANY_CONNECTIONS,
		.detail = {detail, (size_t)n},
		.retry_after = EVENTS_RETRY_MS / 1000};
	answer_problem_full(connection, &problem);
}

void events_open(struct events *events, struct connection *connection, const char *token,
	struct span last_id, bool counting)
{
	struct loop *loop = &events->worker->loop;
	struct instant due = instant_add_ms(instant_now(), EVENTS_BEAT_MS);
	if (!has_place(events, token)) {
		refuse(events, connection);
		return;
	}
	struct event_stream *stream = calloc(1, sizeof *stream);
	if (stream == NULL || (events->n == 0 && loop_timer_set(loop, &events->beat, due) < 0)) {
		free(stream);
		answer_problem(connection, CODE_INTERNAL, "Out of memory.");
		return;
	}
	stream->worker = events->worker;
	stream->connection = connection;
	stream->waiter = (struct connection_waiter){.over = on_over, .more = on_more};
	if (token != NULL)
		memcpy(stream->token, token, strnlen(token, sizeof stream->token - 1));
	stream->next = last_id.p != NULL ? parse_id(events, last_id) : events->last + 1;
	stream->counting = counting;
	TAILQ_INSERT_TAIL(&events->streams, stream, link);
	events->n++;
	if (counting)
		meters_watch(&events->meters);
	answer_stream(connection, "text/event-stream", &stream->waiter);
}

void events_token_ended(struct events *events, const char *token)
{
	struct event_stream *stream = TAILQ_FIRST(&events->streams);
	while (stream != NULL) {
		struct event_stream *next = TAILQ_NEXT(stream, link);
		if (strcmp(stream->token, token) == 0)
			connection_close(stream->connection);
		stream = next;
	}
}

// ---- counters

bool events_counted(const struct events *events, const char *token)
{
	const struct event_stream *stream;
	TAILQ_FOREACH(stream, &events->streams, link)
	{
		bool seen = stream->token[0] == '\0' || strcmp(stream->token, token) == 0;
		if (seen && stream->counting)
			return true;
	}
	return false;
}

void events_go_on(struct events *events)
{
	struct event_stream *stream;
	TAILQ_FOREACH(stream, &events->streams, link)
	connection_go_on(stream->connection);
}

// ---- events

// Returns NULL without memory.
static struct event *event_new(
	const struct events *events, enum event_kind kind, const struct tunnel *tunnel)
{
	const struct tunnel_view view = {.origins = &events->worker->settings.origins};
	CLEANUP(buf_reset) struct buf text;
	char id[EVENTS_ID_SIZE];
	buf_init(&text, TUNNEL_JSON_MAX);
	format_id(events, events->last, id);
	int r = buf_printf(&text, "id: %s\nevent: %s\ndata: ", id, kind_names[kind]);
	if (r == 0)
		r = tunnel_json(&text, tunnel, &view);
	if (r == 0)
		r = buf_printf(&text, "\n\n");
	struct event *event = r == 0 ? calloc(1, sizeof *event + buf_len(&text)) : NULL;
	if (event == NULL)
		return NULL;
	memcpy(event->token, tunnel->token, sizeof event->token);
	event->n = buf_len(&text);
	memcpy(event->text, buf_span(&text).p, event->n);
	return event;
}

void events_publish(struct events *events, enum event_kind kind, const struct tunnel *tunnel)
{
	struct event **place = &events->kept[++events->last % EVENTS_KEPT];
	free(*place);
	*place = event_new(events, kind, tunnel);
	events_go_on(events);
}

void events_publish_id(struct events *events, enum event_kind kind, const char *id)
{
	struct worker *worker = events->worker;
	struct tunnel tunnel;
	int r = store_tunnel_get(worker->store, span_of(id), &tunnel);
	if (r < 0)
		worker_log_store(worker, "reading a tunnel for an event", r);
	else if (r == 0 && tunnel.expires_at != 0)
		events_publish(events, kind, &tunnel);
}

// ----

int events_init(struct events *events, struct worker *worker)
{
	*events = (struct events){.worker = worker, .beat.expired = on_beat};
	TAILQ_INIT(&events->streams);
	meters_init(&events->meters, worker);
	ssize_t n = getrandom(&events->instance, sizeof events->instance, 0);
	return n == (ssize_t)sizeof events->instance ? 0 : -EIO;
}

void events_deinit(struct events *events)
{
	for (size_t i = 0; i < EVENTS_KEPT; i++)
		free(events->kept[i]);
}
