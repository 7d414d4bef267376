// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "worker.h"

#include "answer.h"
#include "networks.h"
#include "routes.h"
#include "visitors.h"

#include <inttypes.h>
#include <stdio.h>

enum { LOG_TEXT_MAX = 1024 };

// ---- messages to the supervisor

void worker_log(struct worker *worker, enum worker_log_level level, const char *format, ...)
{
	char text[LOG_TEXT_MAX + 1];
	va_list ap;
	va_start(ap, format);
	int n = vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	if (n <= 0)
		return;
	// Cutting may have split a character, and names are people's own.
	size_t length = MIN((size_t)n, sizeof text - 1);
	for (size_t i = 0; i < length; i++)
		if (text[i] < ' ' || text[i] > '~')
			text[i] = '?';
	ipc_post(&worker->control, MSG_LOG, -1, wire_uint(level),
		wire_str((struct span){text, length}));
}

void worker_log_store(struct worker *worker, const char *what, int r)
{
	worker->database_errors++;
	worker_log(worker, LOG_ERROR, "database: %s failed: %s (%s)", what,
		store_error(worker->store), strerror(-r));
}

bool worker_send_end(
	struct worker *worker, uint64_t request, const char *id, enum end_reason reason)
{
	return ipc_post(&worker->control, MSG_END, -1, wire_uint(request), wire_str(span_of(id)),
		       wire_uint(reason)) == IPC_SENT;
}

static size_t encode_counters(const struct tunnel_counters *counters, uint8_t *out, size_t size)
{
	const struct wire_value values[COUNTERS_N] = {
		wire_uint(counters->connections),
		wire_uint(0), // open: none is, now
		wire_uint(counters->requests), wire_uint(counters->bytes_in),
		wire_uint(counters->bytes_out), wire_uint(counters->last_activity),
		wire_uint(0), // agents: likewise
	};
	return wire_encode(out, size, values, COUNTERS_N);
}

bool worker_send_spawn(
	struct worker *worker, uint64_t request, const struct tunnel *tunnel, uint64_t deadline_us)
{
	uint8_t counters[COUNTERS_N * 10 + 2];
	size_t n = tunnel->state == TUNNEL_ACTIVE
			   ? encode_counters(&tunnel->counters, counters, sizeof counters)
			   : 0;
	return ipc_post(&worker->control, MSG_SPAWN, -1, wire_uint(request),
		       wire_str(span_of(tunnel->id)), wire_str(span_of(tunnel->name)),
		       wire_str(span_of(tunnel->backend)),
		       wire_str(span_of(tunnel_auth_name(tunnel->auth))),
		       wire_str(span_of(tunnel_prefix_name(tunnel->prefix))),
		       wire_bin(tunnel->secret_hash.bytes, SECRET_HASH_SIZE),
		       wire_bool(token_is_owner(tunnel->token)), wire_uint(tunnel->life_ms),
		       wire_uint(deadline_us), wire_uint(tunnel->max_connections),
		       wire_uint(tunnel->max_requests), wire_uint(tunnel->max_bytes),
		       wire_uint(tunnel->request_rate), wire_bin(counters, n),
		       wire_str(span_of(tunnel_origin_name(tunnel->origin))),
		       wire_uint(tunnel->port)) == IPC_SENT;
}

void worker_note_deadline(struct worker *worker, struct tunnel *tunnel, uint64_t deadline_us)
{
	int64_t left_us = (int64_t)deadline_us - instant_now().us;
	left_us = MAX(0, left_us);
	tunnel->deadline_us = (int64_t)deadline_us;
	tunnel->remaining_ms = left_us / 1000;
	int64_t expires_at = wall_now() + (left_us + 500000) / 1000000;
	// Two clocks are read: the end of a restored tunnel would differ by a second from what was
	// told before.
	if (llabs(expires_at - tunnel->expires_at) > TUNNEL_EXPIRY_JITTER_S)
		tunnel->expires_at = expires_at;
	memcpy(tunnel->boot_id, worker->settings.boot_id, sizeof tunnel->boot_id);
}

void worker_note_spawned(
	struct worker *worker, struct tunnel *tunnel, const struct wire_value *fields)
{
	worker_note_deadline(worker, tunnel, fields[1].number);
	tunnel->origin = tunnel_origin_parse(fields[2].bytes);
	tunnel->port = (uint16_t)fields[3].number;
}

// ---- forgetting

// A retention shorter than the usual interval is kept, too.
static int64_t purge_ms(const struct worker *worker)
{
	return 1000 * MAX(1, MIN((int64_t)WORKER_PURGE_S, (int64_t)worker->settings.retention_s));
}

static void on_purge(struct loop_timer *timer)
{
	enum { MORE_MS = 100 };
	struct worker *worker = container_of(timer, struct worker, purge);
	bool more = false;
	int64_t now = wall_now();
	int r = store_purge(worker->store, now, now - (int64_t)worker->settings.retention_s, &more);
	if (r < 0)
		worker_log_store(worker, "forgetting what is old", r);
	int64_t ms = more && r == 0 ? MORE_MS : purge_ms(worker);
	if (loop_timer_set(&worker->loop, timer, instant_add_ms(instant_now(), ms)) < 0)
		worker_log(worker, LOG_ERROR, "old tunnels are not forgotten: out of memory");
}

// ---- messages of the supervisor

static void copy_text(char *out, size_t size, struct span text)
{
	size_t n = MIN(text.n, size - 1);
	memcpy(out, text.p, n);
	out[n] = '\0';
}

static void read_settings(struct settings *settings, const struct wire_value *fields)
{
	memcpy(settings->owner_token.bytes, fields[0].bytes.p, SECRET_HASH_SIZE);
	copy_text(settings->version, sizeof settings->version, fields[1].bytes);
	copy_text(settings->boot_id, sizeof settings->boot_id, fields[2].bytes);
	settings->max_tunnels = fields[3].number;
	settings->max_timeout_s = fields[4].number;
	settings->default_timeout_s = fields[5].number;
	settings->max_connections = fields[6].number;
	settings->request_rate = fields[7].number;
	settings->create_rate = fields[8].number;
	settings->retention_s = fields[9].number;
	settings->failure_rate = (uint32_t)fields[10].number;
	settings->max_tokens = fields[11].number;
	settings->max_event_streams = fields[13].number;
	settings->idempotency_answers = fields[14].number;
	settings->agent_rate = fields[18].number;
	settings->attestation = (enum worker_attestation)fields[19].number;
	copy_text(settings->control_host, sizeof settings->control_host, fields[20].bytes);
	copy_text(settings->abuse, sizeof settings->abuse, fields[21].bytes);
}

static void on_farewell_over(struct loop_timer *timer)
{
	loop_stop(&container_of(timer, struct worker, farewell)->loop, WORKER_EXIT_DATABASE);
}

// There will be another worker, perhaps with a database. Nobody shall wait for it: routes.c refuses
// those who are here by now.
static void leave(struct worker *worker)
{
	struct instant due = instant_add_ms(instant_now(), WORKER_FAREWELL_MS);
	if (loop_timer_set(&worker->loop, &worker->farewell, due) == 0)
		worker_serve(worker);
	else
		loop_stop(&worker->loop, WORKER_EXIT_DATABASE);
}

static int on_origins(struct ipc_channel *channel, struct ipc_message *message)
{
	struct worker *worker = container_of(channel, struct worker, control);
	origins_read(&worker->settings.origins, message->fields);
	worker->settings.control = message->fields[ORIGINS_CONTROL].number != 0;
	return networks_keep(
		&worker->settings.trusted_proxies, message->fields[ORIGINS_TRUSTED].bytes);
}

static int on_setup(struct ipc_channel *channel, struct ipc_message *message)
{
	char why[256];
	struct worker *worker = container_of(channel, struct worker, control);
	read_settings(&worker->settings, message->fields);
	worker->failures.per_minute = worker->settings.failure_rate;
	rates_init(&worker->create_rates, worker->settings.create_rate);
	rates_init(&worker->agent_rates, worker->settings.agent_rate);
	request_log_init(&worker->connections.log, &worker->loop, channel, &worker->batch,
		(uint32_t)message->fields[12].number);
	idempotency_init(&worker->idempotency, &worker->loop, worker->settings.idempotency_answers);
	if (worker->settings.abuse[0] != '\0')
		worker->connections.abuse = span_of(worker->settings.abuse);
	worker->connections.most = message->fields[15].number;
	worker->connections.head_ms = (int64_t)message->fields[16].number;
	worker->connections.patience_ms = (int64_t)message->fields[17].number;
	channel->phase = PHASE_RUN;
	if (store_open(&worker->store, WORKER_DATABASE, why, sizeof why) < 0) {
		worker_log(worker, LOG_ERROR, "the database %s cannot be used: %s", WORKER_DATABASE,
			why);
		ipc_pause(channel); // what follows would need it
		leave(worker);
		return 0;
	}
	sync_init(worker);
	return loop_timer_set(&worker->loop, &worker->purge,
		instant_add_ms(instant_now(), WORKER_PURGE_FIRST_MS));
}

static int on_answer(struct ipc_channel *channel, struct ipc_message *message)
{
	struct worker *worker = container_of(channel, struct worker, control);
	pendings_answer(&worker->pendings, message);
	return 0;
}

static int on_ended(struct ipc_channel *channel, struct ipc_message *message)
{
	struct worker *worker = container_of(channel, struct worker, control);
	struct tunnel_counters counters = tunnel_counters_read(message->fields + 2);
	counters.open = counters.agents = 0;
	ends_add(&worker->ends, message->fields[0].bytes,
		(enum end_reason)message->fields[1].number, &counters);
	return 0;
}

static int on_receipt(struct ipc_channel *channel, struct ipc_message *message)
{
	struct worker *worker = container_of(channel, struct worker, control);
	ends_add_receipt(&worker->ends, message->fields[0].bytes, message->fields + 1);
	return 0;
}

static int on_certificate(struct ipc_channel *channel, struct ipc_message *message)
{
	struct worker *worker = container_of(channel, struct worker, control);
	const struct certificate *changed;
	int r = evidence_on_certificate(&worker->evidence, message, &changed);
	if (r < 0 || changed == NULL || !changed->quoted)
		return r;
	// Receipts may have been stored before there was a quote.
	r = store_certificate_update(worker->store, &changed->instance, certificate_tail(changed));
	if (r < 0)
		worker_log_store(worker, "storing a certificate", r);
	return 0;
}

static int on_stop(struct ipc_channel *channel, struct ipc_message *message)
{
	struct worker *worker = container_of(channel, struct worker, control);
	connections_deinit(&worker->connections);
	if (worker->store != NULL)
		sync_write_down(worker);
	store_free(worker->store);
	worker->store = NULL;
	ipc_send(channel, MSG_STOPPED, -1, NULL, 0);
	ipc_pause(channel);
	ipc_pause(&worker->gates);
	loop_stop(&worker->loop, WORKER_EXIT_STOPPED);
	return 0;
}

static int on_page(struct ipc_channel *channel, struct ipc_message *message)
{
	visitors_on_page(container_of(channel, struct worker, control), message);
	return 0;
}

static const struct ipc_handling control_table[] = {
	{MSG_ORIGINS, on_origins},
	{MSG_API_SETUP, on_setup},
	{MSG_SPAWNED, on_answer},
	{MSG_SPAWN_FAILED, on_answer},
	{MSG_EXTENDED, on_answer},
	{MSG_EXTEND_FAILED, on_answer},
	{MSG_COUNTERS, on_answer},
	{MSG_METRICS, on_answer},
	{MSG_STATEMENT, on_answer},
	{MSG_FRESH_QUOTE, on_answer},
	{MSG_LIVE, sync_on_live},
	{MSG_LIVE_DONE, sync_on_live_done},
	{MSG_ENDED, on_ended},
	{MSG_RECEIPT, on_receipt},
	{MSG_CERTIFICATE, on_certificate},
	{MSG_PAGE, on_page},
	{MSG_STOP, on_stop},
};

static const struct ipc_handlers control_handlers = {
	.self = ROLE_API,
	.peer = ROLE_SUPERVISOR,
	.table = control_table,
	.n = ARRAY_SIZE(control_table),
};

static void on_control_ended(struct ipc_channel *channel, const char *why)
{
	struct worker *worker = container_of(channel, struct worker, control);
	loop_stop(&worker->loop, WORKER_EXIT_CONTROL);
}

static void on_control_exhausted(struct ipc_channel *channel, const struct ipc_message *lost)
{
	struct worker *worker = container_of(channel, struct worker, control);
	worker_log(worker, LOG_ERROR, "a page was lost: out of descriptors");
}

// ---- messages of the gates

static int on_visitor(struct ipc_channel *channel, struct ipc_message *message)
{
	return visitors_on_visitor(container_of(channel, struct worker, gates), message);
}

static const struct ipc_handling gates_table[] = {{MSG_VISITOR, on_visitor}};

static const struct ipc_handlers gates_handlers = {
	.self = ROLE_API,
	.peer = ROLE_GATE,
	.table = gates_table,
	.n = ARRAY_SIZE(gates_table),
};

static void on_gates_ended(struct ipc_channel *channel, const char *why)
{
	struct worker *worker = container_of(channel, struct worker, gates);
	worker_log(worker, LOG_WARNING, "from a gate: %s", why);
	if (!ipc_open(
		    channel)) // the supervisor keeps a copy of the other end: it is gone, or broken
		loop_stop(&worker->loop, WORKER_EXIT_LOST);
}

// One is lost, its client sees a reset. The others wait in the channel and at the gates until there
// may be descriptors again.
static void on_gates_exhausted(struct ipc_channel *channel, const struct ipc_message *lost)
{
	struct worker *worker = container_of(channel, struct worker, gates);
	struct instant due = instant_add_ms(instant_now(), WORKER_EXHAUSTED_MS);
	worker_log(worker, LOG_ERROR, "a connection was lost: out of descriptors");
	if (loop_timer_set(&worker->loop, &worker->exhausted, due) == 0)
		ipc_pause(channel);
}

static void on_exhausted_over(struct loop_timer *timer)
{
	worker_serve(container_of(timer, struct worker, exhausted));
}

bool worker_is_ready(struct worker *worker, struct connection *connection)
{
	if (!worker->sync.done)
		answer_problem(connection, CODE_DRAINING,
			"The server is starting. Try again in a moment.");
	return worker->sync.done;
}

void worker_serve(struct worker *worker)
{
	ipc_resume(&worker->gates);
}

// ---- life

static int init_channels(struct worker *worker, uint32_t epoch)
{
	int r = ipc_init(&worker->control, &worker->loop, IPC_FIRST_FD, &control_handlers, epoch, 0,
		WORKER_QUEUE_MAX);
	if (r < 0)
		return r;
	worker->control.ended = on_control_ended;
	worker->control.exhausted = on_control_exhausted;
	r = ipc_init(&worker->gates, &worker->loop, WORKER_VISITORS_FD, &gates_handlers, 0,
		IPC_SHARED | IPC_ANY_EPOCH, 0);
	if (r < 0)
		return r;
	worker->gates.ended = on_gates_ended;
	worker->gates.exhausted = on_gates_exhausted;
	worker->gates.phase = PHASE_RUN;
	ipc_pause(&worker->gates); // until it is known what lives
	return 0;
}

int worker_init(struct worker *worker, uint32_t epoch, unsigned reached)
{
	*worker = (struct worker){.purge.expired = on_purge,
		.exhausted.expired = on_exhausted_over,
		.farewell.expired = on_farewell_over};
	int r = loop_init(&worker->loop);
	if (r < 0)
		return r;
	r = init_channels(worker, epoch);
	if (r < 0)
		return r;
	connections_init(&worker->connections, &worker->loop, &routes_server);
	pendings_init(&worker->pendings, &worker->loop);
	TAILQ_INIT(&worker->creations);
	TAILQ_INIT(&worker->deletions);
	TAILQ_INIT(&worker->extensions);
	ends_init(&worker->ends, worker);
	r = events_init(&worker->events, worker);
	if (r < 0)
		return r;
	restores_init(&worker->restores);
	revocations_init(worker);
	rates_init(&worker->create_rates, 0);
	rates_init(&worker->agent_rates, 0);
	idempotency_init(&worker->idempotency, &worker->loop, 0);
	r = ipc_post(&worker->control, MSG_READY, -1, wire_uint(reached));
	return r == IPC_SENT ? 0 : -EPIPE;
}

static void worker_deinit(struct worker *worker)
{
	connections_deinit(&worker->connections);
	creations_deinit(worker);
	deletions_deinit(worker);
	extensions_deinit(worker);
	restores_deinit(worker);
	revocations_deinit(worker);
	rates_deinit(&worker->create_rates);
	rates_deinit(&worker->agent_rates);
	idempotency_deinit(&worker->idempotency);
	ends_deinit(&worker->ends);
	events_deinit(&worker->events);
	evidence_deinit(&worker->evidence);
	failures_deinit(&worker->failures);
	store_free(worker->store);
	ipc_deinit(&worker->gates);
	ipc_deinit(&worker->control);
	loop_deinit(&worker->loop);
}

int worker_run(struct worker *worker)
{
	int r = loop_run(&worker->loop);
	worker_deinit(worker);
	return r < 0 ? WORKER_EXIT_LOOP : r;
}
