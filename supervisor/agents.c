// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "agents.h"

#include "supervisor.h"

struct agent {
	TAILQ_ENTRY(agent) link;
	struct tunnel *tunnel;
	struct loop_timer timer;
	int fd;
	size_t n;
	char bytes[]; // read behind the head of its request
};

static void agent_free(struct agent *agent)
{
	struct supervisor *supervisor = agent->tunnel->supervisor;

	TAILQ_REMOVE(&agent->tunnel->agents, agent, link);
	supervisor->n_agents--;
	loop_timer_clear(&supervisor->loop, &agent->timer);
	close(agent->fd);
	free(agent);
}

static void on_expired(struct loop_timer *timer)
{
	struct agent *agent = container_of(timer, struct agent, timer);

	tunnel_log(agent->tunnel, LOG_WARNING, "an agent is cut off: there was no relay for it");
	agent_free(agent);
}

// Returns whether it was passed on, or never will be.
static bool pass(struct tunnel *tunnel, int fd, struct span bytes)
{
	if (tunnel->state != TUNNEL_LIVE)
		return false;
	int r = ipc_post(&tunnel->relay.control, MSG_AGENT, fd, wire_bin(bytes.p, bytes.n));
	return r != IPC_FULL && r != -EPIPE; // the latter: it has crashed, the next is to come
}

static bool has_room(const struct tunnel *tunnel)
{
	const struct agent *agent;
	unsigned n = 0;

	TAILQ_FOREACH(agent, &tunnel->agents, link)
	n++;
	return n < AGENTS_OF_TUNNEL_MAX && tunnel->supervisor->n_agents < AGENTS_WAITING_MAX;
}

// Lets FD (consumed) wait. Without room or memory it is closed.
static void wait_for_relay(struct tunnel *tunnel, int fd, struct span bytes)
{
	CLEANUP(close_p) int owned = fd;
	struct loop *loop = &tunnel->supervisor->loop;
	struct agent *agent = has_room(tunnel) ? malloc(sizeof *agent + bytes.n) : NULL;

	if (agent == NULL)
		return;
	*agent = (struct agent){
		.tunnel = tunnel, .timer.expired = on_expired, .fd = -1, .n = bytes.n};
	if (loop_timer_set(loop, &agent->timer, instant_add_ms(instant_now(), AGENTS_PATIENCE_MS)) <
		0) {
		free(agent);
		return;
	}
	if (bytes.n > 0)
		memcpy(agent->bytes, bytes.p, bytes.n);
	agent->fd = take_fd(&owned);
	TAILQ_INSERT_TAIL(&tunnel->agents, agent, link);
	tunnel->supervisor->n_agents++;
}

// The worker has checked the agent's token; what can be checked without it is checked again.
int agents_on_message(struct ipc_channel *channel, struct ipc_message *message)
{
	struct process *process = container_of(channel, struct process, control);
	struct supervisor *supervisor = process->supervisor;
	struct span bytes = message->fields[1].bytes;

	expiry_run(&supervisor->expiry);
	int r = ipc_check_stream(message->fd, false);
	if (r < 0)
		return -EBADMSG;
	if (r == IPC_STREAM_OVER)
		return 0;
	struct tunnel *tunnel = tunnels_find(&supervisor->tunnels, message->fields[0].bytes);
	if (tunnel == NULL || tunnel_over(tunnel))
		return 0; // it has ended meanwhile
	if (!tunnel->pull)
		return -EBADMSG;
	// One that waits is older and goes first: the newest of an instance replaces the others.
	if (!TAILQ_EMPTY(&tunnel->agents) || !pass(tunnel, message->fd, bytes))
		wait_for_relay(tunnel, take_fd(&message->fd), bytes);
	return 0;
}

void agents_go_on(struct tunnel *tunnel)
{
	struct agent *agent;

	while ((agent = TAILQ_FIRST(&tunnel->agents)) != NULL &&
		pass(tunnel, agent->fd, (struct span){agent->bytes, agent->n}))
		agent_free(agent);
}

void agents_forget(struct tunnel *tunnel)
{
	while (!TAILQ_EMPTY(&tunnel->agents))
		agent_free(TAILQ_FIRST(&tunnel->agents));
}
