// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Heads as we send them on: built anew from what was parsed, never the received bytes. What each
// field becomes is one table per direction.

#pragma once

#include "http_head.h"
#include "mapping.h"
#include "tunnel_config.h"

// Our element of Via.
#define REWRITE_VIA "1.1 tunneld"

struct rewrite_request {
	const struct http_head *head;
	struct span path;      // as the backend is to see it, query included
	struct span prefix;    // what was taken off it, for X-Forwarded-Prefix; may be absent
	struct span authority; // of the backend
	const struct mapping *mapping;
	const uint8_t *peer; // PEER_SIZE bytes
	bool https;          // how the visitor came
	bool authorization;  // the visitor's Authorization belongs to the backend
	bool upgrade;        // ask the backend to switch protocols
};

// Writes the request head into OUT. Returns its length, or 0 when it does not fit.
size_t rewrite_request(const struct rewrite_request *request, char *out, size_t size);

// Puts AUTHORITY into the Host field of a head that rewrite_request() has made. Returns the length
// of the head in OUT; 0 when it is in HEAD already, or does not fit.
size_t rewrite_host(struct span head, struct span authority, char *out, size_t size);

struct rewrite_response {
	const struct http_head *head;
	const struct mapping *mapping;
	bool chunked; // the body goes out in chunks
	bool no_body; // none goes out, although fields may describe one (HEAD, 304)
	bool close;   // the connection ends after it
	bool upgrade; // a 101 that was asked for
};

// The same for a response head; interim ones too.
size_t rewrite_response(const struct rewrite_response *response, char *out, size_t size);
