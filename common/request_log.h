// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The request log, on its way from the processes that answer requests to the supervisor that prints
// it: what a line tells, and a batch of such entries that goes out as one MSG_REQUESTS. An entry
// has no query, no field and no full tunnel id in it; whose tunnel it is about the supervisor adds
// itself.
//
// Where the log is off there is no batch, and nobody makes entries.

#pragma once

#include "clock.h"
#include "counters.h"
#include "ipc.h"

enum {
	REQUEST_METHOD_MAX = 16, // bytes; a longer one is cut
	REQUEST_PATH_MAX = 200,  // the same
	REQUEST_SHORT_ID = 10,   // so much of a tunnel id is told
	REQUEST_LOG_MS = 1000,   // longest stay in the batch
};

struct request_entry {
	struct span method, path;     // of a request that was not understood: "-"
	struct instant at;            // its end
	uint64_t ms;                  // from its head to its end
	uint64_t status;              // 0: none was sent
	uint64_t code;                // of an error of ours, CODE_NONE: none
	uint64_t bytes_in, bytes_out; // of bodies and byte relays
	bool ours;                    // answered by us, not the backend
	bool cut;                     // did not come to its end
	struct span peer;             // PEER_SIZE bytes, or absent: not known
};

struct request_log {
	struct loop *loop;
	struct ipc_channel *channel;
	struct request_batch *batch; // NULL: off
	uint32_t rate;               // entries a second; beyond it they are only counted
	uint32_t taken;              // in this second
	uint32_t dropped;            // since the last message
	struct loop_timer timer;
};

// With RATE 0 it is off. BATCH is borrowed, empty, and private from now on.
void request_log_init(struct request_log *log, struct loop *loop, struct ipc_channel *channel,
	struct request_batch *batch, uint32_t rate);

static inline bool request_log_on(const struct request_log *log)
{
	return log->batch != NULL;
}

void request_log_add(struct request_log *log, const struct request_entry *entry);

// What is kept of a request until it ends.
struct request_line {
	struct instant begin;
	uint8_t method_n, path_n;
	char text[]; // both
};

// Keeps METHOD and the path of TARGET, in which tunnel ids are shortened; absent: not understood.
// Returns NULL without memory: the request is not logged.
struct request_line *request_line_new(struct span method, struct span target, struct instant now);
// Adds ENTRY, completed from LINE, and frees that.
void request_line_end(
	struct request_log *log, struct request_line *line, struct request_entry *entry);

// Takes the first entry off REST, the bytes of a batch. Its spans point into them. Returns
// REQUEST_ENTRY, 0 when there is no further one, or -EBADMSG.
enum { REQUEST_ENTRY = 1 };
int request_log_next(struct span *rest, struct request_entry *entry) WARN_UNUSED;
