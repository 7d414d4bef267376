// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// HTTP/1.1 exchanges with the server: one on each connection, as the API has it. The waiting kind;
// whoever runs a loop uses opening.h, http_request_format() and answer.h.

#pragma once

#include "answer.h"
#include "opening.h"

struct http_request {
	const char *method;  // NULL: GET
	const char *path;    // with query
	const char *token;   // for Authorization: Bearer, or NULL
	const char *upgrade; // protocol to change to, or NULL
	const char *fields;  // more field lines, each with CR LF, or NULL
	struct span body;    // JSON; absent: none
};

// Writes the request, head and body, to OUT, which has to be wiped. Returns 0 or a negative errno.
int http_request_format(
	struct buf *out, const struct url *server, const struct http_request *request) WARN_UNUSED;

enum { HTTP_READ_SIZE = 16 * 1024 };

struct http {
	struct transport *transport;
	struct answer answer;    // ->head is there from http_begin() on
	struct instant deadline; // of whatever is waited for next; may be moved
	// Private.
	const char *host;
	struct buf in;
	size_t shown; // bytes at the front of IN that the caller has seen
};

// Connects, sends REQUEST and reads the head of the answer. Returns 0, EXIT_CODE_UNREACHABLE with
// its sentence, or a negative errno. http_end() is needed after success only.
int http_begin(struct http *http, const struct route *route, const struct http_request *request,
	struct instant deadline, struct failure *failure) WARN_UNUSED;

// The next run of body bytes, valid until the next call; {NULL, 0} at the end. Returns as above.
int http_body(struct http *http, struct span *data, struct failure *failure) WARN_UNUSED;

// The whole rest of the body, up to BODY's cap: more is EXIT_CODE_UNREACHABLE, too.
int http_body_all(struct http *http, struct buf *body, struct failure *failure) WARN_UNUSED;

void http_end(struct http *http);
