// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// One call of the dstack guest service, over a connection the supervisor has made: HTTP/1.1, JSON,
// a connection for each. The service is asked for GetQuote, Info and Version only (quoter.c), never
// for what it answers with a private key (GetKey, GetTlsKey). Its answers are as little trusted as
// anybody's: bounded in size, their form is checked, and the caller bounds their time.

#pragma once

#include "buf.h"
#include "http_chunk.h"
#include "http_head.h"
#include "loop.h"

enum { GUEST_ANSWER_MAX = 1 << 20, GUEST_HEAD_ROOM = HTTP_HEAD_MAX + 4096 };

// How it went. What is not GUEST_OK is a state of the evidence, by this name.
enum guest_outcome {
	GUEST_OK,
	GUEST_UNAVAILABLE, // there is no such socket, or nobody accepts there
	GUEST_SLOW,        // no answer in time
	GUEST_CUT_OFF,     // the connection ended before the answer did
	GUEST_TOO_LARGE,
	GUEST_MALFORMED, // no HTTP, no JSON, a member missing or of another form
	GUEST_ERROR,     // it says that it failed
	GUEST_MISMATCH,  // a quote that is no TDX quote, or about something else than was asked
	GUEST_OUTCOMES
};

// "unavailable" ...; "quoted" for GUEST_OK.
const char *guest_outcome_name(enum guest_outcome outcome);

struct guest_call {
	struct loop *loop;
	struct loop_watch watch; // watch.fd: the connection, owned; -1: no call under way
	struct buf out, in, body;
	size_t scanned;
	bool has_head;
	struct http_chunk chunk;
	enum http_body framing;
	uint64_t left;
	unsigned status;
	// Called once, from the loop, with nothing under way any more. BODY is the answer's (of
	// GUEST_OK: status 200; of GUEST_ERROR: what it says), valid during the call.
	void (*done)(struct guest_call *call, enum guest_outcome outcome, struct span body);
};

void guest_call_init(struct guest_call *call, struct loop *loop,
	void (*done)(struct guest_call *call, enum guest_outcome outcome, struct span body));

// Sends a POST of the JSON text BODY to PATH over FD (consumed). Returns 0, or a negative errno:
// there is no call then.
int guest_call_start(
	struct guest_call *call, int fd, const char *path, struct span body) WARN_UNUSED;

// The same as a GET of PATH from HOST, for what the operator has elsewhere (collateral.h); FD may
// still be connecting.
int guest_call_get(struct guest_call *call, int fd, struct span host, struct span path) WARN_UNUSED;

// Gives up; `done` is not called. Harmless when none is under way.
void guest_call_stop(struct guest_call *call);
