// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Answers of our own that say what went wrong, in the form the asker can read: a page for people,
// application/problem+json (RFC 9457) for programs, the bare status for an upgrade.

#pragma once

#include "buf.h"
#include "code.h"
#include "http_head.h"

enum answer_form {
	FORM_JSON = 0, // problem+json
	FORM_HTML,     // a page: a browser's top-level navigation. Only the API worker makes these
	FORM_STATUS,   // no body: answer to an upgrade
	ANSWER_FORMS
};

// What REQUEST's sender wants: Upgrade means FORM_STATUS; Sec-Fetch-Mode: navigate, or without that
// field an Accept that names text/html, means FORM_HTML.
enum answer_form answer_form(const struct http_head *request);

struct problem {
	enum code code;
	struct span detail;    // what, where, what to do; absent: the code's own sentence
	enum answer_form form; // FORM_JSON or FORM_STATUS
	bool to_head;          // answers HEAD: everything but the body
	bool keep_alive;       // false adds Connection: close
	unsigned retry_after;  // seconds; 0: the code's own
	struct span fields;    // further field lines, each with CR LF (e.g. WWW-Authenticate)
	struct span members;   // further JSON members, each led by a comma (e.g. `,"errors":[...]`)
};

// Appends the whole answer, head and body, to OUT. A fresh request_id is made for it and, if
// REQUEST_ID is not NULL, written there for the log. Returns 0 or buf_add()'s error.
enum { REQUEST_ID_SIZE = 25 }; // 96 random bits in hex, terminated
int problem_format(struct buf *out, const struct problem *problem,
	char request_id[REQUEST_ID_SIZE]) WARN_UNUSED;

// Makes a sentence for `detail`, in OUT, of WHY http_request_parse() has refused a request.
enum { PROBLEM_WHY_SIZE = 128 };
struct span problem_why(char out[PROBLEM_WHY_SIZE], const char *why);

// Fills ID with a fresh request id.
void request_id_make(char id[REQUEST_ID_SIZE]);

// Appends the field lines that go with CODE in any form: Tunnel-Error, Proxy-Status, Retry-After
// (RETRY_AFTER seconds, 0: the code's own, if any), Cache-Control: no-store.
int problem_fields(struct buf *out, enum code code, unsigned retry_after) WARN_UNUSED;

// Appends TEXT, which is UTF-8, as a JSON string with its quotes.
int problem_string(struct buf *out, struct span text) WARN_UNUSED;
