// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The names of what can go wrong, as people and programs see them: in `code` of an answer, in the
// Tunnel-Error field and in logs. This table is their only source.

#pragma once

#include "util.h"

enum code {
	CODE_NONE = 0,
	CODE_TUNNEL_UNKNOWN,
	CODE_TUNNEL_OVER,
	CODE_AUTH_REQUIRED,
	CODE_AUTH_FAILED,
	CODE_RATE_LIMITED,
	CODE_TOO_MANY_CONNECTIONS,
	CODE_QUOTA_REACHED,
	CODE_BACKEND_REFUSED,
	CODE_BACKEND_TIMEOUT,
	CODE_BACKEND_BAD_RESPONSE,
	CODE_BACKEND_FORBIDDEN,
	CODE_AGENT_OFFLINE,
	CODE_BAD_REQUEST,
	CODE_MISDIRECTED,
	CODE_TOO_LARGE,
	CODE_HEAD_TOO_LARGE,
	CODE_INVALID,
	CODE_TOKEN_INVALID,
	CODE_TOKEN_SCOPE,
	CODE_IDEMPOTENCY_EXPIRED,
	CODE_CONFLICT,
	CODE_DRAINING,
	CODE_INTERNAL,
	CODE_NOT_FOUND, // a route of the API that does not exist
	CODE_METHOD_NOT_ALLOWED,
	CODE_REQUEST_TIMEOUT, // a body announced to the API that did not come
	CODE_LOOP_DETECTED,
	CODE_UPGRADE_REQUIRED, // the agents' address without a WebSocket handshake
	CODES
};

struct code_info {
	const char *name;        // "tunnel_unknown"
	uint16_t status;         // HTTP status
	uint16_t retry_after;    // seconds for Retry-After, 0: none
	const char *title;       // a few words for people
	const char *detail;      // the sentence used when nothing more precise is known
	const char *proxy_error; // RFC 9209 section 2.3 error type, NULL: answered by us, not for
				 // the backend
};

// CODE is one of the above, CODE_NONE excluded.
const struct code_info *code_info(enum code code);

// The standard reason phrase of an HTTP status, "" if none is known.
const char *http_reason(unsigned status);
