// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The address of a visitor as it travels between processes: PEER_SIZE bytes, an IPv6 address (IPv4
// mapped into ::ffff:0:0/96), then the port, big endian. All zero: not known (a Unix socket).

#pragma once

#include "messages.h"

#include <sys/socket.h>

void peer_encode(uint8_t peer[PEER_SIZE], const struct sockaddr *address);

// Reads an IPv4 or IPv6 address, as FAMILY says or, with AF_UNSPEC, either, in the one spelling
// inet_pton(3) takes. The port becomes 0. Returns false, with nothing written, when TEXT is none.
bool peer_parse(uint8_t peer[PEER_SIZE], struct span text, int family);

void peer_set_port(uint8_t peer[PEER_SIZE], uint16_t port);

// Writes the address without the port ("192.0.2.1", "2001:db8::1", "unknown" for all zero) into
// TEXT and returns it.
enum { PEER_TEXT_SIZE = 46 };
struct span peer_format(const uint8_t peer[PEER_SIZE], char text[PEER_TEXT_SIZE]);
