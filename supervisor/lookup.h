// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Addresses of one host name, as getaddrinfo() knows them. May take as long as name servers do.

#pragma once

#include "messages.h"

#include <netinet/in.h>

// Makes look-ups use hosts file and name servers only, whatever nsswitch.conf says: other sources
// load modules, which a sealed process cannot.
void lookup_init(void);

// Writes at most ADDRESSES_MAX different addresses, IPv4 mapped, best first (RFC 6724), and returns
// their number; 0 with *WHY set to static text.
size_t lookup_name(const char *name, struct in6_addr addresses[ADDRESSES_MAX], const char **why);
