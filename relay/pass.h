// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The pass by which WebSockets at the root of the shared origin get into a tunnel that asks for a
// secret. The tunnel cookie is for /t/<id>/, so browsers do not show it with `new
// WebSocket("wss://host/socket")`; they show the routing cookie (stray.h), which has this pass in
// it when it was left by a page that its visitor had been let in to see:
//
//     tunneld_route=<id>.<pass>
//
// 64 lower-case hex digits: HMAC-SHA-256 of "tunneld-pass:<id>" under the SHA-256 of the tunnel's
// secret. It is good for nothing but such WebSockets, and not after the tunnel: neither ids nor
// secrets are used again. What it lets whom do is in SECURITY.md.

#pragma once

#include "secret.h"

enum { PASS_DIGITS = 64 };

struct pass {
	char digits[PASS_DIGITS + 1]; // terminated; empty: the tunnel asks for no secret
};

// ID has at most TUNNEL_ID_MAX bytes.
void pass_make(struct pass *pass, const char *id, const struct secret_hash *secret);

// Whether SHOWN is this pass. In constant time, as far as its digits go.
bool pass_equal(const struct pass *pass, struct span shown);
