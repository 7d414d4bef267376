// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The application definition of a dstack machine: the exact text whose SHA-256 the boot measured.

#pragma once

#include "why.h"

enum { APP_COMPOSE_MAX = 1 << 20, COMPOSE_HASH_SIZE = 32 };

// Whether TEXT is the one that was measured as EXPECTED (32 bytes).
bool app_compose_is(struct span text, struct span expected, struct why *why);
bool app_compose_hash(struct span text, uint8_t out[COMPOSE_HASH_SIZE]);

// Whether the compose file in TEXT gives dstack's guest service to one container at most, so that
// no other can have quotes made for it. It reads lines and no YAML, and so refuses what it cannot
// be sure about: the socket named on more than one line or within a list on one, mounts that
// another container reuses (aliases, extends, volumes_from), a mount of a folder the socket lies
// in, of what a variable says, or of Docker's own socket, through which any container can be had.
bool app_compose_socket_alone(struct span text, struct why *why);
