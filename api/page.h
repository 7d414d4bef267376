// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Answers for people: a page for every code, one for the front door, one with the login form of a
// tunnel, from the templates in web/. A page is one answer, with style and script in it: it loads
// nothing, so it looks the same when nothing else is served any more, and its
// Content-Security-Policy names both by their hashes. On an origin that tunnels share, 'self' would
// allow what any of them serves. The dashboard, which has an origin of its own, loads its files.

#pragma once

#include "buf.h"
#include "code.h"
#include "template.h"

struct page {
	enum code code;       // CODE_NONE: the front door, 200
	struct span detail;   // absent: the code's own sentence
	bool to_head;         // answers HEAD: everything but the body
	unsigned retry_after; // seconds; 0: the code's own
	struct span fields;   // further field lines, each with CR LF
	struct span tunnel; // the id of a tunnel that lives, if it is about one; absent: it is not
	bool login;         // the login form of that tunnel, in place of what CODE says otherwise.
			    // CODE_NONE: it was asked for, 200
	bool dashboard;     // in place of the front door
	struct span to; // the form's field of this name, an address to go to afterwards; or absent
};

// Appends the whole answer, head and body; the connection ends with it. Returns 0 or buf_add()'s
// error. REQUEST_ID (may be NULL) as with problem_format().
int page_format(struct buf *out, const struct page *page, char *request_id);
