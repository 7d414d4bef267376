// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// A relay is as likely to be taken over as anything that reads what strangers send. So everything
// here is short, bounded for each relay, and looks for tunnels that are due first: a relay cannot
// prolong a life, its own or another's, by keeping the supervisor busy.

#include "relay_channel.h"

#include "agents.h"
#include "request_lines.h"
#include "supervisor.h"

#include <assert.h>

// ---- CONFIG

// To a relay that is behind only the latest is sent, once it has caught up.
void relay_send_config(struct tunnel *tunnel)
{
	struct ipc_channel *control = &tunnel->relay.control;
	int r = IPC_FULL;

	if (tunnel->state != TUNNEL_LIVE || !ipc_open(control))
		return;
	if (control->queued == 0)
		r = ipc_post(control, MSG_RELAY_CONFIG, -1,
			wire_bin(tunnel->config, tunnel->config_size),
			wire_uint((uint64_t)tunnel->expiry.due.us));
	tunnel->config_due = r == IPC_FULL || r == -ENOMEM;
	if (tunnel->config_due)
		ipc_want_writable(control);
}

void relay_on_writable(struct ipc_channel *channel)
{
	struct tunnel *tunnel = tunnel_of_channel(channel);

	if (tunnel->config_due)
		relay_send_config(tunnel);
	agents_go_on(tunnel);
}

bool relay_drain(struct tunnel *tunnel)
{
	tunnel->draining = tunnel->pull && tunnel->state == TUNNEL_LIVE &&
			   ipc_send(&tunnel->relay.control, MSG_DRAIN, -1, NULL, 0) == IPC_SENT;
	return tunnel->draining;
}

// ---- DIAL

static void refuse(struct tunnel *tunnel, uint64_t request, enum dial_failure failure)
{
	tunnel->supervisor->tally.now.dial_failures[failure]++;
	int r = ipc_post(&tunnel->relay.control, MSG_DIAL_FAILED, -1, wire_uint(request),
		wire_uint(failure));

	if (r != IPC_FULL && r != -ENOMEM)
		return;
	process_log(&tunnel->relay, LOG_ERROR, "does not read its channel");
	process_kill(&tunnel->relay);
}

// Attempts a relay may make: those at addresses and, with a name, one more that looks it up again.
static unsigned attempts(const struct tunnel *tunnel)
{
	return dial_attempts(&tunnel->target) + (tunnel->host != NULL);
}

void relay_dial_failed(struct tunnel *tunnel, uint64_t request, enum dial_failure failure)
{
	refuse(tunnel, request, failure);
}

void relay_dialed(struct tunnel *tunnel, uint64_t request, int fd)
{
	int r = ipc_post(&tunnel->relay.control, MSG_DIALED, fd, wire_uint(request),
		wire_uint(attempts(tunnel)));

	// No descriptor can be sent or kept now; a relay that does not read gets no more than this
	// either.
	if (r == IPC_FULL || r == -ENOMEM)
		refuse(tunnel, request, DIAL_EXHAUSTED);
}

static void connect_for(struct tunnel *tunnel, uint64_t request, unsigned attempt)
{
	struct supervisor *supervisor = tunnel->supervisor;
	CLEANUP(close_p) int fd = -1;
	int failure;

	if (tunnel->https)
		failure = edge_dials_start(&supervisor->edges, tunnel, request, attempt);
	else
		failure = dial_open(&tunnel->target, &supervisor->policy, attempt, &fd);
	if (failure != 0)
		refuse(tunnel, request, (enum dial_failure)failure);
	else if (fd >= 0)
		relay_dialed(tunnel, request, fd);
}

// The known addresses have all failed. Returns 0 when the request waits for a look-up, else why
// not.
static int wait_for_name(struct tunnel *tunnel, uint64_t request)
{
	struct resolver *resolver = &tunnel->supervisor->resolver;
	struct instant now = instant_now();

	if (!tunnel->resolve.active) {
		struct instant next = instant_add_ms(tunnel->resolved_at, TUNNEL_LOOKUP_PAUSE_MS);
		if (tunnel->host == NULL || !instant_reached(now, next))
			return DIAL_REFUSED;
		if (resolve_start(resolver, &tunnel->resolve, tunnel->host) < 0)
			return DIAL_EXHAUSTED;
		tunnel->resolved_at = now;
	}
	if (tunnel->dials == NULL)
		tunnel->dials = calloc(TUNNEL_DIALS_MAX, sizeof *tunnel->dials);
	if (tunnel->dials == NULL || tunnel->n_dials == TUNNEL_DIALS_MAX)
		return DIAL_EXHAUSTED;
	tunnel->dials[tunnel->n_dials++] = request;
	return 0;
}

static int on_dial(struct ipc_channel *channel, struct ipc_message *message)
{
	struct tunnel *tunnel = tunnel_of_channel(channel);
	uint64_t request = message->fields[0].number;
	uint64_t attempt = message->fields[1].number;

	expiry_run(&tunnel->supervisor->expiry);
	if (tunnel->state != TUNNEL_LIVE)
		return 0;
	tunnel->supervisor->tally.now.dials++;
	if (tunnel->pull)
		return -EBADMSG; // there is nothing to connect to
	if (attempt < dial_attempts(&tunnel->target)) {
		connect_for(tunnel, request, (unsigned)attempt);
		return 0;
	}
	int failure = wait_for_name(tunnel, request);
	if (failure != 0)
		refuse(tunnel, request, (enum dial_failure)failure);
	return 0;
}

void relay_dials_forget(struct tunnel *tunnel)
{
	free(tunnel->dials);
	tunnel->dials = NULL;
	tunnel->n_dials = 0;
	edge_dials_forget(&tunnel->supervisor->edges, tunnel);
}

// ---- look-ups

// Returns 0 when TARGET has new addresses to try, else why the waiting DIALs fail.
static int take_new_addresses(
	struct tunnel *tunnel, const struct in6_addr *addresses, size_t n, const char *why)
{
	struct dial_target target = tunnel->target;

	if (n == 0) {
		tunnel_log(tunnel, LOG_INFO, "%s cannot be looked up: %s", tunnel->host, why);
		return DIAL_UNRESOLVED;
	}
	if (dial_target_pin(&target, &tunnel->supervisor->policy, addresses, n, &why) == 0) {
		tunnel_log(tunnel, LOG_WARNING, "%s now has an address that is refused: %s",
			tunnel->host, why);
		return DIAL_FORBIDDEN;
	}
	if (dial_target_equal(&target, &tunnel->target))
		return DIAL_REFUSED;
	tunnel->target = target;
	return 0;
}

static void answer_dials(
	struct tunnel *tunnel, const struct in6_addr *addresses, size_t n, const char *why)
{
	int failure = take_new_addresses(tunnel, addresses, n, why);
	uint64_t *dials = tunnel->dials;
	unsigned n_dials = tunnel->n_dials;

	tunnel->dials = NULL;
	tunnel->n_dials = 0;
	for (unsigned i = 0; i < n_dials; i++) {
		if (failure == 0)
			connect_for(tunnel, dials[i], 0);
		else
			refuse(tunnel, dials[i], (enum dial_failure)failure);
	}
	free(dials);
}

void relay_backend_resolved(
	struct resolve *resolve, const struct in6_addr *addresses, size_t n, const char *why)
{
	struct tunnel *tunnel = container_of(resolve, struct tunnel, resolve);
	struct supervisor *supervisor = tunnel->supervisor;

	tunnel->resolved_at = instant_now();
	supervisor->tally.now.lookup_failures += n == 0;
	if (tunnel->state != TUNNEL_RESOLVING) {
		answer_dials(tunnel, addresses, n, why);
		return;
	}
	if (n == 0) {
		tunnel_fail(tunnel, CODE_INVALID,
			"the name %s of the backend cannot be resolved: %s", tunnel->host, why);
	} else if (dial_target_pin(&tunnel->target, &supervisor->policy, addresses, n, &why) == 0) {
		tunnel_fail(
			tunnel, CODE_BACKEND_FORBIDDEN, "the backend address is refused: %s", why);
	} else {
		tunnel->state = TUNNEL_QUEUED;
		tunnels_enqueue(&supervisor->tunnels, tunnel);
	}
}

// ---- the others

static int on_page_out(struct ipc_channel *channel, struct ipc_message *message)
{
	struct tunnel *tunnel = tunnel_of_channel(channel);
	const struct wire_value *fields = message->fields;
	bool noticed = tunnel->supervisor->options->interstitial == INTERSTITIAL_YES;

	expiry_run(&tunnel->supervisor->expiry);
	if (tunnel->state != TUNNEL_LIVE)
		return 0;
	int r = ipc_check_stream(message->fd, false);
	if (r < 0 || (fields[0].number == CODE_NONE && !noticed))
		return -EBADMSG;
	if (r == IPC_STREAM_OVER)
		return 0;
	api_page(&tunnel->supervisor->api, tunnel, message->fd, fields);
	return 0;
}

static int on_used_up(struct ipc_channel *channel, struct ipc_message *message)
{
	struct tunnel *tunnel = tunnel_of_channel(channel);
	struct span budget = message->fields[0].bytes;

	if (tunnel->state != TUNNEL_LIVE)
		return 0;
	tunnel_log(tunnel, LOG_INFO, "its budget of %.*s is used up", (int)budget.n, budget.p);
	tunnel_end(tunnel, END_EXHAUSTED);
	return 0;
}

static const struct ipc_handling handling[] = {
	{MSG_READY, tunnel_on_ready},
	{MSG_LOG, process_on_log},
	{MSG_REQUESTS, request_lines_on_message},
	{MSG_DIAL, on_dial},
	{MSG_PAGE_OUT, on_page_out},
	{MSG_USED_UP, on_used_up},
};

const struct ipc_handlers relay_handlers = {
	.self = ROLE_SUPERVISOR,
	.peer = ROLE_RELAY,
	.table = handling,
	.n = ARRAY_SIZE(handling),
};
