// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "edge_dials.h"

#include "relay_channel.h"
#include "supervisor.h"

#include <arpa/inet.h>

struct edge_dial {
	TAILQ_ENTRY(edge_dial) link;
	struct tunnel *tunnel;
	struct edge *edge; // that has it
	uint64_t number;   // between us and the edge
	uint64_t request;  // of the relay
	unsigned attempt;
};

static void dial_free(struct edges *edges, struct edge_dial *dial)
{
	TAILQ_REMOVE(&edges->dials, dial, link);
	dial->tunnel->n_edge_dials--;
	free(dial);
}

// The next edge that is there, in turn.
static struct edge *next_edge(struct edges *edges)
{
	for (size_t i = 0; i < edges->n; i++) {
		struct edge *edge = &edges->items[edges->turn++ % edges->n];
		if (child_ready(&edge->child))
			return edge;
	}
	return NULL;
}

static void host_of(const struct tunnel *tunnel, char out[URL_HOST_MAX + 1])
{
	const struct in6_addr *address = &tunnel->target.addresses[0];

	if (tunnel->host != NULL)
		snprintf(out, URL_HOST_MAX + 1, "%s", tunnel->host);
	else if (IN6_IS_ADDR_V4MAPPED(address))
		inet_ntop(AF_INET, address->s6_addr + 12, out, URL_HOST_MAX + 1);
	else
		inet_ntop(AF_INET6, address, out, URL_HOST_MAX + 1);
}

// Gives the dial's next connection to an edge. Returns 0 or an enum dial_failure.
static int give(struct edges *edges, struct edge_dial *dial)
{
	const struct options *options = edges->supervisor->options;
	CLEANUP(close_p) int fd = -1;
	char host[URL_HOST_MAX + 1];

	dial->edge = next_edge(edges);
	if (dial->edge == NULL)
		return DIAL_EXHAUSTED;
	int failure =
		dial_open(&dial->tunnel->target, &edges->supervisor->policy, dial->attempt, &fd);
	if (failure != 0)
		return failure;
	host_of(dial->tunnel, host);
	int r = ipc_post(&dial->edge->child.process.control, MSG_EDGE_DIAL, fd,
		wire_uint(dial->number), wire_str(span_of(host)),
		wire_bool(dial->tunnel->unchecked),
		wire_uint((uint64_t)options->connect_timeout * 1000));
	return r == IPC_SENT ? 0 : DIAL_EXHAUSTED;
}

int edge_dials_start(struct edges *edges, struct tunnel *tunnel, uint64_t request, unsigned attempt)
{
	struct edge_dial *dial = calloc(1, sizeof *dial);

	if (dial == NULL || tunnel->n_edge_dials >= TUNNEL_DIALS_MAX) {
		free(dial);
		return DIAL_EXHAUSTED;
	}
	*dial = (struct edge_dial){.tunnel = tunnel,
		.number = ++edges->last_dial,
		.request = request,
		.attempt = attempt};
	TAILQ_INSERT_TAIL(&edges->dials, dial, link);
	tunnel->n_edge_dials++;
	int failure = give(edges, dial);
	if (failure != 0)
		dial_free(edges, dial);
	return failure;
}

// ---- answers

static struct edge_dial *find(struct edges *edges, const struct edge *edge, uint64_t number)
{
	struct edge_dial *dial;

	TAILQ_FOREACH(dial, &edges->dials, link)
	if (dial->number == number && dial->edge == edge)
		return dial;
	return NULL;
}

static struct edge *edge_of(struct ipc_channel *channel)
{
	struct process *process = container_of(channel, struct process, control);
	struct child *child = container_of(process, struct child, process);

	return container_of(child, struct edge, child);
}

int edge_dials_on_dialed(struct ipc_channel *channel, struct ipc_message *message)
{
	struct edge *edge = edge_of(channel);
	struct edges *edges = &edge->child.supervisor->edges;
	struct edge_dial *dial = find(edges, edge, message->fields[0].number);

	if (ipc_check_stream(message->fd, false) != IPC_STREAM_LOCAL)
		return -EBADMSG;
	if (dial != NULL) {
		relay_dialed(dial->tunnel, dial->request, message->fd);
		dial_free(edges, dial);
	}
	return 0;
}

// Where no connection came about, the next address may do; what a server shows who speaks TLS is
// the answer.
static bool has_another(const struct edge_dial *dial, uint64_t why)
{
	return (why == DIAL_REFUSED || why == DIAL_TIMEOUT) &&
	       dial->attempt + 1 < dial_attempts(&dial->tunnel->target);
}

int edge_dials_on_failed(struct ipc_channel *channel, struct ipc_message *message)
{
	struct edge *edge = edge_of(channel);
	struct edges *edges = &edge->child.supervisor->edges;
	struct edge_dial *dial = find(edges, edge, message->fields[0].number);
	uint64_t why = message->fields[1].number;

	if (dial == NULL)
		return 0; // its relay is gone
	if (has_another(dial, why)) {
		dial->attempt++;
		int failure = give(edges, dial);
		if (failure == 0)
			return 0;
		why = (uint64_t)failure;
	}
	relay_dial_failed(dial->tunnel, dial->request, (enum dial_failure)MAX(why, 1));
	dial_free(edges, dial);
	return 0;
}

// ---- ends

void edge_dials_forget(struct edges *edges, const struct tunnel *tunnel)
{
	struct edge_dial *dial, *next;

	for (dial = TAILQ_FIRST(&edges->dials); dial != NULL; dial = next) {
		next = TAILQ_NEXT(dial, link);
		if (dial->tunnel == tunnel)
			dial_free(edges, dial);
	}
}

void edge_dials_fail(struct edges *edges, const struct edge *edge)
{
	struct edge_dial *dial, *next;

	for (dial = TAILQ_FIRST(&edges->dials); dial != NULL; dial = next) {
		next = TAILQ_NEXT(dial, link);
		if (dial->edge != edge)
			continue;
		relay_dial_failed(dial->tunnel, dial->request, DIAL_REFUSED);
		dial_free(edges, dial);
	}
}
