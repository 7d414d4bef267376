// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What the guest service says, read from its JSON. Its texts end up in our documents: the quote as
// lower-case hex, the event log as compact JSON, the others as the strings they are.

#pragma once

#include "guest.h"

enum {
	QUOTE_MAX = 64 * 1024, // bytes; real ones have 5 to 8 KiB
	REPORT_DATA_SIZE = 64,
	VERSION_MAX = 64,
	APP_COMPOSE_MAX = 256 * 1024,
	EVENT_LOG_MAX = 256 * 1024,
};

struct quote {
	char *hex;       // lower case; NULL: there is none
	char *event_log; // a JSON array
	char *vm_config; // a string for people and tools; NULL: it said none
};

void quote_deinit(struct quote *quote);

// The answer to GetQuote or RawQuote. The quote has to be TDX's, version 4 or 5, and its
// report_data the one asked for. Returns GUEST_OK with *QUOTE the caller's, or another outcome.
enum guest_outcome guest_answer_quote(
	struct span body, const uint8_t report_data[REPORT_DATA_SIZE], struct quote *quote);

// The answer to Info: the text of app-compose.json, the caller's to free.
enum guest_outcome guest_answer_info(struct span body, char **app_compose);

// The answer to Version.
enum guest_outcome guest_answer_version(struct span body, char version[VERSION_MAX + 1]);

// What an answer of failure says, printable, for the log.
enum { GUEST_WHY_MAX = 200 };
void guest_answer_error(struct span body, char why[GUEST_WHY_MAX + 1]);
