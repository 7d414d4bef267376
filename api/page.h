// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Answers for people, from the templates in web/. A page is one answer, with style and script in
// it: it loads nothing, so it looks the same when nothing else is served any more, and its
// Content-Security-Policy names both by their hashes. On an origin that tunnels share, 'self' would
// allow what any of them serves. The dashboard, which has an origin of its own, loads its files.

#pragma once

#include "buf.h"
#include "code.h"
#include "template.h"

// A kind of page: its template, and what it may do besides being looked at.
struct page_kind {
	const char *file;
	const char *form;     // form-action
	const char *connect;  // connect-src, as a whole directive, or empty
	const char *referrer; // Referrer-Policy. Under no-referrer browsers send a form with
			      // `Origin: null`, and nothing says where it was sent from
};
extern const struct page_kind page_front, page_tunnel, page_evidence, page_notice, page_dashboard;

struct page {
	enum code code;       // CODE_NONE: 200
	struct span detail;   // absent: the code's own sentence
	bool to_head;         // answers HEAD: everything but the body
	unsigned retry_after; // seconds; 0: the code's own
	struct span fields;   // further field lines, each with CR LF
	struct span abuse;    // where to report abuse, as a URL; absent: nowhere
	struct span tunnel; // the id of a tunnel that lives, if it is about one; absent: it is not
	bool login;         // the login form of that tunnel, in place of what CODE says otherwise
	struct span to; // the form's field of this name, an address to go to afterwards; or absent
};

// Appends the whole answer that tells about page->code, or is a login form, head and body; the
// connection ends with it. Returns 0 or buf_add()'s error. REQUEST_ID (may be NULL) as with
// problem_format().
int page_format(struct buf *out, const struct page *page, char *request_id) WARN_UNUSED;

// The same for a page of KIND, whose template gets N VALUES; `abuse` is added. Of PAGE, what says
// something to a template is not looked at.
enum { PAGE_VALUES_MAX = 31 };
int page_fill(struct buf *out, const struct page_kind *kind, const struct page *page,
	const struct template_value *values, size_t n) WARN_UNUSED;
