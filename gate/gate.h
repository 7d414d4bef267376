// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The gate: takes every visitor first, reads one request head, and passes the connection to the
// relay of its tunnel or to the API worker. It decides by the path and the live routes alone, and
// forgets a connection as it passes it on.
//
// What a visitor costs when its head arrives with the first read: accept4, recvfrom, sendmsg and
// close, and a share of the epoll_wait and of the accept4 that finds no further one (315 and 5 for
// 5,000 visitors, 64 at a time). No memory is allocated and no timer set; counts for metrics are
// one message a second.

#pragma once

#include "acceptors.h"
#include "origin.h"
#include "outlet.h"
#include "routes.h"

enum {
	GATE_API_FD = 4,   // where a gate finds the sending end towards the API worker
	GATE_EDGES_FD = 5, // and the receiving end of what edges send
};

enum gate_exit {
	GATE_EXIT_USAGE = 2,   // started with other arguments than a supervisor gives
	GATE_EXIT_SEAL = 3,    // the sandbox could not be entered
	GATE_EXIT_START = 4,   // no memory or descriptors to begin with
	GATE_EXIT_CONTROL = 5, // the control channel ended: closed by the supervisor, or a message
			       // on it was refused
	GATE_EXIT_LOST =
		6, // a message was lost for want of a descriptor: a new gate gets all again
	GATE_EXIT_LOOP = 7, // epoll failed
};

struct gate {
	struct loop loop;
	struct ipc_channel control;
	struct ipc_channel edges;
	struct outlet api;
	struct routes routes;
	struct visitors visitors;
	struct acceptors acceptors;
	struct origins origins;
	struct tunnel *by_listener[LISTENERS_MAX]; // whose own a listener is
	struct request_batch batch;                // of the request log
	uint64_t messages;                         // handled on the control channel, ever
	struct instant stopped_last; // when it was last logged that accepting had to stop
};

// Prepares a gate with its channels on their fixed descriptors and reports REACHED (enum
// seal_reached). Returns 0 or a negative errno.
int gate_init(struct gate *gate, uint32_t epoch, unsigned reached);

// Serves until the supervisor is gone. Returns an enum gate_exit.
int gate_run(struct gate *gate);
