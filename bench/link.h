// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// A connection of a load: TCP, or TLS 1.3 over it. Every one makes a full handshake, and takes any
// certificate: what it costs the other side is what is measured.

#pragma once

#include "bench.h"

#include <openssl/ssl.h>

struct link {
	int fd;     // -1: there is none
	SSL *tls;   // NULL: plain
	bool waits; // TLS has to receive before it can send
};

// Takes over FD, which may still be connecting.
void link_open(struct link *link, int fd, bool tls);
void link_close(struct link *link);

// As recv(2) and send(2) without flags; an end without close_notify is an end.
ssize_t link_recv(struct link *link, void *bytes, size_t n);
ssize_t link_send(struct link *link, const void *bytes, size_t n);

// Receives up to N bytes that nobody looks at, in the kernel where that is possible.
ssize_t link_drop(struct link *link, size_t n);
// Sends up to N bytes of the pattern (bench_pattern()) from OFFSET on, as cheaply as it can.
ssize_t link_send_pattern(struct link *link, int pattern, off_t offset, size_t n);
