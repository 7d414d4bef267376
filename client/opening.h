// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// A connection being made: name, addresses one after the other, proxy, TLS. It runs on a loop, so
// that an agent serves on its old connection meanwhile; for commands that only wait there is
// transport_open().

#pragma once

#include "buf.h"
#include "loop.h"
#include "proxy.h"
#include "resolution.h"
#include "tls.h"
#include "transport.h"

// Where to, and how. Borrowed from the start of an opening to its end.
struct route {
	const struct url *server;  // http or https
	const struct proxy *proxy; // NULL: straight
	struct tls_trust *trust;   // with https
};

enum opening_stage {
	OPENING_NAME,    // looking up the name (of the proxy, if there is one)
	OPENING_CONNECT, // TCP
	OPENING_PROXY,   // CONNECT
	OPENING_TLS,     // handshake
	OPENING_DONE,
};

struct opening {
	struct loop *loop;
	struct route route;
	struct instant deadline; // of all of it
	// Told the end, never from within opening_start(): R is 0 and the transport the callee's,
	// or an exit code with its sentence in ->failure, or a negative errno. The opening may be
	// freed or started again there.
	void (*opened)(struct opening *opening, struct transport *transport, int r);

	// To be read then, also when it failed.
	enum opening_stage stage;
	char address[64]; // the last one tried, "127.0.0.1:8080"; "" if it did not come to that
	struct failure failure;

	// Private.
	struct resolution *resolution;
	const struct addrinfo *next; // address to try after this one
	unsigned left;               // how many those are
	int fd;
	SSL *ssl;
	struct buf out, in; // talk with the proxy
	struct loop_watch watch;
	struct loop_timer timer; // of this address, or of all
};

// Starts. LOOP, ROUTE, DEADLINE and OPENED are set by the caller, the rest is zero. Returns 0 or a
// negative errno, and then OPENED is not called.
int opening_start(struct opening *opening) WARN_UNUSED;

// Gives up. An opening that has ended, or was never started but is zero, is left alone.
void opening_cancel(struct opening *opening);

// Opens and waits for it. Returns 0, EXIT_CODE_UNREACHABLE with its sentence, or a negative errno.
int transport_open(struct transport **ret, const struct route *route, struct instant deadline,
	struct failure *failure) WARN_UNUSED;
