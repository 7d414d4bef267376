// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "agents.h"

#include "channel.h"
#include "relay.h"
#include "visitor.h"

// Of RLIMIT_DATA, 512 MiB; buffers may be three times as large.
enum { STORE_MOST = 128 * 1024 * 1024 };

// Seconds before the tunnel's end at which agents are told.
static const int32_t warnings[] = {300, 60};

static void on_notices(struct loop_timer *timer);

void agents_init(struct agents *agents)
{
	static char in[AGENT_READ]; // untouched, and so no memory, in a push tunnel
	*agents =
		(struct agents){.store.most = STORE_MOST, .in = in, .notices.expired = on_notices};
}

int agents_on_message(struct ipc_channel *channel, struct ipc_message *message)
{
	struct relay *relay = container_of(channel, struct relay, control);
	int r = ipc_check_stream(message->fd, false);
	if (r < 0 || r == IPC_STREAM_OVER)
		return r < 0 ? r : 0;
	if (!tunnel_config_pull(&relay->config))
		return -EBADMSG;
	agent_new(relay, take_fd(&message->fd), r == IPC_STREAM_LOCAL ? STREAM_LOCAL : STREAM_TCP,
		message->fields[0].bytes);
	return 0;
}

int agents_on_memory(struct ipc_channel *channel, struct ipc_message *message)
{
	struct relay *relay = container_of(channel, struct relay, control);
	if (!tunnel_config_pull(&relay->config))
		return -EBADMSG;
	relay->agents.store.most = (size_t)MIN(message->fields[0].number, (uint64_t)STORE_MOST);
	return 0;
}

// Streams end with their connections: what visitors were getting is cut, as at every stop.
int agents_on_drain(struct ipc_channel *channel, struct ipc_message *message)
{
	struct relay *relay = container_of(channel, struct relay, control);
	struct agent *next;
	if (!tunnel_config_pull(&relay->config))
		return -EBADMSG;
	relay->agents.draining = true;
	for (struct agent *agent = relay->agents.first; agent != NULL; agent = next) {
		next = agent->next;
		agent_drain(agent);
	}
	agents_left(relay);
	return 0;
}

void agents_left(struct relay *relay)
{
	if (relay->agents.draining && relay->agents.n == 0)
		loop_stop(&relay->loop, EXIT_SUCCESS);
}

// ---- whose turn it is

static bool has_room(const struct agent *agent)
{
	const struct mux *mux = &agent->mux;
	return agent->state == AGENT_READY && !agent->relay->agents.draining && mux->failed == 0 &&
	       mux->n_streams < mux->streams_max;
}

// One that has answered its last ping before one that has not, then the one with fewer streams.
static bool better(const struct agent *a, const struct agent *b)
{
	if (a->mux.missed != b->mux.missed)
		return a->mux.missed < b->mux.missed;
	return a->mux.n_streams < b->mux.n_streams;
}

int agents_connect(struct visitor *visitor)
{
	struct agent *best = NULL;
	struct channel *channel;
	for (struct agent *agent = visitor->relay->agents.first; agent != NULL; agent = agent->next)
		if (has_room(agent) && (best == NULL || better(agent, best)))
			best = agent;
	if (best == NULL)
		return AGENTS_NONE;
	int r = channel_new(&channel, visitor, best, visitor->x.tcp ? SPAN("tcp") : SPAN("http"));
	if (r == 0)
		visitor->backend = &channel->backend;
	return r == MUX_FULL ? (int)AGENTS_NONE : r;
}

// Those that wait stay in their queue until there is a channel for them.
void agents_serve(struct relay *relay)
{
	struct dial *dial;
	while ((dial = relay->dials.head) != NULL) {
		struct visitor *visitor = container_of(dial, struct visitor, dial);
		if (agents_connect(visitor) != 0)
			return;
		dial_cancel(relay, dial);
		visitor_step(visitor);
	}
}

// ---- joining

static void replace_older(struct agent *newest)
{
	for (struct agent *agent = newest->next; agent != NULL; agent = agent->next)
		if (agent->state == AGENT_READY && strcmp(agent->instance, newest->instance) == 0)
			agent_replace(agent);
}

static uint64_t seconds_left(const struct relay *relay)
{
	int64_t us = instant_diff_us(relay->end, relay->loop.now);
	return us > 0 ? ((uint64_t)us + 999999) / 1000000 : 0;
}

void agents_joined(struct agent *agent)
{
	struct relay *relay = agent->relay;
	replace_older(agent);
	// The best guess for requests that come while none is there.
	size_t n = strlen(agent->host);
	memcpy(relay->authority_text, agent->host, n);
	relay->authority = (struct span){relay->authority_text, n};
	if (seconds_left(relay) <= (uint64_t)warnings[0])
		agent_expiring(agent, seconds_left(relay));
	agents_serve(relay);
}

// ---- the tunnel's end

void agents_end_known(struct relay *relay)
{
	struct loop_timer *timer = &relay->agents.notices;
	loop_timer_clear(&relay->loop, timer);
	if (!tunnel_config_pull(&relay->config))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(warnings); i++) {
		struct instant due = instant_add_ms(relay->end, -1000 * (int64_t)warnings[i]);
		if (!instant_reached(relay->loop.now, due)) {
			// Without memory for the timer agents are not told.
			(void)!loop_timer_set(&relay->loop, timer, due);
			return;
		}
	}
}

static void on_notices(struct loop_timer *timer)
{
	struct agents *agents = container_of(timer, struct agents, notices);
	struct relay *relay = container_of(agents, struct relay, agents);
	for (struct agent *agent = agents->first; agent != NULL; agent = agent->next)
		agent_expiring(agent, seconds_left(relay));
	agents_end_known(relay);
}
