// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// How a log line is put together; for log.c and request_lines.c.

#pragma once

#include "log.h"

struct log_line {
	char *out; // LOG_LINE_MAX bytes
	size_t n;
};

// Parts that are short by their nature.
void log_line_add(struct log_line *line, const char *format, ...) PRINTF(2, 3);
// What came from elsewhere. \u00xx stands for controls, \ufffd for what is no UTF-8; QUOTED escapes
// quotation marks too. What does not fit is left out.
void log_line_add_escaped(struct log_line *line, struct span text, bool quoted);

// The form the operator chose.
enum log_format log_chosen_format(void);
// Writes a complete line, its line end included; counts it as lost when nobody reads.
void log_line_write(const struct log_line *line);
