// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// All tunnels: by id; in order in two lists, the living ones to tell gates and a new API worker
// about, and the ended ones whose end is not stored yet; and the queue of those that need a relay.
//
// Whoever tells a process about a whole list keeps a cursor, because that takes longer than one
// round. A cursor is the next tunnel to tell about, NULL at the end; tunnels.c moves it on when its
// tunnel leaves the list and to a tunnel that is appended.

#pragma once

#include "tunnel.h"

TAILQ_HEAD(tunnel_head, tunnel);

struct tunnels_cursor {
	struct tunnel *next;
	struct tunnels_cursor *next_cursor; // private
};

enum {
	TUNNELS_STARTING_MAX = 16, // relays on their way to READY at once
};

struct tunnels {
	struct loop *loop;
	struct tunnel **buckets;
	size_t n_buckets;
	uint64_t seed;
	size_t n;      // in the table
	size_t n_over; // of them ended or ending: tunnel.c counts
	unsigned n_starting;
	struct tunnel_head lists[LISTS];
	struct tunnels_cursor *cursors[LISTS];
	struct tunnel_head queue;
	struct loop_task task; // starts the relay whose turn it is
	void (*start)(struct tunnel *tunnel);
};

// For about N tunnels; START gives one its relay. Returns 0 or a negative errno.
int tunnels_init(struct tunnels *tunnels, struct loop *loop, size_t n,
	void (*start)(struct tunnel *tunnel)) WARN_UNUSED;
void tunnels_deinit(struct tunnels *tunnels);

// The tunnel with this id, or NULL.
struct tunnel *tunnels_find(const struct tunnels *tunnels, struct span id);
// Puts it in under its id, which is not there yet.
void tunnels_add(struct tunnels *tunnels, struct tunnel *tunnel);
// Takes it out of the table, its list and the queue.
void tunnels_remove(struct tunnels *tunnels, struct tunnel *tunnel);

// Takes the tunnel out of the list it is in and appends it to LIST.
void tunnels_move(struct tunnels *tunnels, struct tunnel *tunnel, enum tunnel_list list);

// The list's tunnels, oldest first.
static inline struct tunnel *tunnels_first(const struct tunnels *tunnels, enum tunnel_list list)
{
	return TAILQ_FIRST(&tunnels->lists[list]);
}

// Makes CURSOR follow LIST, from its start.
void tunnels_cursor_init(
	struct tunnels *tunnels, struct tunnels_cursor *cursor, enum tunnel_list list);
void tunnels_cursor_start(
	struct tunnels *tunnels, struct tunnels_cursor *cursor, enum tunnel_list list);

// Calls EACH for every tunnel; that may remove its own.
void tunnels_each(struct tunnels *tunnels, void (*each)(struct tunnel *tunnel));

// Queues it; when its turn has come START is called.
void tunnels_enqueue(struct tunnels *tunnels, struct tunnel *tunnel);
// Takes it out of the queue. Harmless when it is not in it.
void tunnels_dequeue(struct tunnels *tunnels, struct tunnel *tunnel);
// To be called when a relay has been started, and when it is READY or gone: no more than
// TUNNELS_STARTING_MAX are on their way at once.
void tunnels_start_begun(struct tunnels *tunnels);
void tunnels_start_over(struct tunnels *tunnels);
