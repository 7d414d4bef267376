// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Answers for people: one small HTML page for every code, one for the front door, and one with the
// login form of a tunnel. Nothing is loaded from anywhere. The login form alone has a script, which
// it does without where there is none; its Content-Security-Policy names that script, and the style
// of all pages, by their hashes.

#pragma once

#include "buf.h"
#include "code.h"

struct page {
	enum code code;       // CODE_NONE: the front door, 200
	struct span detail;   // absent: the code's own sentence
	bool to_head;         // answers HEAD: everything but the body
	unsigned retry_after; // seconds; 0: the code's own
	struct span fields;   // further field lines, each with CR LF
	// The login form of the tunnel with this id, in place of what CODE says otherwise; absent:
	// none. CODE_NONE: it was asked for, 200.
	struct span login;
	struct span to; // the form's field of this name, an address to go to afterwards; or absent
};

// Appends the whole answer, head and body; the connection ends with it. Returns 0 or buf_add()'s
// error. REQUEST_ID (may be NULL) as with problem_format().
int page_format(struct buf *out, const struct page *page, char *request_id);
