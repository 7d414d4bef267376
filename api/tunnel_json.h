// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Tunnels as clients see them.

#pragma once

#include "buf.h"
#include "tunnel.h"

struct tunnel_view {
	const struct origins *origins;
	struct span secret;      // in the answer to its creation only; else absent: no such member
	struct span agent_token; // of a pull tunnel, with `to_creator`
	bool to_creator;         // `secret` is a member even when absent: null
	bool counters;           // with the member `counters`
};

enum { TUNNEL_JSON_MAX = 8192 }; // more than any tunnel takes

// Appends TUNNEL as one JSON object. Returns 0 or buf_add()'s error.
int tunnel_json(
	struct buf *out, const struct tunnel *tunnel, const struct tunnel_view *view) WARN_UNUSED;

// Appends COUNTERS as one, likewise.
int tunnel_json_counters(struct buf *out, const struct tunnel_counters *counters) WARN_UNUSED;
