// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The opening handshake of an agent's WebSocket, from the server's side (RFC 6455 section 4.2).
// Nothing is negotiated but the one subprotocol there is: extensions that are offered are not
// taken.

#pragma once

#include "http_head.h"

#define HANDSHAKE_PROTOCOL "tunneld.v1"

enum handshake_outcome {
	HANDSHAKE_UPGRADE = 1, // 426: it does not ask for a WebSocket of version 13
	HANDSHAKE_BAD = 2,     // 400: it asks wrongly, or for another subprotocol
};

// Judges the request HEAD. Returns 0 with *KEY, the value of Sec-WebSocket-Key; or an outcome with
// *WHY, a sentence for its sender (static text).
int handshake_check(const struct http_head *head, struct span *key, const char **why) WARN_UNUSED;

// The fields that stand in every answer of HANDSHAKE_UPGRADE (RFC 9110 section 15.5.22, RFC 6455
// section 4.4).
#define HANDSHAKE_UPGRADE_FIELDS \
	"Upgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 13\r\n"
