// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// All that tunneld listens on, by number: a gate learns of each by that and by what it is for.

#pragma once

#include "listener.h"
#include "messages.h"
#include "options.h"

struct listener_entry {
	int fd; // owned
	enum listener_use use;
	bool tls;   // is an edge's, else a gate's
	bool proxy; // requires a PROXY header
};

struct listeners {
	// Of each, N of them. Addresses are for themselves because the policy wants a list of them.
	struct listener_entry *entries;
	struct sockaddr_storage *addresses;
	size_t n;
};

// Listens on ADDRESSES, which KEY names and which are for USE, by TLS or plain. Returns 0,
// LISTENERS_EXPLAINED when that is impossible, which has been logged with advice, or a negative
// errno.
enum { LISTENERS_EXPLAINED = 1 };
int listeners_open(struct listeners *listeners, const struct options_addresses *addresses,
	enum listener_use use, bool tls, const char *key) WARN_UNUSED;

// The same for each port of RANGE.
int listeners_open_range(struct listeners *listeners, const struct options_range *range,
	enum listener_use use, bool tls, const char *key) WARN_UNUSED;

// Makes those that RANGES name require a PROXY header. Returns 0, or LISTENERS_EXPLAINED when there
// is an address in them that nobody listens on.
int listeners_require_proxy(
	struct listeners *listeners, const struct options_ranges *ranges) WARN_UNUSED;

// Writes all addresses, for the log.
enum { LISTENERS_TEXT_MAX = 4096 };
void listeners_format(const struct listeners *listeners, char out[LISTENERS_TEXT_MAX]);
