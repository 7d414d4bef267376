// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The request log as it is printed: entries come from the processes that answer requests, whose
// tunnel they are about is for the supervisor to say, and how many may be printed too.

#pragma once

#include "process.h"
#include "request_log.h"

// Lines a second of all processes together, so that printing never keeps the supervisor from the
// ends of tunnels.
enum { REQUEST_LINES_ALL = 5000 };

// Entries a second that a process is asked for, 0: none.
static inline uint32_t request_lines_rate(const struct options *options)
{
	return options->request_log != REQUEST_LOG_NO ? options->request_log_rate : 0;
}

// Handler of REQUESTS for gates, API worker and relays.
int request_lines_on_message(struct ipc_channel *channel, struct ipc_message *message) WARN_UNUSED;

// What a relay that is gone had not sent. BATCH is its word: a copy nobody writes to any more.
void request_lines_left(struct process *process, const struct request_batch *batch);

// Writes one line, its line end included, to OUT as it would be at SECONDS since the epoch. Returns
// its length. TUNNEL: full id, of which the beginning is told, or NULL.
size_t request_line_format(char out[LOG_LINE_MAX], enum log_format format, int64_t seconds,
	const char *role, const char *tunnel, const struct request_entry *entry, bool address);
