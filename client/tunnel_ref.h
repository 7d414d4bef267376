// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Tunnels as people name them: by id, or by an address that leads to one.

#pragma once

#include "util.h"

// "t-" and 26 characters, as docs/api.md has it; longer ones of later servers fit too.
enum { TUNNEL_ID_MIN = 22, TUNNEL_ID_MAX = 64, TUNNEL_ID_SIZE };

bool tunnel_id_ok(struct span text);

// The id in TEXT: itself, or that in the path (/t/ID/...) or host (ID.example.org) of a URL,
// whatever follows it, secret included. The absent span when there is none.
struct span tunnel_ref_id(struct span text);

// Whether TEXT is a URL at all: if it has no id, the tunnel has to be found by its address.
bool tunnel_ref_is_url(struct span text);
