// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// A tunnel's counters: one page shared by its relay, which writes, and the supervisor, which only
// reads, so that they survive a kill. They are the relay's word and nobody relies on them.

#pragma once

#include "code.h"

#include <assert.h>
#include <stdatomic.h>

// Entries of the request log that wait to be sent, see request_log.h.
enum { REQUEST_BATCH_SIZE = 3500 };

struct request_batch {
	_Atomic uint32_t used;
	uint8_t bytes[REQUEST_BATCH_SIZE];
};

struct counters {
	_Atomic uint64_t connections;   // visitor connections taken, ever
	_Atomic uint64_t open;          // of them open now
	_Atomic uint64_t requests;      // request heads accepted
	_Atomic uint64_t bytes_in;      // from visitors: bodies and relayed bytes
	_Atomic uint64_t bytes_out;     // to visitors
	_Atomic uint64_t last_activity; // seconds since the epoch of the last request, 0: none
	_Atomic uint64_t agents;        // agent connections open now, of a pull tunnel

	// Of this relay alone, for metrics: its predecessors' and successors' are not in it.
	_Atomic uint64_t refused[CODES]; // requests answered with an error of ours

	struct request_batch log; // not sent yet; the supervisor looks when the relay is gone
};

enum { COUNTERS_SIZE = 4096, COUNTERS_N = 7 };

// The first COUNTERS_N are the tunnel's: stored, told, and what its next relay goes on from.
static_assert(offsetof(struct counters, refused) == COUNTERS_N * sizeof(uint64_t), "no padding");
static_assert(sizeof(struct counters) <= COUNTERS_SIZE, "fits its page");

// The relay is the only writer, so a plain add in a register is enough.
static inline void counter_add(_Atomic uint64_t *counter, uint64_t n)
{
	uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);
	atomic_store_explicit(counter, value + n, memory_order_relaxed);
}

static inline uint64_t counter_get(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}
