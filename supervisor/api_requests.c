// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What the API worker asks for. It is less trusted than the supervisor: a request no worker of ours
// would make ends it.

#include "api_private.h"

#include "agents.h"
#include "request_lines.h"
#include "supervisor.h"

#include <inttypes.h>

// ---- SPAWN

static uint64_t capped(uint64_t wanted, uint64_t most)
{
	// 0 is no limit, for both.
	if (wanted == 0 || most == 0)
		return MAX(wanted, most);
	return MIN(wanted, most);
}

static int counters_decode(uint64_t counters[COUNTERS_N], struct span bytes)
{
	struct wire_value values[COUNTERS_N];

	memset(counters, 0, COUNTERS_N * sizeof *counters);
	if (bytes.n == 0)
		return 0;
	if (wire_decode(bytes.p, bytes.n, values, COUNTERS_N) != COUNTERS_N)
		return -EBADMSG;
	for (size_t i = 0; i < COUNTERS_N; i++) {
		if (values[i].kind != WIRE_UINT)
			return -EBADMSG;
		counters[i] = values[i].number;
	}
	counters[COUNTER_OPEN] = counters[COUNTER_AGENTS] = 0;
	return 0;
}

enum {
	SPAWN_REQUEST,
	SPAWN_ID,
	SPAWN_NAME,
	SPAWN_BACKEND,
	SPAWN_AUTH,
	SPAWN_PREFIX,
	SPAWN_SECRET_HASH,
	SPAWN_OWNER,
	SPAWN_LIFE,
	SPAWN_DEADLINE,
	SPAWN_MAX_CONNECTIONS,
	SPAWN_MAX_REQUESTS,
	SPAWN_MAX_BYTES,
	SPAWN_REQUEST_RATE,
	SPAWN_COUNTERS,
	SPAWN_ORIGIN,
	SPAWN_PORT,
};

// The worker has checked all this for its client; it is checked again in case the worker has been
// taken over. Returns 0 or -EBADMSG: no worker of ours would have asked for this.
static int config_make(
	struct tunnel_config *config, const struct wire_value *f, const struct options *options)
{
	const char *why;

	if (!tunnel_id_ok(f[SPAWN_ID].bytes) || f[SPAWN_NAME].bytes.n >= sizeof config->name)
		return -EBADMSG;
	*config = (struct tunnel_config){
		.auth = tunnel_auth_parse(f[SPAWN_AUTH].bytes),
		.prefix = tunnel_prefix_parse(f[SPAWN_PREFIX].bytes),
		.reuse = options->backend_reuse,
		.origin = tunnel_origin_parse(f[SPAWN_ORIGIN].bytes),
		.port = f[SPAWN_PORT].number,
		.life_ms = MIN(f[SPAWN_LIFE].number, (uint64_t)options->max_timeout * 1000),
		.max_connections = capped(
			f[SPAWN_MAX_CONNECTIONS].number, options->max_connections_per_tunnel),
		.max_requests = f[SPAWN_MAX_REQUESTS].number,
		.max_bytes = f[SPAWN_MAX_BYTES].number,
		.request_rate = capped(f[SPAWN_REQUEST_RATE].number, options->request_rate),
	};
	memcpy(config->id, f[SPAWN_ID].bytes.p, f[SPAWN_ID].bytes.n);
	if (f[SPAWN_NAME].bytes.n > 0)
		memcpy(config->name, f[SPAWN_NAME].bytes.p, f[SPAWN_NAME].bytes.n);
	if (config->auth == 0 || config->prefix == 0 ||
		(config->origin == 0 && f[SPAWN_ORIGIN].bytes.n > 0))
		return -EBADMSG;
	if (f[SPAWN_BACKEND].bytes.n == 0)
		return 0; // a pull tunnel
	return url_parse_backend(&config->backend, f[SPAWN_BACKEND].bytes, &why) == 0 ? 0
										      : -EBADMSG;
}

static int on_spawn(struct ipc_channel *channel, struct ipc_message *message)
{
	struct supervisor *supervisor = api_of(channel)->child.supervisor;
	const struct wire_value *f = message->fields;
	struct tunnel_spawn spawn = {
		.owner = f[SPAWN_OWNER].number,
		.deadline_us = f[SPAWN_DEADLINE].number,
		.request = f[SPAWN_REQUEST].number,
		.epoch = message->epoch,
	};

	expiry_run(&supervisor->expiry);
	api_of(channel)->child.proven = true; // it has a database
	if (supervisor->stopping)
		return 0;
	memcpy(spawn.secret_hash.bytes, f[SPAWN_SECRET_HASH].bytes.p, SECRET_HASH_SIZE);
	int r = config_make(&spawn.config, f, supervisor->options);
	if (r == 0)
		r = counters_decode(spawn.counters, f[SPAWN_COUNTERS].bytes);
	if (r == 0)
		tunnel_create(supervisor, &spawn);
	explicit_bzero(&spawn.secret_hash, sizeof spawn.secret_hash);
	return r;
}

// ---- the other requests

static int on_end(struct ipc_channel *channel, struct ipc_message *message)
{
	static const uint64_t nothing[COUNTERS_N];
	struct api *api = api_of(channel);
	struct tunnels *tunnels = &api->child.supervisor->tunnels;
	struct span id = message->fields[1].bytes;
	enum end_reason reason = (enum end_reason)message->fields[2].number;
	struct tunnel *tunnel = tunnels_find(tunnels, id);

	if (reason == END_NONE)
		return -EBADMSG;
	if (api->child.supervisor->stopping)
		return 0;
	// What does not exist has ended: nobody must wait for it.
	if (tunnel == NULL)
		api_tell_end(api, id, reason, nothing);
	else if (!tunnel_over(tunnel))
		tunnel_end(tunnel, reason);
	else if (tunnel->reason == END_NONE)
		tunnel->reason = reason;
	else if (tunnel->state == TUNNEL_ENDED) {
		api_tell_receipt(api, tunnel);
		api_tell_end(api, id, tunnel->reason, tunnel->counters);
	}
	return 0;
}

// Answers an EXTEND whose tunnel was left as it was.
static int extend_failed(
	struct api *api, const struct ipc_message *message, enum code code, const char *detail)
{
	api_post(api, MSG_EXTEND_FAILED, -1, message->fields[0], wire_uint(code),
		wire_str(span_of(detail)));
	return 0;
}

static int on_extend(struct ipc_channel *channel, struct ipc_message *message)
{
	struct api *api = api_of(channel);
	struct supervisor *supervisor = api->child.supervisor;
	uint64_t left_ms = message->fields[2].number, most_s = 0;
	char detail[64];

	expiry_run(&supervisor->expiry);
	struct tunnel *tunnel = tunnels_find(&supervisor->tunnels, message->fields[1].bytes);
	if (supervisor->stopping)
		return extend_failed(api, message, CODE_DRAINING, "the server is stopping");
	if (tunnel == NULL)
		return extend_failed(api, message, CODE_TUNNEL_UNKNOWN, "there is no such tunnel");
	if (tunnel_over(tunnel))
		return extend_failed(api, message, CODE_TUNNEL_OVER, "the tunnel is over");
	if (!tunnel->lived)
		return extend_failed(api, message, CODE_CONFLICT, "the tunnel is starting");
	int r = tunnel_extend(tunnel, left_ms, &most_s);
	if (r == TUNNEL_TOO_LATE)
		return extend_failed(api, message, CODE_TUNNEL_OVER, "the tunnel is over");
	if (r < 0)
		return extend_failed(api, message, CODE_INTERNAL, "out of memory");
	snprintf(
		detail, sizeof detail, "Must be a whole number from 1 to %" PRIu64 " now.", most_s);
	if (r == TUNNEL_OUT_OF_RANGE)
		return extend_failed(api, message, CODE_INVALID, detail);
	if (process_may_log(&api->child.process))
		tunnel_log(tunnel, LOG_INFO, "ends %" PRIu64 " s from now", left_ms / 1000);
	api_post(api, MSG_EXTENDED, -1, message->fields[0],
		wire_uint((uint64_t)tunnel->expiry.due.us));
	return 0;
}

static int on_counters_get(struct ipc_channel *channel, struct ipc_message *message)
{
	struct api *api = api_of(channel);
	struct wire_value fields[1 + COUNTERS_N] = {message->fields[0]};
	uint64_t counters[COUNTERS_N] = {0};
	const struct tunnel *tunnel =
		tunnels_find(&api->child.supervisor->tunnels, message->fields[1].bytes);

	if (tunnel != NULL && tunnel->lived)
		tunnel_counters(tunnel, counters);
	api_put_counters(fields + 1, counters);
	api_send(api, MSG_COUNTERS, -1, fields, ARRAY_SIZE(fields));
	return 0;
}

static int on_statement_get(struct ipc_channel *channel, struct ipc_message *message)
{
	struct api *api = api_of(channel);
	struct supervisor *supervisor = api->child.supervisor;
	const struct wire_value *f = message->fields;
	const struct tunnel *tunnel = tunnels_find(&supervisor->tunnels, f[1].bytes);
	enum code code = CODE_DRAINING; // starting, or between two relays

	if (tunnel == NULL)
		code = CODE_TUNNEL_UNKNOWN;
	else if (tunnel_over(tunnel))
		code = CODE_TUNNEL_OVER;
	else if (tunnel->state == TUNNEL_LIVE)
		code = attest_statement(
			&supervisor->attest, tunnel, message->epoch, f[0].number, f[2].bytes);
	if (code != CODE_NONE)
		api_statement(api, message->epoch, f[0].number, code, SPAN(""), SPAN(""));
	return 0;
}

static int on_fresh_get(struct ipc_channel *channel, struct ipc_message *message)
{
	struct api *api = api_of(channel);
	const struct wire_value *f = message->fields;
	enum code code = attest_fresh(
		&api->child.supervisor->attest, message->epoch, f[0].number, f[1].bytes);
	const struct wire_value fields[] = {
		wire_uint(code), wire_uint(0), wire_str(SPAN("")), wire_bin("", 0)};

	if (code != CODE_NONE)
		api_fresh_quote(api, message->epoch, f[0].number, fields);
	return 0;
}

static int on_metrics_get(struct ipc_channel *channel, struct ipc_message *message)
{
	struct api *api = api_of(channel);
	const struct metrics *metrics = tally_collect(api->child.supervisor);

	api_post(api, MSG_METRICS, -1, message->fields[0], wire_bin(metrics, sizeof *metrics));
	return 0;
}

static int on_ended_ack(struct ipc_channel *channel, struct ipc_message *message)
{
	struct tunnels *tunnels = &api_of(channel)->child.supervisor->tunnels;
	struct tunnel *tunnel = tunnels_find(tunnels, message->fields[0].bytes);

	// One that never existed here is acknowledged too, see on_end().
	if (tunnel != NULL && tunnel->state == TUNNEL_ENDED)
		tunnel_free(tunnel);
	return 0;
}

static int on_snapshot(struct ipc_channel *channel, struct ipc_message *message)
{
	api_snapshot_start(api_of(channel));
	return 0;
}

static int on_stopped(struct ipc_channel *channel, struct ipc_message *message)
{
	return 0; // it exits next, and that is what is waited for
}

static const struct ipc_handling handling[] = {
	{MSG_READY, child_on_ready},
	{MSG_LOG, process_on_log},
	{MSG_REQUESTS, request_lines_on_message},
	{MSG_SPAWN, on_spawn},
	{MSG_END, on_end},
	{MSG_EXTEND, on_extend},
	{MSG_COUNTERS_GET, on_counters_get},
	{MSG_ENDED_ACK, on_ended_ack},
	{MSG_SNAPSHOT, on_snapshot},
	{MSG_STOPPED, on_stopped},
	{MSG_METRICS_GET, on_metrics_get},
	{MSG_AGENT_IN, agents_on_message},
	{MSG_STATEMENT_GET, on_statement_get},
	{MSG_FRESH_GET, on_fresh_get},
};

const struct ipc_handlers api_handlers = {
	.self = ROLE_SUPERVISOR,
	.peer = ROLE_API,
	.table = handling,
	.n = ARRAY_SIZE(handling),
};
