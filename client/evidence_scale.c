// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

// dstack's SCALE form of an attestation (version 0, TDX): compact lengths, then bytes.

#include "bytes.h"
#include "evidence.h"

#include "utf8.h"

enum { MODE_1, MODE_2, MODE_4, MODE_BIG };

// A compact number: the low two bits say how many bytes it has.
static bool take_compact(struct span *from, size_t *number)
{
	struct span s;
	if (from->n == 0 || (from->p[0] & 3) == MODE_BIG)
		return false;
	if (!bytes_take(from, (size_t)1 << (from->p[0] & 3), &s))
		return false;
	*number = (size_t)(bytes_number(s) >> 2);
	return true;
}

static bool take_bytes(struct span *from, struct span *bytes)
{
	size_t n;
	return take_compact(from, &n) && bytes_take(from, n, bytes);
}

static bool take_event(struct span *from, struct event *event)
{
	struct span rtmr, type;
	if (!bytes_take(from, 4, &rtmr) || !bytes_take(from, 4, &type) ||
		!take_bytes(from, &event->digest) || !take_bytes(from, &event->name) ||
		!take_bytes(from, &event->payload))
		return false;
	if (event->digest.n == 0)
		event->digest.p = NULL;
	event->rtmr = (unsigned)bytes_number(rtmr);
	event->type = (uint32_t)bytes_number(type);
	return event->rtmr < RTMRS && utf8_valid(event->name) &&
	       (event->digest.n == 0 || event->digest.n == MEASUREMENT_SIZE);
}

bool evidence_read_scale(struct evidence *evidence, struct span bytes, struct why *why)
{
	size_t n = 0;
	// Version 0 and the TDX variant; what follows the events is said better by the quote.
	bool good = bytes_take(&bytes, 1, NULL) && bytes.n > 0 && bytes.p[0] == 0 &&
		    bytes_take(&bytes, 1, NULL) && take_bytes(&bytes, &evidence->quote) &&
		    take_compact(&bytes, &n);
	evidence->has_log = true;
	for (size_t i = 0; good && i < n; i++) {
		struct event *event = event_log_add(&evidence->log);
		good = event != NULL && take_event(&bytes, event);
	}
	return good || why_not(why, "a malformed SCALE attestation");
}
