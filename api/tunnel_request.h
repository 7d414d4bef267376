// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What is asked of /_api/tunnels, the JSON of POST and PATCH and the query of GET: read once, all
// that is wrong with it said at once.

#pragma once

#include "findings.h"
#include "tunnel.h"

// What this server allows.
struct tunnel_bounds {
	uint64_t default_timeout_s, max_timeout_s;
	uint64_t token_left_s;         // of the caller's token, which no tunnel outlives; 0: no end
	uint64_t max_connections;      // at once; 0: no limit
	uint64_t request_rate;         // a second; 0: no limit
	const struct origins *origins; // there are
};

struct tunnel_request {
	char backend[URL_TEXT_MAX]; // canonical; empty: not given, a pull tunnel is wanted
	uint64_t timeout_s;
	enum tunnel_auth auth;
	char name[TUNNEL_NAME_MAX + 1];
	enum tunnel_prefix prefix;
	enum tunnel_origin origin; // 0: the best there is
	// At least 1 where given; 0: no limit. Not given: the server's.
	uint64_t max_connections, max_requests, max_bytes, request_rate;
	char summary[FINDINGS_SUMMARY_SIZE]; // FINDINGS_INVALID
};

// Reads BODY. Returns an enum findings_outcome or -ENOMEM; SAID (empty, of a cap of
// FINDINGS_SAID_MAX or more) is only added to for the two refusals.
int tunnel_request_parse(struct tunnel_request *request, struct span body,
	const struct tunnel_bounds *bounds, struct buf *said) WARN_UNUSED;

// The same for a PATCH, which names the new timeout_s and nothing else.
int tunnel_change_parse(struct tunnel_request *request, struct span body,
	const struct tunnel_bounds *bounds, struct buf *said) WARN_UNUSED;

// Which tunnels a list is to have.
enum { TUNNEL_QUERY_MOST = 1000 };
struct tunnel_query {
	enum tunnel_state state; // 0: all
	unsigned limit;
	int64_t before;                      // of this `seq`
	char summary[FINDINGS_SUMMARY_SIZE]; // FINDINGS_INVALID
};

// Reads what is behind the `?`. Returns FINDINGS_NONE, FINDINGS_INVALID or -ENOMEM.
int tunnel_query_parse(struct tunnel_query *query, struct span text, struct buf *said) WARN_UNUSED;
