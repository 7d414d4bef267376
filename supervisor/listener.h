// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The sockets visitors come in by. The supervisor makes them and hands every gate a copy; it never
// accepts itself.

#pragma once

#include "util.h"

#include <netinet/in.h>
#include <sys/socket.h>

// What a connection gets that may be cut at any time: closing it while nothing else was agreed
// resets it (SO_LINGER with 0 seconds) and drops what is queued, small pieces go out at once, and a
// peer that has vanished is noticed within two minutes. Accepted sockets inherit this from their
// listener. Returns 0 or a negative errno.
int listener_set_options(int fd) WARN_UNUSED;

// Makes a socket that listens on ADDRESS. One on [::] takes IPv4 connections too unless ONLY_V6.
// Returns it (non-blocking, close-on-exec) or a negative errno.
int listener_open(const struct sockaddr *address, bool only_v6) WARN_UNUSED;

// "127.0.0.1:8080", "[::1]:8080". Returns OUT.
enum { LISTENER_TEXT_MAX = INET6_ADDRSTRLEN + sizeof "[]:65535" };
const char *listener_format(const struct sockaddr *address, char out[LISTENER_TEXT_MAX]);

// The port of ADDRESS, in host order.
uint16_t listener_port(const struct sockaddr *address);
void listener_set_port(struct sockaddr *address, uint16_t port);

// Whether it is 0.0.0.0 or [::].
bool listener_is_wildcard(const struct sockaddr *address);

// Whether both are the same, ports aside.
bool listener_same_host(const struct sockaddr *a, const struct sockaddr *b);

// Bytes of ADDRESS that are in use, for bind() and connect().
static inline socklen_t listener_address_size(const struct sockaddr *address)
{
	return address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
					      : sizeof(struct sockaddr_in);
}
