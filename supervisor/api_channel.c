// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "api_channel.h"

#include "agents.h"
#include "counters.h"
#include "origins.h"
#include "request_lines.h"
#include "spawn.h"
#include "supervisor.h"

#include <inttypes.h>
#include <poll.h>
#include <sys/socket.h>

enum {
	API_VISITORS_FD = 4,
	API_QUEUE_MAX = 256 * 1024,
	API_PAGES_BEHIND = 4 * 1024, // bytes waiting for the worker with which no page is added
};

static struct api *api_of(struct ipc_channel *channel)
{
	struct process *process = container_of(channel, struct process, control);
	struct child *child = container_of(process, struct child, process);
	return container_of(child, struct api, child);
}

// ---- sending

static void send_or_kill(
	struct api *api, enum message type, int fd, const struct wire_value *values, size_t n)
{
	struct process *process = &api->child.process;
	int r = ipc_send(&process->control, type, fd, values, n);

	if (r == IPC_SENT || r == -EPIPE)
		return;
	// It is no honest worker's doing: answers are few, the rest waits for its turn.
	process_log(process, LOG_ERROR, "does not read its channel");
	process_kill(process);
}

#define post_or_kill(api, type, fd, ...)                                      \
	send_or_kill(api, type, fd, (const struct wire_value[]){__VA_ARGS__}, \
		sizeof((const struct wire_value[]){__VA_ARGS__}) / sizeof(struct wire_value))

static bool is_present(const struct api *api, uint32_t epoch)
{
	return child_ready(&api->child) && api->child.process.epoch == epoch;
}

void api_spawned(struct api *api, const struct tunnel *tunnel)
{
	if (is_present(api, tunnel->request_epoch))
		post_or_kill(api, MSG_SPAWNED, -1, wire_uint(tunnel->request),
			wire_uint((uint64_t)tunnel->expiry.due.us),
			wire_str(span_of(tunnel_origin_name(tunnel->origin))),
			wire_uint(tunnel->port));
}

void api_spawn_failed(
	struct api *api, uint32_t epoch, uint64_t request, enum code code, const char *detail)
{
	api->child.supervisor->tally.now.spawn_failures[code]++;
	if (is_present(api, epoch))
		post_or_kill(api, MSG_SPAWN_FAILED, -1, wire_uint(request), wire_uint(code),
			wire_str(span_of(detail)));
}

void api_page(struct api *api, const struct tunnel *tunnel, int fd, const struct wire_value *fields)
{
	struct ipc_channel *control = &api->child.process.control;

	if (!child_ready(&api->child) || control->queued > API_PAGES_BEHIND)
		return;
	ipc_post(control, MSG_PAGE, fd, wire_str(span_of(tunnel->id)), fields[0], fields[1],
		fields[2]);
}

void api_statement(struct api *api, uint32_t epoch, uint64_t request, enum code code,
	struct span statement, struct span signature)
{
	if (is_present(api, epoch))
		post_or_kill(api, MSG_STATEMENT, -1, wire_uint(request), wire_uint(code),
			wire_bin(statement.p, statement.n), wire_bin(signature.p, signature.n));
}

void api_fresh_quote(
	struct api *api, uint32_t epoch, uint64_t request, const struct wire_value *fields)
{
	if (is_present(api, epoch))
		post_or_kill(api, MSG_FRESH_QUOTE, -1, wire_uint(request), fields[0], fields[1],
			fields[2], fields[3]);
}

static void put_counters(struct wire_value *fields, const uint64_t counters[COUNTERS_N])
{
	for (size_t i = 0; i < COUNTERS_N; i++)
		fields[i] = wire_uint(counters[i]);
}

// ---- what it has to be told

static void tell_living(struct api *api, struct tunnel *tunnel)
{
	struct wire_value fields[2 + COUNTERS_N] = {
		wire_str(span_of(tunnel->id)), wire_uint((uint64_t)tunnel->expiry.due.us)};
	uint64_t counters[COUNTERS_N];

	// One that got a new relay meanwhile has come to the end of the list again.
	if (tunnel->told == api->snapshot)
		return;
	tunnel->told = api->snapshot;
	tunnel_counters(tunnel, counters);
	put_counters(fields + 2, counters);
	send_or_kill(api, MSG_LIVE, -1, fields, ARRAY_SIZE(fields));
}

static void tell_end(struct api *api, struct span id, enum end_reason reason,
	const uint64_t counters[COUNTERS_N])
{
	struct wire_value fields[2 + COUNTERS_N] = {wire_str(id), wire_uint(reason)};

	put_counters(fields + 2, counters);
	send_or_kill(api, MSG_ENDED, -1, fields, ARRAY_SIZE(fields));
}

static void tell_receipt(struct api *api, const struct tunnel *tunnel)
{
	const struct tunnel_receipt *receipt = tunnel->receipt;

	if (receipt != NULL)
		post_or_kill(api, MSG_RECEIPT, -1, wire_str(span_of(tunnel->id)),
			wire_bin(receipt->statement, receipt->n),
			wire_bin(receipt->signature, sizeof receipt->signature),
			wire_bin(receipt->instance, sizeof receipt->instance));
}

static void tell_certificate(struct api *api, const struct attest_certificate *certificate)
{
	size_t n = MIN(certificate->size - api->certificate_told, (size_t)CERTIFICATE_PIECE_MAX);

	post_or_kill(api, MSG_CERTIFICATE, -1, wire_uint(api->certificate_told),
		wire_uint(certificate->size), wire_uint(certificate->tail),
		wire_bool(certificate->quoted),
		wire_bin(certificate->instance, sizeof certificate->instance),
		wire_bin(certificate->bytes + api->certificate_told, n));
	api->certificate_told += n;
}

void api_certificate_changed(struct api *api)
{
	api->certificate_told = 0;
	api_tell(api);
}

// Tells one thing. Returns whether there was one.
static bool tell_next(struct api *api)
{
	const struct attest_certificate *certificate = &api->child.supervisor->attest.certificate;
	struct tunnel *living = api->living.next, *ended = api->ended.next;

	// First, since receipts refer to it.
	if (api->certificate_told < certificate->size)
		tell_certificate(api, certificate);
	else if (api->phase == API_SNAPSHOT && living != NULL) {
		api->living.next = TAILQ_NEXT(living, link);
		tell_living(api, living);
	} else if (api->phase == API_SNAPSHOT) {
		send_or_kill(api, MSG_LIVE_DONE, -1, NULL, 0);
		api->phase = API_INFORMED;
		tunnels_cursor_start(&api->child.supervisor->tunnels, &api->ended, LIST_ENDED);
	} else if (api->phase == API_INFORMED && ended != NULL) {
		api->ended.next = TAILQ_NEXT(ended, link);
		tell_receipt(api, ended);
		tell_end(api, span_of(ended->id), ended->reason, ended->counters);
	} else if (api->child.supervisor->stopping && !api->told_to_stop) {
		send_or_kill(api, MSG_STOP, -1, NULL, 0);
		api->told_to_stop = true;
	} else {
		return false;
	}
	return true;
}

void api_tell(struct api *api)
{
	struct ipc_channel *control = &api->child.process.control;

	if (!child_ready(&api->child))
		return;
	// Nothing is queued for a worker that is behind: it will be told from the lists.
	while (ipc_open(control) && control->queued == 0)
		if (!tell_next(api))
			return;
	ipc_want_writable(control);
}

static void on_writable(struct ipc_channel *channel)
{
	api_tell(api_of(channel));
}

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
	return url_parse(&config->backend, f[SPAWN_BACKEND].bytes, &why) == 0 ? 0 : -EBADMSG;
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
		tell_end(api, id, reason, nothing);
	else if (!tunnel_over(tunnel))
		tunnel_end(tunnel, reason);
	else if (tunnel->reason == END_NONE)
		tunnel->reason = reason;
	else if (tunnel->state == TUNNEL_ENDED) {
		tell_receipt(api, tunnel);
		tell_end(api, id, tunnel->reason, tunnel->counters);
	}
	return 0;
}

// Answers an EXTEND whose tunnel was left as it was.
static int extend_failed(
	struct api *api, const struct ipc_message *message, enum code code, const char *detail)
{
	post_or_kill(api, MSG_EXTEND_FAILED, -1, message->fields[0], wire_uint(code),
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
	post_or_kill(api, MSG_EXTENDED, -1, message->fields[0],
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
	put_counters(fields + 1, counters);
	send_or_kill(api, MSG_COUNTERS, -1, fields, ARRAY_SIZE(fields));
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

	post_or_kill(api, MSG_METRICS, -1, message->fields[0], wire_bin(metrics, sizeof *metrics));
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

static void snapshot_start(struct api *api)
{
	api->phase = API_SNAPSHOT;
	api->snapshot++;
	tunnels_cursor_start(&api->child.supervisor->tunnels, &api->living, LIST_LIVING);
	api_tell(api);
}

static int on_snapshot(struct ipc_channel *channel, struct ipc_message *message)
{
	snapshot_start(api_of(channel));
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

static const struct ipc_handlers handlers = {
	.self = ROLE_SUPERVISOR,
	.peer = ROLE_API,
	.table = handling,
	.n = ARRAY_SIZE(handling),
};

// ---- life

// A worker holds the receiving end and could have shut it down for good.
static bool visitors_sound(const struct api *api)
{
	struct pollfd pollfd = {.fd = api->visitors_in};

	return poll(&pollfd, 1, 0) >= 0 && (pollfd.revents & (POLLHUP | POLLERR | POLLNVAL)) == 0;
}

static int visitors_make(struct api *api)
{
	int pair[2];
	int r = ipc_pair(pair);

	if (r < 0)
		return r;
	close_p(&api->visitors_in);
	close_p(&api->visitors_out);
	api->visitors_in = pair[0];
	api->visitors_out = pair[1];
	// Visitors go one way: what the worker writes there would reach gates.
	return shutdown(api->visitors_out, SHUT_WR) < 0 ? -errno : 0;
}

static void describe(struct child *child, struct process_request *request)
{
	struct api *api = container_of(child, struct api, child);
	struct supervisor *supervisor = child->supervisor;
	static struct spawn_fd fds[1];

	if (!visitors_sound(api)) {
		log_warning("the channel from the gates to the API worker was shut: new gates");
		if (visitors_make(api) == 0)
			gates_kill(&supervisor->gates);
	}
	fds[0] = (struct spawn_fd){api->visitors_out, API_VISITORS_FD};
	request->role = ROLE_API;
	request->handlers = &handlers;
	request->queue_max = API_QUEUE_MAX;
	request->uid = supervisor_uid(supervisor, UID_API);
	request->root_fd = supervisor->state_fd;
	request->fds = fds;
	request->n_fds = ARRAY_SIZE(fds);
}

static int ready(struct child *child)
{
	const struct supervisor *supervisor = child->supervisor;
	const struct options *options = supervisor->options;
	struct api *api = container_of(child, struct api, child);

	child->process.control.writable = on_writable;
	int r = origins_send(&child->process);
	if (r != IPC_SENT)
		return r;
	r = ipc_post(&child->process.control, MSG_API_SETUP, -1,
		wire_bin(supervisor->owner_token.bytes, SECRET_HASH_SIZE),
		wire_str(SPAN(TUNNELD_VERSION)), wire_str(span_of(supervisor->boot_id)),
		wire_uint(options->max_tunnels), wire_uint(options->max_timeout),
		wire_uint(options->default_timeout), wire_uint(options->max_connections_per_tunnel),
		wire_uint(options->request_rate), wire_uint(options->create_rate),
		wire_uint(options->retention), wire_uint(options->failure_rate),
		wire_uint(options->max_tokens), wire_uint(request_lines_rate(options)),
		wire_uint(options->max_event_streams), wire_uint(options->idempotency_answers),
		wire_uint(options->max_api_connections),
		wire_uint((uint64_t)options->head_timeout * 1000),
		wire_uint((uint64_t)options->api_timeout * 1000), wire_uint(options->agent_rate),
		wire_uint(options->attestation));
	api->certificate_told = 0;
	if (r == IPC_SENT)
		snapshot_start(api);
	return r;
}

// Nobody waits for an answer of theirs any more, and no other worker will hear of them.
static void drop_orphan(struct tunnel *tunnel)
{
	if (!tunnel->lived && !tunnel_over(tunnel))
		tunnel_fail(tunnel, CODE_INTERNAL, "the API worker that asked for it has ended");
}

static void gone(struct child *child)
{
	if (!child->supervisor->stopping)
		tunnels_each(&child->supervisor->tunnels, drop_orphan);
}

static const struct child_kind kind = {.describe = describe, .ready = ready, .gone = gone};

int api_init(struct api *api, struct supervisor *supervisor)
{
	*api = (struct api){.visitors_in = -1, .visitors_out = -1};
	child_init(&api->child, supervisor, &kind);
	tunnels_cursor_init(&supervisor->tunnels, &api->living, LIST_LIVING);
	tunnels_cursor_init(&supervisor->tunnels, &api->ended, LIST_ENDED);
	return visitors_make(api);
}

void api_stop(struct api *api)
{
	if (child_ready(&api->child))
		snapshot_start(api);
	else
		process_kill(&api->child.process);
}
