// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Reads along while one connection to the backend carries HTTP/1, to say what was asked and how it
// was answered. It changes nothing and holds nothing up: what it does not understand, and what
// follows a 101, it looks at no more.
//
// The relay sends one request at a time on a connection and only heads of its own making, so one
// record is enough; a request that comes before the last was answered ends the reading.

#pragma once

#include "buf.h"
#include "clock.h"
#include "http_chunk.h"

// One exchange that is over, or has switched protocols.
struct sniff_report {
	struct span method, path;     // query included; a path over SNIFF_PATH_MAX is cut
	unsigned status;              // 0: there was no answer
	int64_t us;                   // from the end of the request's head to the end of the answer
	uint64_t bytes_in, bytes_out; // of the bodies
	bool cut;                     // the connection ended before the answer did
};

// A head that comes in parts and is larger than SNIFF_HEAD_MAX ends the reading: what a connection
// can make us keep is that and a path.
enum { SNIFF_METHOD_MAX = 32, SNIFF_PATH_MAX = 2048, SNIFF_HEAD_MAX = 8192 };

// Who is told.
struct sniff_sink {
	void (*report)(struct sniff_sink *sink, const struct sniff_report *report);
};

// One direction.
struct sniff_side {
	struct buf head;         // a head that has come in part
	size_t scanned;          // of it
	struct http_chunk chunk; // of a chunked body
	uint64_t left;           // of a body of known length
	uint8_t state;           // private to sniff.c
};

struct sniff_record; // from a request's head to the end of its answer

struct sniff {
	struct sniff_side request, response;
	struct sniff_record *record;
	bool done; // nothing is looked at any more
};

void sniff_init(struct sniff *sniff);
// Frees what it holds, without a report.
void sniff_deinit(struct sniff *sniff);

// Bytes on their way to the backend.
void sniff_request(struct sniff *sniff, struct span bytes, struct instant now);
// Bytes from the backend; SINK is told of what they complete.
void sniff_response(
	struct sniff *sniff, struct span bytes, struct instant now, struct sniff_sink *sink);

// The backend has ended its direction: an answer that lasts until then is over.
void sniff_response_end(struct sniff *sniff, struct instant now, struct sniff_sink *sink);
// The connection is gone; an exchange that was not over is reported as cut.
void sniff_end(struct sniff *sniff, struct instant now, struct sniff_sink *sink);
