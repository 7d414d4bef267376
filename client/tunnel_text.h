// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// A tunnel, as the API describes it, in words for people. The document is hostile: members may be
// missing, of another type, or hold anything.

#pragma once

#include "when.h"

#include <jansson.h>
#include <stdio.h>

// How visitors get in: what to open, what to send.
void tunnel_print_access(FILE *out, const json_t *tunnel);

// Everything that is known, one thing on a line.
void tunnel_print_all(FILE *out, const json_t *tunnel);

// When it ends or how it ended: "14m 59s" or the state.
enum { TUNNEL_LEFT_SIZE = WHEN_WORDS_SIZE };
void tunnel_left(const json_t *tunnel, char out[TUNNEL_LEFT_SIZE]);

// Prints DOCUMENT as JSON in printable ASCII, on one line if COMPACT. Returns 0 or a negative
// errno.
int tunnel_print_json(FILE *out, const json_t *document, int compact) WARN_UNUSED;
