// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The header by which a proxy says for whom it has opened a connection: the PROXY protocol,
// versions 1 and 2 (haproxy, doc/proxy-protocol.txt). It comes before all else, before TLS too, and
// only on listeners that require it: there a peer without one is refused, elsewhere it is no
// request.

#pragma once

#include "messages.h"

// More than any that is sent: 16 bytes, the addresses, and what a proxy adds about TLS.
enum { PROXY_HEADER_MAX = 4096 };

enum proxy_header_outcome {
	PROXY_HEADER_MORE = 1, // it is not complete yet
	PROXY_HEADER_BAD = 2,  // it is none, or one that no proxy sends, or too long
};

// Reads the header at the start of BYTES. Returns 0 with *SIZE, the bytes it takes, and the visitor
// in PEER, which stays as it is when the proxy speaks for itself (LOCAL) or does not know (UNKNOWN,
// AF_UNSPEC), and is all zero for one that has no address (AF_UNIX); or an outcome, with nothing
// written. Extensions are skipped, but have to fill what is left exactly.
int proxy_header_parse(
	const char *bytes, size_t n, uint8_t peer[PEER_SIZE], size_t *size) WARN_UNUSED;
