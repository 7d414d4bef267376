// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Metrics in the text format of Prometheus, version 0.0.4. One table names them all: what is not in
// it is not told. No label has values that a client chooses.

#pragma once

#include "buf.h"
#include "connections.h"
#include "metrics.h"

#define METRICS_TEXT_TYPE "text/plain; version=0.0.4; charset=utf-8"

// Everything there is to tell.
struct metrics_all {
	struct metrics supervisor;
	uint64_t requests;                      // to the API, or for what no relay serves
	uint64_t connections[CONNECTION_KINDS]; // open now
	uint64_t refusals[CODES];               // but pages, which the relay has counted
	uint64_t database_errors;               // failed calls
	const char *version;
};

// Appends all of it to OUT. Returns 0 or buf_add()'s error.
int metrics_text(struct buf *out, const struct metrics_all *all) WARN_UNUSED;
