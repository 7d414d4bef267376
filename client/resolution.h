// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// One look-up of a name, beside everything else: getaddrinfo() has no deadline and cannot be
// polled, so a thread does it, and may be left behind.

#pragma once

#include "util.h"

#include <netdb.h>

enum { RESOLUTION_ADDRESSES = 16 }; // more are ignored

struct resolution;

// Starts looking for stream addresses of HOST (a name, or an address without brackets) and PORT.
// Returns 0 or a negative errno.
int resolution_start(struct resolution **ret, const char *host, uint16_t port) WARN_UNUSED;

// Readable once there is a result. Closed by resolution_free().
int resolution_fd(const struct resolution *resolution);

// The result, once the descriptor is readable: 0 and *RET (valid until the resolution is freed), or
// 1 with *WHY it failed (static text).
int resolution_result(
	struct resolution *resolution, const struct addrinfo **ret, const char **why) WARN_UNUSED;

// Forgets it without waiting, whatever state it is in. Accepts NULL, returns NULL.
struct resolution *resolution_free(struct resolution *resolution);
