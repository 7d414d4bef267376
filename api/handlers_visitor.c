// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Requests that reached us because no relay serves them: tunnels that are over or never were, and
// addresses that mean nothing.

#include "handlers.h"

#include "answer.h"
#include "worker.h"

#include <stdio.h>

static const struct span no_fields = {NULL, 0};

// The first segment of PATH behind PREFIX.
static struct span segment(struct span path, struct span prefix)
{
	if (!span_starts(path, prefix))
		return (struct span){NULL, 0};
	struct span rest = {path.p + prefix.n, path.n - prefix.n};
	const char *slash = rest.n > 0 ? memchr(rest.p, '/', rest.n) : NULL;
	if (slash != NULL)
		rest.n = (size_t)(slash - rest.p);
	return rest;
}

bool handle_find_live(
	struct worker *worker, struct connection *connection, struct span id, struct tunnel *tunnel)
{
	int r = tunnel_id_ok(id) ? store_tunnel_get(worker->store, id, tunnel) : STORE_NONE;
	if (r == 0 && tunnel->state == TUNNEL_ACTIVE)
		return true;
	if (r < 0) {
		worker_log_store(worker, "looking for a tunnel", r);
		answer_refusal(connection, CODE_INTERNAL, 0, no_fields);
	} else if (r == STORE_NONE) {
		answer_refusal(connection, CODE_TUNNEL_UNKNOWN, 0, no_fields);
	} else if (tunnel_state_is_over(tunnel->state)) {
		answer_refusal(connection, CODE_TUNNEL_OVER, 0, no_fields);
	} else {
		answer_refusal(connection, CODE_DRAINING, 1, no_fields);
	}
	return false;
}

// A tunnel that lives never gets here, but for the moment in which it starts or is restored.
static void answer_tunnel(struct worker *worker, struct connection *connection, struct span id)
{
	struct tunnel tunnel;
	if (handle_find_live(worker, connection, id, &tunnel))
		answer_refusal(connection, CODE_DRAINING, 1, no_fields);
}

void handle_format_root(
	const struct connection *connection, const char *id, char root[HANDLE_ROOT_SIZE])
{
	if (connection->own[0] != '\0')
		snprintf(root, HANDLE_ROOT_SIZE, "/");
	else
		snprintf(root, HANDLE_ROOT_SIZE, "/t/%s/", id);
}

void handle_own(struct worker *worker, struct connection *connection)
{
	if (connection->own[0] == '\0')
		answer_refusal(connection, CODE_TUNNEL_UNKNOWN, 0, no_fields);
	else
		answer_tunnel(worker, connection, span_of(connection->own));
}

void handle_elsewhere(
	struct worker *worker, struct connection *connection, const struct request *request)
{
	struct span id = segment(request->path, SPAN("/t/"));
	if (id.p != NULL || span_eq(request->path, SPAN("/t"))) {
		answer_tunnel(worker, connection, id);
		return;
	}
	if (span_starts(request->path, SPAN("/_api/")) && connection->form == FORM_HTML)
		connection->form = FORM_JSON; // an API has no pages
	answer_refusal(connection, CODE_NOT_FOUND, 0, no_fields);
}
