// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "tunnels.h"

#include <assert.h>
#include <sys/random.h>

static void start_next(struct loop_task *task);

int tunnels_init(
	struct tunnels *tunnels, struct loop *loop, size_t n, void (*start)(struct tunnel *tunnel))
{
	*tunnels = (struct tunnels){
		.loop = loop,
		.n_buckets = 16,
		.task = {.run = start_next},
		.start = start,
	};
	while (tunnels->n_buckets < n)
		tunnels->n_buckets *= 2;
	for (size_t i = 0; i < LISTS; i++)
		TAILQ_INIT(&tunnels->lists[i]);
	TAILQ_INIT(&tunnels->queue);
	if (getrandom(&tunnels->seed, sizeof tunnels->seed, 0) != sizeof tunnels->seed)
		return -errno;
	tunnels->buckets = calloc(tunnels->n_buckets, sizeof(struct tunnel *));
	return tunnels->buckets != NULL ? 0 : -ENOMEM;
}

void tunnels_deinit(struct tunnels *tunnels)
{
	loop_task_clear(&tunnels->task);
	free(tunnels->buckets);
	tunnels->buckets = NULL;
}

// ---- by id

// FNV-1a from a secret start. The API worker chooses ids and may be taken over: all in one bucket
// would cost it the time of a list of max_tunnels, no more.
static struct tunnel **bucket(const struct tunnels *tunnels, struct span id)
{
	uint64_t hash = tunnels->seed;

	for (size_t i = 0; i < id.n; i++)
		hash = (hash ^ (unsigned char)id.p[i]) * 0x100000001b3;
	return &tunnels->buckets[(hash ^ hash >> 32) & (tunnels->n_buckets - 1)];
}

struct tunnel *tunnels_find(const struct tunnels *tunnels, struct span id)
{
	struct tunnel *tunnel = *bucket(tunnels, id);

	while (tunnel != NULL && !span_eq(span_of(tunnel->id), id))
		tunnel = tunnel->next_by_id;
	return tunnel;
}

void tunnels_add(struct tunnels *tunnels, struct tunnel *tunnel)
{
	struct tunnel **head = bucket(tunnels, span_of(tunnel->id));

	tunnel->next_by_id = *head;
	*head = tunnel;
	tunnels->n++;
	tunnel->list = LIST_NONE;
}

void tunnels_remove(struct tunnels *tunnels, struct tunnel *tunnel)
{
	struct tunnel **place = bucket(tunnels, span_of(tunnel->id));

	tunnels_move(tunnels, tunnel, LIST_NONE);
	tunnels_dequeue(tunnels, tunnel);
	while (*place != tunnel)
		place = &(*place)->next_by_id;
	*place = tunnel->next_by_id;
	tunnels->n--;
}

void tunnels_each(struct tunnels *tunnels, void (*each)(struct tunnel *tunnel))
{
	for (size_t i = 0; i < tunnels->n_buckets; i++) {
		struct tunnel *next;
		for (struct tunnel *t = tunnels->buckets[i]; t != NULL; t = next) {
			next = t->next_by_id;
			each(t);
		}
	}
}

// ---- lists

static void leave(struct tunnels *tunnels, struct tunnel *tunnel)
{
	struct tunnels_cursor *cursor = tunnels->cursors[tunnel->list];

	for (; cursor != NULL; cursor = cursor->next_cursor)
		if (cursor->next == tunnel)
			cursor->next = TAILQ_NEXT(tunnel, link);
	TAILQ_REMOVE(&tunnels->lists[tunnel->list], tunnel, link);
}

static void append(struct tunnels *tunnels, struct tunnel *tunnel)
{
	struct tunnels_cursor *cursor = tunnels->cursors[tunnel->list];

	for (; cursor != NULL; cursor = cursor->next_cursor)
		if (cursor->next == NULL)
			cursor->next = tunnel;
	TAILQ_INSERT_TAIL(&tunnels->lists[tunnel->list], tunnel, link);
}

void tunnels_move(struct tunnels *tunnels, struct tunnel *tunnel, enum tunnel_list list)
{
	if (tunnel->list != LIST_NONE)
		leave(tunnels, tunnel);
	tunnel->list = list;
	if (list != LIST_NONE)
		append(tunnels, tunnel);
}

void tunnels_cursor_start(
	struct tunnels *tunnels, struct tunnels_cursor *cursor, enum tunnel_list list)
{
	cursor->next = tunnels_first(tunnels, list);
}

void tunnels_cursor_init(
	struct tunnels *tunnels, struct tunnels_cursor *cursor, enum tunnel_list list)
{
	cursor->next_cursor = tunnels->cursors[list];
	tunnels->cursors[list] = cursor;
	tunnels_cursor_start(tunnels, cursor, list);
}

// ---- the queue for relays

void tunnels_enqueue(struct tunnels *tunnels, struct tunnel *tunnel)
{
	assert(!tunnel->queued);
	tunnel->queued = true;
	TAILQ_INSERT_TAIL(&tunnels->queue, tunnel, queue_link);
	loop_task_set(tunnels->loop, &tunnels->task);
}

void tunnels_dequeue(struct tunnels *tunnels, struct tunnel *tunnel)
{
	if (!tunnel->queued)
		return;
	tunnel->queued = false;
	TAILQ_REMOVE(&tunnels->queue, tunnel, queue_link);
}

void tunnels_start_begun(struct tunnels *tunnels)
{
	tunnels->n_starting++;
}

void tunnels_start_over(struct tunnels *tunnels)
{
	assert(tunnels->n_starting > 0);
	tunnels->n_starting--;
	loop_task_set(tunnels->loop, &tunnels->task);
}

// One a round: starting a process takes about a millisecond, and what is due meanwhile must not
// have to wait for a queue of them.
static void start_next(struct loop_task *task)
{
	struct tunnels *tunnels = container_of(task, struct tunnels, task);
	struct tunnel *tunnel = TAILQ_FIRST(&tunnels->queue);

	if (tunnel == NULL || tunnels->n_starting >= TUNNELS_STARTING_MAX)
		return;
	tunnels_dequeue(tunnels, tunnel);
	loop_task_set(tunnels->loop, task);
	tunnels->start(tunnel);
}
