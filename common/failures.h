// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Wrong credentials, counted by the address they came from, so that guessing gets 429 instead of
// 401. Only those who fail are ever asked about here: what is right is never looked up, and so
// never refused for what others at the same address do.
//
// The records are few and the least recent one gives way to a new address: who fails from many
// addresses makes old records be forgotten, which costs nobody else anything. No memory is taken
// before the first failure.

#pragma once

#include "clock.h"
#include "messages.h"

enum { FAILURES_MAX = 256 }; // records

struct failure;

struct failures {
	struct failure *records; // the most recent first
	uint16_t n, size;
	uint32_t per_minute; // and so many at once after a pause; 0: no limit
};

// What the answer says beyond the limit.
#define FAILURES_DETAIL                                                                               \
	"Too many wrong secrets or tokens came from your address (failure_rate). A right one is let " \
	"in all the same."

// Notes a failure of the visitor at PEER; of an IPv6 address its /64 counts. Returns 0, or, beyond
// the limit, the seconds (1 at least) after which another one is within it.
unsigned failures_note(
	struct failures *failures, const uint8_t peer[PEER_SIZE], struct instant now);

void failures_deinit(struct failures *failures);
