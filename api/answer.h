// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Answers to the request of a connection: each call is one complete answer.

#pragma once

#include "connection.h"
#include "findings.h"
#include "page.h"
#include "tunnel_json.h"
#include "web.h"

// A JSON document. FIELDS: further field lines, each with CR LF; {NULL, 0}: none.
void answer_json(
	struct connection *connection, unsigned status, struct span document, struct span fields);

// The same with a document of another TYPE.
void answer_document(struct connection *connection, unsigned status, const char *type,
	struct span document, struct span fields);

// 200 with TUNNEL.
void answer_with_tunnel(
	struct connection *connection, const struct tunnel *tunnel, const struct tunnel_view *view);

// 200 and an answer of TYPE without an end, which comes from WAITER (connection_stream()); NULL: to
// a HEAD request, which gets none.
void answer_stream(
	struct connection *connection, const char *type, struct connection_waiter *waiter);

// A document as above into OUT; TO_HEAD: without it.
int answer_format(struct buf *out, unsigned status, const char *type, struct span document,
	struct span fields, bool to_head) WARN_UNUSED;

// BYTES, a complete answer of STATUS that was made before.
void answer_bytes(struct connection *connection, unsigned status, struct span bytes);

// 101 to an agent of tunnel ID, whose Sec-WebSocket-Key is KEY: connection_upgrade().
void answer_upgrade(struct connection *connection, const char *id, struct span key);

// FILE to REQUEST: by gzip if it takes that, or 304 if it has it already.
void answer_file(
	struct connection *connection, const struct request *request, const struct web_file *file);

// 204, 304 or another status without a body.
void answer_empty(struct connection *connection, unsigned status, struct span fields);

// problem+json for CODE. FORMAT is the sentence for people.
void answer_problem(struct connection *connection, enum code code, const char *format, ...)
	PRINTF(3, 4);

// CODE for what is wrong with the member NAME of the request's document. REASON: of
// finding_reason().
void answer_wrong_member(
	struct connection *connection, enum code code, const char *name, struct span reason);
// The same for the field NAME of its head. DETAIL is a sentence.
void answer_wrong_field(
	struct connection *connection, enum code code, const char *name, const char *detail);

// The same with everything said; `form` and `to_head` are filled in here.
void answer_problem_full(struct connection *connection, struct problem *problem);

// What a request was found to be: OUTCOME is one of findings_outcome (but FINDINGS_NONE) or a
// negative errno.
void answer_findings(
	struct connection *connection, int outcome, const char *summary, struct span said);

// CODE in the form the asker can read: a page, problem+json or the bare status.
void answer_refusal(
	struct connection *connection, enum code code, unsigned retry_after, struct span fields);

// The login form of tunnel ID. CODE: CODE_AUTH_REQUIRED, CODE_AUTH_FAILED, CODE_RATE_LIMITED (too
// many failures), or CODE_NONE: the form was asked for. TO: where the login is to lead; absent: not
// known. Who cannot read pages gets CODE as answer_refusal() gives it.
void answer_login(struct connection *connection, enum code code, unsigned retry_after,
	const char *id, struct span to);

// 200 with a page of KIND, whose template gets N VALUES.
void answer_filled(struct connection *connection, const struct page_kind *kind,
	const struct template_value *values, size_t n);
