// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What the two halves of a connection share: connection_request.c reads, connection.c answers and
// does all else.

#pragma once

#include "connection.h"

enum {
	CONNECTION_READ = 4096, // at once, and the first allocation of `in`: most heads fit
	CONNECTION_IN_MAX = MESSAGE_HEAD_MAX + CONNECTION_READ,
};

enum step {
	STEP_AGAIN, // another state, or more to do in this one
	STEP_WAIT,  // the loop will call
	STEP_OVER,  // nothing left to do: free it
};

// ---- connection.c

void connection_set_deadline(struct connection *c, int64_t ms);
enum step connection_wait_for(struct connection *c, uint32_t events);

// ---- connection_request.c

enum step connection_step_head(struct connection *c);
enum step connection_step_body(struct connection *c);
void connection_forget_request(struct connection *c);
// Answers CODE; DETAIL may be NULL.
void connection_refuse(struct connection *c, enum code code, const char *detail);
