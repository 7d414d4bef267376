// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "tunnel.h"

static const char *const state_names[TUNNEL_STATES] = {
	[TUNNEL_STARTING] = "starting",
	[TUNNEL_ACTIVE] = "active",
	[TUNNEL_EXPIRED] = "expired",
	[TUNNEL_REVOKED] = "revoked",
	[TUNNEL_EXHAUSTED] = "exhausted",
	[TUNNEL_FAILED] = "failed",
};

const char *tunnel_state_name(enum tunnel_state state)
{
	return state_names[state];
}

enum tunnel_state tunnel_state_parse(struct span text)
{
	for (int i = TUNNEL_STARTING; i < TUNNEL_STATES; i++)
		if (span_eq(text, span_of(state_names[i])))
			return (enum tunnel_state)i;
	return (enum tunnel_state)0;
}

enum tunnel_state tunnel_state_of_end(enum end_reason reason)
{
	switch (reason) {
	case END_EXPIRED: return TUNNEL_EXPIRED;
	case END_REVOKED: return TUNNEL_REVOKED;
	case END_EXHAUSTED: return TUNNEL_EXHAUSTED;
	case END_NONE:
	case END_FAILED:
	case END_REASONS:
	default: return TUNNEL_FAILED;
	}
}

struct tunnel_counters tunnel_counters_read(const struct wire_value *fields)
{
	return (struct tunnel_counters){
		.connections = fields[0].number,
		.open = fields[1].number,
		.requests = fields[2].number,
		.bytes_in = fields[3].number,
		.bytes_out = fields[4].number,
		.last_activity = fields[5].number,
		.agents = fields[6].number,
	};
}
