// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What `tunnel up` tells while it runs, in one of two forms: for people (the URL on standard
// output, everything else on standard error) or for programs (an object a line on standard output).
// Nothing of it reaches a terminal uncleaned (clean.h).

#pragma once

#include "lines.h"
#include "sniff.h"

#include <jansson.h>
#include <stdio.h>

struct journal_tunnel {
	const json_t *document; // as the server describes it, secret included
	const char *target;
	bool attached; // was there before, and stays when we go
};

enum journal_link {
	JOURNAL_LINK_LOST = 1, // and will be tried again
	JOURNAL_LINK_BACK,
	JOURNAL_LINK_RENEWED, // replaced by a younger one in time, nothing was lost
};

enum journal_form_id { JOURNAL_TEXT = 0, JOURNAL_JSON };

struct journal_options {
	enum journal_form_id form;
	bool quiet; // only the URL, warnings of the end, and why it ended
	bool qr;
};

struct journal {
	struct journal_options options;
	const struct journal_form *form;
	struct lines out, err;
	struct sniff_sink requests; // for sniff.h
	size_t columns;             // of standard error; 0: no terminal
	bool colour;
	int64_t second;                // that `clock` is the time of
	char clock[sizeof "12:34:56"]; // local
	FILE *text; // what is written goes into text_bytes, and from there out as lines
	char *text_bytes;
	size_t text_size;
};

// Returns 0 or a negative errno; journal_deinit() is needed either way.
int journal_init(struct journal *journal, struct loop *loop,
	const struct journal_options *options) WARN_UNUSED;
// Writes what is waiting.
void journal_deinit(struct journal *journal);

void journal_ready(struct journal *journal, const struct journal_tunnel *tunnel);
// REASON: of the loss, may be what the server said; WAIT_MS: until the next try.
void journal_link(
	struct journal *journal, enum journal_link what, const char *reason, unsigned wait_ms);
void journal_expiring(struct journal *journal, unsigned seconds);
// Something worth knowing, a sentence without a full stop.
void journal_note(struct journal *journal, const char *format, ...) PRINTF(2, 3);
// WHY: "revoked", "expired" ...; CODE: the exit status.
void journal_closed(struct journal *journal, const char *why, int code);
