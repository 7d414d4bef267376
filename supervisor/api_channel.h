// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The API worker: asks for tunnels and their end, is told about both, and gets connections that
// need a page. Tunnels do not depend on it: what it misses while it is away it is told when it is
// back, or asks (SNAPSHOT): first what lives, then what has ended.

#pragma once

#include "child.h"
#include "code.h"
#include "tunnels.h"

struct api {
	struct child child;
	// Ends of the channel from the gates, kept as spares: it outlives workers, so that
	// connections wait in it for the next one.
	int visitors_in;  // gates send
	int visitors_out; // the worker receives
	enum api_phase {
		API_SNAPSHOT, // is being told what lives
		API_INFORMED, // is told ends as they come
	} phase;
	uint32_t snapshot; // number of the one it is being told
	bool told_to_stop;
	// Certificates that the worker has: that of the instance, and the last former one.
	struct api_told {
		struct certificate *certificate; // NULL: none
		unsigned edition;
		size_t bytes; // told of it
	} told, told_former;
	struct tunnels_cursor living, ended;
};

// Returns 0 or a negative errno.
int api_init(struct api *api, struct supervisor *supervisor) WARN_UNUSED;

// Sends what it has to be told and has not been yet.
void api_tell(struct api *api);

// Answers to the worker that asked; nothing happens when that is not the present one.
void api_spawned(struct api *api, const struct tunnel *tunnel);
void api_spawn_failed(
	struct api *api, uint32_t epoch, uint64_t request, enum code code, const char *detail);

// The same for STATEMENT_GET: what was signed or, with another CODE than CODE_NONE, why nothing
// was.
void api_statement(struct api *api, uint32_t epoch, uint64_t request, enum code code,
	struct span statement, struct span signature);
// The same for FRESH_GET: FIELDS are code, retry_after, detail and document.
void api_fresh_quote(
	struct api *api, uint32_t epoch, uint64_t request, const struct wire_value *fields);

// Passes a visitor connection on: FIELDS are code, to_head and retry_after of the relay's PAGE_OUT.
// FD is borrowed. When the worker is away or behind, the visitor has to do without its page.
void api_page(
	struct api *api, const struct tunnel *tunnel, int fd, const struct wire_value *fields);

// Tells it for the last time what lives, with the counters to go on from, and what has ended; then
// to close its database and exit. One that is not ready is killed.
void api_stop(struct api *api);
