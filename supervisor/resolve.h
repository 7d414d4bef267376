// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Addresses of names, looked up by a short-lived process of its own for each: getaddrinfo() waits,
// reads files and parses answers of strangers, three things the supervisor must not do.

#pragma once

#include "process.h"

#include <netinet/in.h>
#include <sys/queue.h>

enum {
	RESOLVE_WAITING_MAX = 256 // for their turn; further ones fail at once
};

struct resolve_process;
struct resolver;

// One look-up, embedded in the object that asks.
struct resolve {
	struct resolver *resolver;
	const char *name;                // borrowed
	struct resolve_process *process; // NULL: waits for its turn
	bool active;
	struct loop_timer timer;
	TAILQ_ENTRY(resolve) link;
	// Called once, from the loop, unless cancelled: N addresses (IPv4 mapped, best first), or
	// none and WHY. May free the object.
	void (*done)(struct resolve *resolve, const struct in6_addr *addresses, size_t n,
		const char *why);
};

struct resolver {
	struct supervisor *supervisor;
	unsigned running, n_waiting;
	TAILQ_HEAD(, resolve) waiting;
	struct loop_task task; // starts those whose turn it is
};

void resolver_init(struct resolver *resolver, struct supervisor *supervisor);

// Looks NAME up. Returns 0, or -EBUSY or -ENOMEM: `done` is not called then.
int resolve_start(struct resolver *resolver, struct resolve *resolve, const char *name) WARN_UNUSED;
// `done` will not be called. Harmless when nothing is under way.
void resolve_cancel(struct resolve *resolve);
