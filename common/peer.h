// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The address of a visitor as it travels between processes: PEER_SIZE bytes, an IPv6 address (IPv4
// mapped into ::ffff:0:0/96), then the port, big endian. All zero: not known (a Unix socket).

#pragma once

#include "messages.h"

#include <sys/socket.h>

void peer_encode(uint8_t peer[PEER_SIZE], const struct sockaddr *address);

// Writes the address without the port ("192.0.2.1", "2001:db8::1", "unknown" for all zero) into
// TEXT and returns it.
enum { PEER_TEXT_SIZE = 46 };
struct span peer_format(const uint8_t peer[PEER_SIZE], char text[PEER_TEXT_SIZE]);
