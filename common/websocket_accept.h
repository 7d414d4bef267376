// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The one computation of the WebSocket opening handshake (RFC 6455 section 4). A relay gets its
// connections after it and does not link this.

#pragma once

#include "util.h"

enum { WEBSOCKET_ACCEPT_SIZE = 28 };

// Whether KEY is the base64 of 16 bytes, as Sec-WebSocket-Key has to be.
bool websocket_nonce_ok(struct span key);

// Sec-WebSocket-Accept for a Sec-WebSocket-Key: 28 characters, not terminated.
void websocket_accept(struct span key, char out[WEBSOCKET_ACCEPT_SIZE]);
