// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "edge_channel.h"

#include "spawn.h"
#include "supervisor.h"

#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>

enum {
	EDGE_GATES_FD = 4,
	EDGE_ROOTS_FD = 5,
	QUEUE_MAX = 2 * CHAINS_MAX * (CHAIN_MAX + 64) + 64 * 1024,
};

static struct edge *edge_of(struct child *child)
{
	return container_of(child, struct edge, child);
}

// ---- telling it

static int tell_keys(struct edge *edge)
{
	const struct tls_keys *keys = &edge->child.supervisor->tls_keys;
	int r = IPC_SENT;

	for (size_t i = 0; i < keys->set.n && r == IPC_SENT; i++) {
		const struct tls_key *key = &keys->set.items[i];
		r = ipc_post(&edge->child.process.control, MSG_EDGE_KEY, key->key_fd, wire_uint(i),
			wire_uint(keys->set.n), wire_bin(key->chain, strlen(key->chain)));
	}
	return r;
}

static int tell_listeners(struct edge *edge)
{
	const struct listeners *listeners = &edge->child.supervisor->listeners;
	int r = IPC_SENT;

	for (; edge->n_listeners < listeners->n && r == IPC_SENT;
		edge->n_listeners += r == IPC_SENT) {
		const struct listener_entry *entry = &listeners->entries[edge->n_listeners];
		if (entry->tls)
			r = ipc_post(&edge->child.process.control, MSG_LISTENER, entry->fd,
				wire_uint(edge->n_listeners), wire_uint(entry->use),
				wire_bool(entry->proxy));
	}
	return r;
}

static int tell_ticket_keys(struct edge *edge)
{
	const struct edges *edges = &edge->child.supervisor->edges;

	return ipc_post(&edge->child.process.control, MSG_TICKET_KEYS, -1,
		wire_bin(edges->ticket_keys[0], TICKET_KEY_SIZE),
		wire_bin(edges->ticket_keys[1], edges->rotated ? TICKET_KEY_SIZE : 0));
}

// Visitors are for an edge that has keys to meet them with.
static int tell_all(struct edge *edge)
{
	int r = tell_keys(edge);

	if (r == IPC_SENT && edge->child.supervisor->tls_keys.set.n > 0)
		r = tell_listeners(edge);
	return r;
}

static void tell_each(struct edges *edges, int (*tell)(struct edge *edge))
{
	for (size_t i = 0; i < edges->n; i++) {
		struct edge *edge = &edges->items[i];
		if (!child_ready(&edge->child))
			continue;
		int r = tell(edge);
		if (r != IPC_SENT && r != -EPIPE) {
			process_log(&edge->child.process, LOG_ERROR, "does not read its channel");
			process_kill(&edge->child.process);
		}
	}
}

void edges_keys_changed(struct edges *edges)
{
	tell_each(edges, tell_all);
}

// ---- ticket keys

static int random_key(uint8_t key[TICKET_KEY_SIZE])
{
	return getrandom(key, TICKET_KEY_SIZE, 0) == TICKET_KEY_SIZE ? 0 : -errno;
}

static int set_rotation(struct edges *edges)
{
	return loop_timer_set(&edges->supervisor->loop, &edges->rotation,
		instant_add_ms(instant_now(), EDGE_TICKETS_MS));
}

static void on_rotation(struct loop_timer *timer)
{
	struct edges *edges = container_of(timer, struct edges, rotation);
	uint8_t key[TICKET_KEY_SIZE];

	if (random_key(key) == 0) {
		memcpy(edges->ticket_keys[1], edges->ticket_keys[0], TICKET_KEY_SIZE);
		memcpy(edges->ticket_keys[0], key, TICKET_KEY_SIZE);
		edges->rotated = true;
		tell_each(edges, tell_ticket_keys);
	}
	explicit_bzero(key, sizeof key);
	if (set_rotation(edges) < 0)
		supervisor_fail(edges->supervisor, "out of memory");
}

// ---- the channel to the gates

static int streams_make(struct edges *edges)
{
	int pair[2];
	int r = ipc_pair(pair);

	if (r < 0)
		return r;
	close_p(&edges->streams_in);
	close_p(&edges->streams_out);
	edges->streams_in = pair[0];
	edges->streams_out = pair[1];
	// Streams go one way: what a gate writes there would reach edges.
	return shutdown(edges->streams_out, SHUT_WR) < 0 ? -errno : 0;
}

static bool is_shut(int fd)
{
	struct pollfd pollfd = {.fd = fd};

	return poll(&pollfd, 1, 0) > 0 && (pollfd.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
}

void edges_mend_streams(struct edges *edges)
{
	if (!is_shut(edges->streams_in) && !is_shut(edges->streams_out))
		return;
	log_warning("the channel from the edges to the gates was shut: new edges and gates");
	if (streams_make(edges) < 0)
		return;
	gates_kill(&edges->supervisor->gates);
	edges_kill(edges);
}

// ---- what it tells

static int on_counts(struct ipc_channel *channel, struct ipc_message *message)
{
	struct process *process = container_of(channel, struct process, control);
	struct edge *edge = edge_of(container_of(process, struct child, process));
	struct metrics *now = &edge->child.supervisor->tally.now;
	const struct wire_value *field = message->fields;

	for (size_t i = 0; i < METRICS_HANDSHAKES; i++)
		now->handshakes[i] += (field++)->number;
	for (size_t i = 0; i < METRICS_BY_TLS; i++)
		edge->by_tls[i] = (field++)->number;
	edge->descriptors = field->number;
	return 0;
}

// ---- life

static const struct ipc_handling handling[] = {
	{MSG_READY, child_on_ready},
	{MSG_LOG, process_on_log},
	{MSG_EDGE_DIALED, edge_dials_on_dialed},
	{MSG_EDGE_DIAL_FAILED, edge_dials_on_failed},
	{MSG_EDGE_COUNTS, on_counts},
};

static const struct ipc_handlers handlers = {
	.self = ROLE_SUPERVISOR,
	.peer = ROLE_EDGE,
	.table = handling,
	.n = ARRAY_SIZE(handling),
};

static void describe(struct child *child, struct process_request *request)
{
	struct supervisor *supervisor = child->supervisor;
	static struct spawn_fd fds[2];

	edges_mend_streams(&supervisor->edges);
	fds[0] = (struct spawn_fd){supervisor->edges.streams_in, EDGE_GATES_FD};
	fds[1] = (struct spawn_fd){supervisor->roots_fd, EDGE_ROOTS_FD};
	request->role = ROLE_EDGE;
	request->handlers = &handlers;
	request->queue_max = QUEUE_MAX;
	request->uid = supervisor_uid(supervisor, UID_EDGE);
	request->root_fd = supervisor->void_fd;
	request->fds = fds;
	request->n_fds = ARRAY_SIZE(fds);
}

static int ready(struct child *child)
{
	struct edge *edge = edge_of(child);
	const struct supervisor *supervisor = child->supervisor;
	const struct options *options = supervisor->options;

	edge->n_listeners = 0;
	int r = ipc_post(&child->process.control, MSG_EDGE_SETUP, -1,
		wire_uint((uint64_t)options->handshake_timeout * 1000),
		wire_uint(options->max_handshakes));
	if (r == IPC_SENT)
		r = tell_ticket_keys(edge);
	if (r == IPC_SENT)
		r = tell_all(edge);
	return r;
}

static void gone(struct child *child)
{
	struct edge *edge = edge_of(child);

	memset(edge->by_tls, 0, sizeof edge->by_tls);
	edge->descriptors = 0;
	edge_dials_fail(&child->supervisor->edges, edge);
}

static const struct child_kind kind = {.describe = describe, .ready = ready, .gone = gone};

size_t edges_count(const struct options *options)
{
	if (options->edges > 0)
		return options->edges;
	return options->tls_listen.n > 0 ? MIN(child_cores(), (size_t)EDGES_MAX) : 1;
}

int edges_init(struct edges *edges, struct supervisor *supervisor, size_t n)
{
	*edges = (struct edges){
		.supervisor = supervisor,
		.streams_in = -1,
		.streams_out = -1,
		.rotation = {.expired = on_rotation},
	};
	TAILQ_INIT(&edges->dials);
	int r = streams_make(edges);
	if (r == 0)
		r = random_key(edges->ticket_keys[0]);
	if (r < 0 || n == 0)
		return r;
	edges->items = calloc(n, sizeof *edges->items);
	if (edges->items == NULL)
		return -ENOMEM;
	edges->n = n;
	for (size_t i = 0; i < n; i++)
		child_init(&edges->items[i].child, supervisor, &kind);
	return set_rotation(edges);
}

void edges_start(struct edges *edges)
{
	if (edges->supervisor->options->tls_listen.n > 0)
		tls_keys_check(&edges->supervisor->tls_keys);
	for (size_t i = 0; i < edges->n; i++)
		child_start(&edges->items[i].child);
}

bool edges_proven(const struct edges *edges)
{
	const struct supervisor *supervisor = edges->supervisor;

	for (size_t i = 0; i < edges->n; i++)
		if (!edges->items[i].child.proven)
			return false;
	return supervisor->options->tls_listen.n == 0 || supervisor->tls_keys.set.n > 0;
}

void edges_kill(struct edges *edges)
{
	for (size_t i = 0; i < edges->n; i++)
		process_kill(&edges->items[i].child.process);
}
