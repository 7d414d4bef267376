// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Connections to a tunnel's backend. Relays cannot connect; the supervisor does it for them,
// without waiting, to addresses that were pinned when the tunnel was made, and asks the policy
// about the very address each time.

#pragma once

#include "messages.h"
#include "policy.h"

// Two of the attempts a relay can ask for are not addresses, see dial_attempts().
enum { DIAL_ADDRESSES_MAX = ADDRESSES_MAX - 2 };

struct dial_target {
	struct in6_addr addresses[DIAL_ADDRESSES_MAX]; // IPv4 mapped
	unsigned n;
	unsigned preferred; // the one asked for last, so the one that worked last
	uint16_t port;
	bool owner; // made with the owner token, for the policy
};

// Keeps those of the N addresses FROM that the policy allows. Returns how many; with 0 *WHY is why
// the first was refused.
unsigned dial_target_pin(struct dial_target *target, const struct policy *policy,
	const struct in6_addr *from, size_t n, const char **why);

bool dial_target_equal(const struct dial_target *a, const struct dial_target *b);

// How many attempts there are before a name is looked up again. The first goes to the preferred
// address. The others take all in order, whatever has been preferred meanwhile: requests that fail
// side by side must each get to every address.
unsigned dial_attempts(const struct dial_target *target);

// Starts a connection for ATTEMPT, which is less than dial_attempts(), or, if that address fails at
// once, to the next that does not. Returns 0 with *FD, a connecting socket of the caller's, or an
// enum dial_failure.
int dial_open(struct dial_target *target, const struct policy *policy, unsigned attempt,
	int *fd) WARN_UNUSED;
