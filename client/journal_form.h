// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Private to journal*.c: a form is how each event is written.

#pragma once

#include "journal.h"

#include <stdio.h>

// Each writes whole lines to OUT, or nothing.
struct journal_form {
	bool to_stdout;
	void (*ready)(const struct journal *, FILE *out, const struct journal_tunnel *);
	void (*request)(const struct journal *, FILE *out, const struct sniff_report *);
	void (*link)(const struct journal *, FILE *out, enum journal_link, const char *reason,
		unsigned wait_ms);
	void (*expiring)(const struct journal *, FILE *out, unsigned seconds);
	void (*note)(const struct journal *, FILE *out, const char *text);
	void (*closed)(const struct journal *, FILE *out, const char *why, int code);
};

extern const struct journal_form journal_text_form, journal_json_form;
