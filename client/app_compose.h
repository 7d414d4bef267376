// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The application definition of a dstack machine: the exact text whose SHA-256 the boot measured.

#pragma once

#include "json_read.h"
#include "why.h"

enum { APP_COMPOSE_MAX = 1 << 20, COMPOSE_HASH_SIZE = 32 };

// Whether TEXT is the one that was measured as EXPECTED (32 bytes).
bool app_compose_is(struct span text, struct span expected, struct why *why);
bool app_compose_hash(struct span text, uint8_t out[COMPOSE_HASH_SIZE]);

// Whether one container at most, and nothing outside containers but scripts that ACCEPTED lists by
// their SHA-256 (NULL: none), can ask dstack's guest service for quotes (compose_lines.h).
bool app_compose_socket_alone(struct span text, const json_t *accepted, struct why *why);
// Whether each image is named by its digest.
bool app_compose_images_pinned(struct span text, struct why *why);
