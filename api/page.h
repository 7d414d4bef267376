// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Answers for people: one small HTML page for every code, and one for the front door. No script,
// nothing loaded from anywhere, nothing of the request in it.

#pragma once

#include "buf.h"
#include "code.h"

struct page {
	enum code code;       // CODE_NONE: the front door, 200
	struct span detail;   // absent: the code's own sentence
	bool to_head;         // answers HEAD: everything but the body
	unsigned retry_after; // seconds; 0: the code's own
	struct span fields;   // further field lines, each with CR LF
};

// Appends the whole answer, head and body; the connection ends with it. Returns 0 or buf_add()'s
// error. REQUEST_ID (may be NULL) as with problem_format().
int page_format(struct buf *out, const struct page *page, char *request_id);
