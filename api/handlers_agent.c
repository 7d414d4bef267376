// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// GET /_api/tunnels/{id}/agent: an agent connects to its pull tunnel. Here only the way in is
// guarded; after the 101 the connection goes to the tunnel's relay, by way of the supervisor, and
// the worker never reads a byte of what the agent serves.

#include "handlers.h"

#include "access.h"
#include "answer.h"
#include "handshake.h"
#include "routes.h"
#include "worker.h"

#include <stdio.h>

// ---- who asks

// Whether the request shows the agent token of TUNNEL, and no other one besides.
static bool shows_token_of(const struct request *request, const struct tunnel *tunnel)
{
	const struct http_field *field = http_head_field(&request->head, HTTP_AUTHORIZATION);
	struct span token = field != NULL ? secret_of_bearer(field->value) : (struct span){NULL, 0};
	return tunnel_is_pull(tunnel) && secret_is(&tunnel->agent_hash, token);
}

// Reads the tunnel if the caller may serve it, or answers. Who shows no valid token learns nothing
// about what tunnels there are.
static bool admit(struct worker *worker, struct connection *connection, struct request *request,
	struct tunnel *tunnel)
{
	struct store *store = worker->store;
	int known =
		access_find(&request->head, &worker->settings.owner_token, store, &request->caller);
	if (known == 0)
		return handle_find_tunnel(
			worker, connection, request_scope(request), request->id, tunnel);
	int found = tunnel_id_ok(request->id) ? store_tunnel_get(store, request->id, tunnel)
					      : STORE_NONE;
	if (known > 0 && found == 0 && shows_token_of(request, tunnel))
		return true;
	return routes_admit(worker, connection, request,
		known < 0   ? known
		: found < 0 ? found
			    : ACCESS_NONE);
}

// ---- what stands against it

// Whether TUNNEL can be served now; answered if not.
static bool is_served(
	struct worker *worker, struct connection *connection, const struct tunnel *tunnel)
{
	struct problem problem = {.code = CODE_DRAINING,
		.detail = SPAN("The tunnel is starting. Try again in a moment."),
		.retry_after = 1};
	if (tunnel_state_is_over(tunnel->state))
		answer_problem(connection, CODE_TUNNEL_OVER, "The tunnel is over: %s.",
			tunnel_state_name(tunnel->state));
	else if (!tunnel_is_pull(tunnel))
		answer_problem(connection, CODE_CONFLICT,
			"The tunnel has a backend of its own: no agent serves it.");
	else if (tunnel->state == TUNNEL_STARTING || restore_is_for(worker, tunnel->id))
		answer_problem_full(connection, &problem);
	else
		return true;
	return false;
}

// An agent that cannot stay comes again and again: each time is a process's worth of work, here and
// in the relay.
static bool is_too_fast(
	struct worker *worker, struct connection *connection, const struct tunnel *tunnel)
{
	struct problem problem = {.code = CODE_RATE_LIMITED,
		.detail =
			SPAN("The agents of this tunnel connect more often than agent_rate of this "
			     "server allows.")};
	problem.retry_after = rates_take(&worker->agent_rates, tunnel->id, instant_now());
	if (problem.retry_after > 0)
		answer_problem_full(connection, &problem);
	return problem.retry_after > 0;
}

static void refuse(struct connection *connection, int outcome, const char *why)
{
	struct problem problem = {.code = CODE_BAD_REQUEST, .detail = span_of(why)};
	if (outcome == HANDSHAKE_UPGRADE) {
		problem.code = CODE_UPGRADE_REQUIRED;
		problem.fields = SPAN(HANDSHAKE_UPGRADE_FIELDS);
	}
	answer_problem_full(connection, &problem);
}

void handle_agent(struct worker *worker, struct connection *connection, struct request *request)
{
	struct tunnel tunnel;
	struct span key;
	const char *why;
	connection->form = FORM_JSON; // an upgrade is refused without a body, but to agents
	if (!worker_is_ready(worker, connection) || !admit(worker, connection, request, &tunnel))
		return;
	int outcome = handshake_check(&request->head, &key, &why);
	if (outcome != 0)
		refuse(connection, outcome, why);
	else if (is_served(worker, connection, &tunnel) &&
		 !is_too_fast(worker, connection, &tunnel))
		answer_upgrade(connection, tunnel.id, key);
}

// ---- after the 101

void handle_upgraded(struct connection *connection, struct span bytes)
{
	struct worker *worker = container_of(connection->set, struct worker, connections);
	int r = ipc_post(&worker->control, MSG_AGENT_IN, connection->watch.fd,
		wire_str(span_of(connection->tunnel)), wire_bin(bytes.p, bytes.n));
	if (r != IPC_SENT)
		worker_log(worker, LOG_WARNING,
			"an agent of tunnel %s is cut off: its connection cannot be passed on",
			connection->tunnel);
}
