// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What the API answers to, as one table: method, path, who may, and which handler.

#pragma once

#include "connection.h"

struct worker;

enum route_access {
	ROUTE_PUBLIC,
	ROUTE_AGENT, // an agent token, or one that owns the tunnel: its handler finds out
	ROUTE_TOKEN, // any valid token
	ROUTE_OWNER, // the owner's
};

struct route {
	enum http_method method; // GET also serves HEAD
	const char *path;        // "{id}" stands for one segment, kept in request->id
	enum route_access access;
	void (*handle)(
		struct worker *worker, struct connection *connection, struct request *request);
	bool open;    // pages of any origin may read the answers
	bool control; // there is such an address on listeners of the API's own only
};

// Answers what stands against the caller. OUTCOME: of access.h. Returns whether nothing does.
bool routes_admit(struct worker *worker, struct connection *connection,
	const struct request *request, int outcome);

// The whole table, N rows: tests compare it with openapi.json.
const struct route *routes_table(size_t *n);

extern const struct connection_server routes_server;
