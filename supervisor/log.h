// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Lines on standard error, in the form the operator chose. Children have no log of their own: they
// send LOG messages, which end up here with their role and pid.
//
// A line is one write() that never waits: a reader that has stopped costs lines (they are counted),
// never the supervisor's punctuality. No caller passes secrets or payload. What came from elsewhere
// is escaped.

#pragma once

#include "clock.h"
#include "options.h"

enum log_level { LOG_ERROR = 0, LOG_WARNING, LOG_INFO, LOG_DEBUG };

// What a line is about; absent parts are left out.
struct log_about {
	const char *role;   // "relay", NULL: the supervisor itself
	pid_t pid;          // 0: none
	const char *tunnel; // id or NULL
};

// Lines of level above LEAST are left out.
void log_init(enum log_format format, enum log_level least);

void log_write(enum log_level level, const struct log_about *about, const char *format, ...)
	PRINTF(3, 4);
#define log_error(...)   log_write(LOG_ERROR, NULL, __VA_ARGS__)
#define log_warning(...) log_write(LOG_WARNING, NULL, __VA_ARGS__)
#define log_info(...)    log_write(LOG_INFO, NULL, __VA_ARGS__)

// A child's allowance: LOG_BURST lines at once, LOG_RATE a second in the long run.
enum { LOG_BURST = 100, LOG_RATE = 10 };
struct log_limit {
	struct instant full; // when the allowance will be whole again
	uint64_t dropped;    // lines since the last one that was let through
};

// Whether a child with this allowance may write a line now; counts it. *DROPPED is how many were
// left out since the last line that was not.
bool log_limit_pass(struct log_limit *limit, struct instant now, uint64_t *dropped);

// The same with RATE lines a second and BURST at once.
bool log_limit_pass_rate(struct log_limit *limit, struct instant now, uint32_t rate, uint32_t burst,
	uint64_t *dropped);

// N more lines were left out for somebody's allowance.
void log_count_limited(uint64_t n);

// Since the start: lines written, lines over a child's allowance, lines nobody read in time.
void log_totals(uint64_t *written, uint64_t *limited, uint64_t *unread);

// Writes one line, its line end included, to OUT of size LOG_LINE_MAX, as log_write() would at
// SECONDS since the epoch. Returns its length. TEXT is escaped and, if need be, shortened.
enum { LOG_LINE_MAX = 4096 }; // what a pipe takes at once (PIPE_BUF)
size_t log_format_line(char out[LOG_LINE_MAX], enum log_format format, int64_t seconds,
	enum log_level level, const struct log_about *about, struct span text);
