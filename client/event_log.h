// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The event log beside a quote: what was measured into the RTMRs, and the values that the boot of a
// dstack machine left there.
//
// Nothing in a log is believed but through RTMR3. Its entries are runtime events, whose digests are
// always made anew from what they say; the log is the true one if they add up to the register.
// What the application itself measured later comes behind the event "system-ready" and is not taken
// for something the boot did.

#pragma once

#include "quote.h"

#include <jansson.h>

enum {
	RTMRS = 4,
	EVENT_LOG_MAX = 4 << 20, // bytes of text
	EVENTS_MAX = 8192,
	EVENT_RUNTIME = 0x08000001,
};

struct event {
	unsigned rtmr;
	uint32_t type;
	unsigned version;     // 1 or 2: how the digest of a runtime event is made
	struct span digest;   // MEASUREMENT_SIZE bytes or absent
	struct span name;     // valid UTF-8
	struct span payload;  // bytes
	struct span preimage; // of a version 2 event, or absent
};

// The spans point into `memory`, or into what the log was read from.
struct event_log {
	struct event *events;
	size_t n;
	json_t *json; // NULL when it was read from bytes
	char *memory;
};

void event_log_deinit(struct event_log *log);

// Reads the array of events that dstack's guest service gives. The log keeps a reference.
bool event_log_read(struct event_log *log, json_t *array, struct why *why);

// Appends an event; for readers of other forms. Returns NULL when there are too many.
struct event *event_log_add(struct event_log *log);

// Makes RTMR anew from the log. False when a digest is not that of its event or the log cannot be
// replayed; for RTMR3 also when anything but runtime events is in it.
bool event_log_replay(
	const struct event_log *log, unsigned rtmr, uint8_t out[MEASUREMENT_SIZE], struct why *why);

// The next event of the boot after AT (NULL: the first), up to and including "system-ready".
const struct event *event_log_boot_next(const struct event_log *log, const struct event *at);
// The first event of the boot with that name, or NULL.
const struct event *event_log_boot(const struct event_log *log, const char *name);

// The rules on boot events: names that can be told from payloads, application and compose hash once
// and of the right size.
bool event_log_check_boot(const struct event_log *log, struct why *why);
