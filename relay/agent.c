// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "agent.h"

#include "channel.h"
#include "relay.h"

#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>

enum {
	ROUND_BYTES = 1024 * 1024, // read before other connections get their turn
	CLOSING_MS = 2000,         // for the peer to see our close frame and close
	CLOSING_BYTES = 1024 * 1024,
	PEER_WORDS_MAX = 60, // of a close reason, in our log
};

static struct agent *agent_of(struct mux *mux)
{
	return container_of(mux, struct agent, mux);
}

// ---- the end

static void agent_free(struct agent *agent)
{
	struct relay *relay = agent->relay;
	*agent->prev = agent->next;
	if (agent->next != NULL)
		agent->next->prev = agent->prev;
	relay->agents.n--;
	loop_timer_clear(&relay->loop, &agent->timer);
	loop_task_clear(&agent->task);
	mux_deinit(&agent->mux);
	stream_close(&agent->stream);
	relay_descriptor_closed(relay);
	free(agent);
	agents_left(relay);
}

// It takes part no more. Its streams end, and requests that may be sent again go to another agent
// or wait for one.
static void leave(struct agent *agent, const char *why)
{
	enum agent_state before = agent->state;
	agent->state = AGENT_CLOSING;
	if (before == AGENT_CLOSING)
		return;
	if (before != AGENT_GREETING)
		counter_add(&agent->relay->counters->agents, UINT64_MAX); // minus one
	relay_log(agent->relay, 2, "agent %s is gone: %s",
		agent->instance[0] != '\0' ? agent->instance : "without a name", why);
	mux_deinit(&agent->mux);
}

static void agent_lost(struct agent *agent, const char *why)
{
	leave(agent, why);
	agent_free(agent);
}

// Words of a peer in our log: no control characters, and not too many.
static void printable(char *text, size_t most)
{
	size_t i = 0;
	for (; text[i] != '\0' && i < most; i++)
		if ((unsigned char)text[i] < ' ' || (unsigned char)text[i] > '~')
			text[i] = '?';
	text[i] = '\0';
}

// The mux has ended: the close frame goes out, and has a while to arrive. Closing at once with
// unread bytes would reset the connection and could destroy it on its way.
static void agent_ended(struct agent *agent)
{
	struct loop *loop = &agent->relay->loop;
	char why[sizeof agent->mux.end.why + 32];
	int flushed = mux_flush(&agent->mux);
	printable(agent->mux.end.why, PEER_WORDS_MAX);
	snprintf(why, sizeof why, "%s%u %s", agent->mux.end.by_peer ? "it closed: " : "",
		agent->mux.end.code, agent->mux.end.why);
	bool dead = agent->mux.end.code == MUX_CLOSE_SILENT || flushed != 0;
	leave(agent, why);
	struct instant due = instant_add_ms(loop->now, CLOSING_MS);
	if (dead || stream_finish(&agent->stream) < 0 ||
		loop_timer_set(loop, &agent->timer, due) < 0) {
		agent_free(agent);
		return;
	}
	stream_set_orderly(&agent->stream);
}

void agent_close(struct agent *agent, uint16_t code, const char *why)
{
	if (agent->state == AGENT_CLOSING)
		return;
	mux_close(&agent->mux, code, why);
	agent_ended(agent);
}

// ---- reading and writing

// Goes on with the connection; it may be freed. R is what a call of the mux returned.
static bool went_on(struct agent *agent, int r)
{
	if (r == MUX_ENDED && agent->mux.end.ended) {
		agent_ended(agent);
		return false;
	}
	if (r < 0) {
		agent_lost(agent, r == -ENOMEM ? "out of memory" : "it cannot be written to");
		return false;
	}
	return true;
}

static bool receive(struct agent *agent)
{
	struct relay *relay = agent->relay;
	struct stream *stream = &agent->stream;
	for (size_t moved = 0; stream->readable;) {
		char *bytes;
		if (moved >= ROUND_BYTES) {
			loop_task_set(&relay->loop, &agent->task);
			break;
		}
		ssize_t n = stream_take(stream, relay->agents.in, AGENT_READ, &bytes);
		if (n == -EAGAIN)
			break;
		if (n <= 0) {
			agent_lost(
				agent, n == 0 ? "it ended the connection" : "the connection broke");
			return false;
		}
		moved += (size_t)n;
		if (!went_on(agent, mux_input(&agent->mux, bytes, (size_t)n)))
			return false;
	}
	return true;
}

static void drain(struct agent *agent)
{
	struct stream *stream = &agent->stream;
	char *bytes;
	while (stream->readable) {
		ssize_t n = stream_take(stream, agent->relay->scratch, RELAY_SCRATCH, &bytes);
		if (n == -EAGAIN)
			return;
		agent->drained += (size_t)MAX(n, 0);
		if (n <= 0 || agent->drained > CLOSING_BYTES) {
			agent_free(agent);
			return;
		}
	}
}

static void flush(struct agent *agent)
{
	int r = mux_flush(&agent->mux);
	if (r < 0)
		agent_lost(agent, "it cannot be written to");
	else if (agent->state == AGENT_REPLACED && agent->mux.n_streams == 0)
		agent_close(
			agent, MUX_CLOSE_REPLACED, "a newer connection of this instance is there");
}

static void on_ready(struct loop_watch *watch, uint32_t events)
{
	struct agent *agent = container_of(watch, struct agent, stream.watch);
	stream_note(&agent->stream, events);
	if (agent->state == AGENT_CLOSING)
		drain(agent);
	else if (receive(agent) && (events & EPOLLOUT))
		flush(agent);
}

static void on_task(struct loop_task *task)
{
	struct agent *agent = container_of(task, struct agent, task);
	struct relay *relay = agent->relay;
	if (agent->state == AGENT_CLOSING)
		return;
	if (!receive(agent))
		return;
	if (relay->dials.head != NULL)
		agents_serve(relay);
	flush(agent);
}

static void on_timer(struct loop_timer *timer)
{
	struct agent *agent = container_of(timer, struct agent, timer);
	struct loop *loop = &agent->relay->loop;
	switch (agent->state) {
	case AGENT_GREETING: agent_close(agent, MUX_CLOSE_SILENT, "no HELLO came in time"); return;
	case AGENT_CLOSING: agent_free(agent); return;
	case AGENT_READY:
	case AGENT_REPLACED: break;
	}
	int r = mux_ping(&agent->mux);
	if (r == 0)
		r = loop_timer_set(loop, timer, instant_add_ms(loop->now, MUX_PING_MS));
	(void)went_on(agent, r);
}

// ---- the mux

static ssize_t on_write(struct mux *mux, const struct iovec *pieces, int n)
{
	struct stream *stream = &agent_of(mux)->stream;
	return stream->writable ? stream_write(stream, pieces, n) : 0;
}

static void on_queued(struct mux *mux)
{
	struct agent *agent = agent_of(mux);
	loop_task_set(&agent->relay->loop, &agent->task);
}

static void text_copy(char *out, struct span text)
{
	if (text.n > 0)
		memcpy(out, text.p, text.n);
	out[text.n] = '\0';
	printable(out, text.n);
}

static void on_hello(struct mux *mux, const struct mux_message *hello)
{
	struct agent *agent = agent_of(mux);
	struct loop *loop = &agent->relay->loop;
	if (hello->host.n > 0 && !url_authority_ok(hello->host)) {
		mux_close(mux, WEBSOCKET_POLICY, "a HELLO with an invalid host");
		return;
	}
	text_copy(agent->instance, hello->instance);
	text_copy(agent->program, hello->agent);
	text_copy(agent->host, hello->host.n > 0 ? hello->host : SPAN("localhost"));
	struct instant due = instant_add_ms(loop->now, MUX_PING_MS);
	if (loop_timer_set(loop, &agent->timer, due) < 0) {
		mux_close(mux, WEBSOCKET_INTERNAL, "out of memory");
		return;
	}
	agent->state = AGENT_READY;
	counter_add(&agent->relay->counters->agents, 1);
	relay_log(agent->relay, 2, "agent %s (%s) is there", agent->instance, agent->program);
	agents_joined(agent);
}

static struct mux_stream *on_open(
	struct mux *mux, const struct mux_message *m, enum mux_reset *code)
{
	assert(false); // only relays open
	return NULL;
}

static void on_notice(struct mux *mux, const struct mux_message *notice)
{
	assert(false);
}

static const struct mux_handlers handlers = {
	.write = on_write,
	.queued = on_queued,
	.hello = on_hello,
	.open = on_open,
	.notice = on_notice,
	.data = channel_on_data,
	.fin = channel_on_fin,
	.reset = channel_on_reset,
	.writable = channel_on_writable,
};

void agent_replace(struct agent *agent)
{
	agent->state = AGENT_REPLACED;
	(void)mux_notice(&agent->mux, SPAN("replaced"), 0); // its task finds what is wrong with it
	mux_each(&agent->mux, channel_retire);
	loop_task_set(&agent->relay->loop, &agent->task);
}

static bool is_up(const struct agent *agent)
{
	return agent->state == AGENT_READY || agent->state == AGENT_REPLACED;
}

void agent_expiring(struct agent *agent, uint64_t seconds)
{
	if (is_up(agent))
		(void)mux_notice(&agent->mux, SPAN("expiring"), seconds);
}

void agent_drain(struct agent *agent)
{
	if (is_up(agent))
		(void)mux_notice(&agent->mux, SPAN("draining"), 0);
	agent_close(agent, WEBSOCKET_GOING_AWAY, "the server is stopping");
}

void agent_stream_over(struct agent *agent)
{
	if (agent->state == AGENT_REPLACED || agent->relay->dials.head != NULL)
		loop_task_set(&agent->relay->loop, &agent->task);
}

// ---- the beginning

static void agent_link(struct agent *agent)
{
	struct agents *agents = &agent->relay->agents;
	agent->next = agents->first;
	agent->prev = &agents->first;
	if (agent->next != NULL)
		agent->next->prev = &agent->next;
	agents->first = agent;
	agents->n++;
}

void agent_new(struct relay *relay, int fd, enum stream_socket kind, struct span bytes)
{
	struct loop *loop = &relay->loop;
	struct agent *agent = calloc(1, sizeof *agent);
	if (agent == NULL) {
		close(fd);
		return;
	}
	*agent = (struct agent){.relay = relay,
		.state = AGENT_GREETING,
		.timer.expired = on_timer,
		.task.run = on_task};
	if (stream_open(&agent->stream, loop, fd, kind, on_ready) < 0) {
		free(agent);
		return;
	}
	// A request must not wait in the kernel behind megabytes of others' uploads. The pair of an
	// edge holds little anyway.
	setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &(int){MUX_OUT_FULL}, sizeof(int));
	mux_init(&agent->mux, MUX_RELAY, &handlers, &loop->now, &relay->agents.store);
	agent_link(agent);
	relay_descriptor_taken(relay);
	int r = loop_timer_set(loop, &agent->timer, instant_add_ms(loop->now, MUX_HELLO_MS));
	if (r == 0)
		r = mux_hello(&agent->mux, &(struct mux_message){.type = MUX_HELLO,
						   .instance = span_of(relay->config.id),
						   .agent = SPAN("tunneld"),
						   .number = MUX_STREAMS_MAX});
	if (!went_on(agent, r))
		return;
	if (relay->agents.n > AGENTS_MAX) {
		agent_close(agent, MUX_CLOSE_TOO_MANY, "this tunnel has too many agents");
		return;
	}
	r = mux_input(&agent->mux, (char *)(uintptr_t)bytes.p, bytes.n);
	(void)went_on(agent, r);
}
