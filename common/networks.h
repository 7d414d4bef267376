// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Networks as they travel between processes: NETWORK_SIZE bytes each, an address like that of a
// peer (IPv4 mapped) and how many of its 128 bits have to agree.

#pragma once

#include "messages.h"

enum { NETWORK_SIZE = 17, NETWORKS_MAX = 64 };

// Copies GIVEN, for as long as the process lives. Returns 0, -EBADMSG when there is a copy already,
// or -ENOMEM.
int networks_keep(struct span *kept, struct span given) WARN_UNUSED;

// Whether one of NETWORKS has the address of PEER. An IPv4 address is in none but those of IPv4.
bool networks_have(struct span networks, const uint8_t peer[PEER_SIZE]);
