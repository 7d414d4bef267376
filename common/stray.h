// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Requests that have strayed: pages below /t/<id>/ name absolute paths (/app.css), which browsers
// ask for at the root of the origin that all tunnels share. Whose they are is told by the page they
// come from, or by the last page the browser has been shown (docs/path-prefix.md).

#pragma once

#include "http_head.h"

// Whether the path of REQUEST is nobody's, so that it may have strayed. A script that is to be a
// service worker never has: at the root it would answer for all tunnels.
bool stray_is(const struct http_head *request);

// The ids of tunnels that a stray request may belong to, absent when nothing names one: by its
// Referer, of the same host, and by the routing cookie. They point into it.
struct span stray_by_referer(const struct http_head *request);
struct span stray_by_cookie(const struct http_head *request);
