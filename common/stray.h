// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Requests that have strayed: pages below /t/<id>/ name absolute paths (/app.css), which browsers
// ask for at the root of the origin that all tunnels share. Whose they are is told by the page they
// come from, or by the last page the browser has been shown (docs/path-prefix.md).

#pragma once

#include "http_head.h"

// Whether the path of REQUEST is nobody's, so that it may have strayed; `/` is nobody's when it is
// an upgrade, as we have none there. A script that is to be a service worker never has strayed: at
// the root it would answer for all tunnels.
bool stray_is(const struct http_head *request);

// The id of the tunnel that a stray request may belong to by its Referer, of the same host; absent
// when that names none. It points into REQUEST.
struct span stray_by_referer(const struct http_head *request);

// The same by the routing cookie, `tunneld_route=<id>` or `tunneld_route=<id>.<pass>`.
struct stray_route {
	struct span id;   // absent: there is no such cookie
	struct span pass; // of relay/pass.h, not looked at; may be absent
};
struct stray_route stray_by_cookie(const struct http_head *request);
