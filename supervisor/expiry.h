// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The ends of tunnels: a heap of points on CLOCK_BOOTTIME and one timerfd set to the first of them.
//
// Apart from the loop's own timers because these are kept to the microsecond the kernel offers, go
// on during suspend, and must not wait for a round to be over: whoever does something long in the
// supervisor calls expiry_run() first.

#pragma once

#include "loop.h"

// Embedded in the object that ends.
struct expiry_item {
	struct instant due;
	uint32_t place; // private: index in the heap plus one, 0: not set
	// Called once when due has come. Must be short and may set or clear other items.
	void (*expired)(struct expiry_item *item);
};

struct expiry {
	struct loop *loop;
	struct loop_watch watch; // the timerfd, owned
	struct instant armed;    // what the timerfd is set to
	struct expiry_item **heap;
	size_t n, size;
};

// Returns 0 or a negative errno.
int expiry_init(struct expiry *expiry, struct loop *loop) WARN_UNUSED;
void expiry_deinit(struct expiry *expiry);

// Sets or moves an item. Returns 0 or -ENOMEM (only possible when it was not set).
int expiry_set(struct expiry *expiry, struct expiry_item *item, struct instant due) WARN_UNUSED;
void expiry_clear(struct expiry *expiry, struct expiry_item *item);

// Calls `expired` of everything that is due by now.
void expiry_run(struct expiry *expiry);
