// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "attest_channel.h"

#include "guest_socket.h"
#include "source.h"
#include "spawn.h"
#include "supervisor.h"

enum {
	COLLATERAL_FD = 4,
	QUEUE_MAX = 256 * 1024,
	BEHIND = 64 * 1024, // bytes waiting for it with which no more is asked on behalf of others
	GUESTS_A_SECOND = 20,
	GUESTS_BURST = 50,
	COLLATERAL_A_SECOND = 1, // each may be a look-up
	COLLATERAL_BURST = 5,
	QUOTES_A_SECOND = 1,
	QUOTES_BURST = 5,
};

static struct attest *attest_of(struct ipc_channel *channel)
{
	struct process *process = container_of(channel, struct process, control);
	struct child *child = container_of(process, struct child, process);
	return container_of(child, struct attest, child);
}

// ---- asking for signatures

// What a tunnel is right now, to be signed: with NONCE for an API worker (ASKER), else a receipt.
static int send_state(struct attest *attest, const struct tunnel *tunnel, uint64_t request,
	uint32_t asker, struct span nonce)
{
	const struct inspect_report *relay = &tunnel->relay_report;
	int64_t age_us = instant_diff_us(instant_now(), tunnel->born);
	uint64_t counters[COUNTERS_N];
	struct wire_value fields[11 + COUNTERS_N] = {
		wire_uint(request),
		wire_uint(asker),
		wire_bin(nonce.p, nonce.n),
		wire_uint(tunnel->reason),
		wire_uint((uint64_t)MAX(0, age_us) / 1000),
		wire_bin(tunnel->config, tunnel->config_size),
		wire_uint(relay->uid[1]),
		wire_uint(MIN(relay->seccomp, 2u)),
		wire_bool(relay->no_new_privs),
		wire_uint(relay->cap_permitted | relay->cap_effective | relay->cap_inheritable |
			  relay->cap_ambient),
		wire_bool(tunnel->relay_landlock),
	};

	tunnel_counters(tunnel, counters);
	for (size_t i = 0; i < COUNTERS_N; i++)
		fields[11 + i] = wire_uint(counters[i]);
	return ipc_send(&attest->child.process.control, MSG_STATE, -1, fields, ARRAY_SIZE(fields));
}

static bool is_behind(const struct attest *attest)
{
	return !child_ready(&attest->child) || attest->child.process.control.queued > BEHIND;
}

enum code attest_statement(struct attest *attest, const struct tunnel *tunnel, uint32_t epoch,
	uint64_t request, struct span nonce)
{
	if (attest->child.supervisor->options->attestation == ATTESTATION_OFF)
		return CODE_NOT_FOUND;
	if (is_behind(attest) || send_state(attest, tunnel, request, epoch, nonce) != IPC_SENT)
		return CODE_DRAINING;
	return CODE_NONE;
}

enum code attest_fresh(struct attest *attest, uint32_t epoch, uint64_t request, struct span nonce)
{
	if (attest->child.supervisor->options->attestation == ATTESTATION_OFF)
		return CODE_NOT_FOUND;
	if (is_behind(attest) ||
		ipc_post(&attest->child.process.control, MSG_FRESH, -1, wire_uint(request),
			wire_uint(epoch), wire_bin(nonce.p, nonce.n)) != IPC_SENT)
		return CODE_DRAINING;
	return CODE_NONE;
}

// Nothing is queued for one that is behind: it will be asked from the list.
void attest_tell(struct attest *attest)
{
	struct ipc_channel *control = &attest->child.process.control;

	if (!child_ready(&attest->child) || attest->certified_by != attest->child.process.epoch)
		return;
	while (attest->signing.next != NULL && ipc_open(control) && control->queued == 0) {
		struct tunnel *tunnel = attest->signing.next;
		if (send_state(attest, tunnel, 0, 0, (struct span){"", 0}) != IPC_SENT)
			break;
		attest->signing.next = TAILQ_NEXT(tunnel, link);
	}
	if (attest->signing.next != NULL && ipc_open(control))
		ipc_want_writable(control);
}

static void on_writable(struct ipc_channel *channel)
{
	attest_tell(attest_of(channel));
}

static int on_stated(struct ipc_channel *channel, struct ipc_message *message)
{
	struct attest *attest = attest_of(channel);
	struct supervisor *supervisor = attest->child.supervisor;
	const struct wire_value *f = message->fields;
	uint32_t asker = (uint32_t)f[1].number;
	// Nobody could verify one whose certificate has not been told yet.
	bool known = certificate_is_of(attest->certificate, (const uint8_t *)f[5].bytes.p);

	if (asker != 0) {
		api_statement(&supervisor->api, asker, f[0].number,
			known ? CODE_NONE : CODE_DRAINING, f[3].bytes, f[4].bytes);
		return 0;
	}
	struct tunnel *tunnel = tunnels_find(&supervisor->tunnels, f[2].bytes);
	if (known && tunnel != NULL && tunnel->state == TUNNEL_SIGNING)
		tunnel_signed(tunnel, f[3].bytes, f[4].bytes, attest->certificate,
			attest->n_certificates <= CERTIFICATES_KEPT);
	return 0;
}

static int on_quoted(struct ipc_channel *channel, struct ipc_message *message)
{
	struct attest *attest = attest_of(channel);

	api_fresh_quote(&attest->child.supervisor->api, (uint32_t)message->fields[1].number,
		message->fields[0].number, message->fields + 2);
	return 0;
}

// ---- the certificate

static int on_certified(struct ipc_channel *channel, struct ipc_message *message)
{
	struct attest *attest = attest_of(channel);
	int r = certificate_add(&attest->incoming, message->fields);

	if (r != CERTIFICATE_WHOLE || certificate_replace(&attest->certificate, &attest->incoming,
					      &attest->n_certificates) < 0)
		return MIN(r, 0);
	attest->certified_by = attest->child.process.epoch;
	api_tell(&attest->child.supervisor->api);
	// What was signed before could not be certified.
	tunnels_cursor_start(&attest->child.supervisor->tunnels, &attest->signing, LIST_SIGNING);
	attest_tell(attest);
	return 0;
}

static int on_ratls(struct ipc_channel *channel, struct ipc_message *message)
{
	struct attest *attest = attest_of(channel);
	const struct wire_value *f = message->fields;
	uint64_t dropped;

	if (log_limit_pass_rate(
		    &attest->quotes, instant_now(), QUOTES_A_SECOND, QUOTES_BURST, &dropped))
		tls_keys_certify(&attest->child.supervisor->tls_keys, f[0].bytes, f[1].bytes);
	return 0;
}

// ---- the guest service

static int on_guest_wanted(struct ipc_channel *channel, struct ipc_message *message)
{
	struct attest *attest = attest_of(channel);
	const char *path = attest->child.supervisor->options->dstack_socket;
	CLEANUP(close_p) int fd = -1;
	bool old = false;
	uint64_t dropped;

	if (log_limit_pass_rate(
		    &attest->guests, instant_now(), GUESTS_A_SECOND, GUESTS_BURST, &dropped))
		fd = guest_socket_connect(path, &old);
	if (fd >= 0)
		ipc_post(channel, MSG_GUEST, fd, wire_bool(old));
	else
		ipc_send(channel, MSG_GUEST_FAILED, -1, NULL, 0);
	return 0;
}

static int on_collateral_wanted(struct ipc_channel *channel, struct ipc_message *message)
{
	struct attest *attest = attest_of(channel);
	uint64_t dropped;

	if (attest->child.supervisor->collateral_url.path == NULL)
		return -EBADMSG;
	if (log_limit_pass_rate(&attest->collateral, instant_now(), COLLATERAL_A_SECOND,
		    COLLATERAL_BURST, &dropped))
		collateral_url_connect(&attest->child.supervisor->collateral_url);
	else
		ipc_send(channel, MSG_COLLATERAL_FAILED, -1, NULL, 0);
	return 0;
}

// ---- life

static const struct ipc_handling handling[] = {
	{MSG_READY, child_on_ready},
	{MSG_LOG, process_on_log},
	{MSG_STATED, on_stated},
	{MSG_QUOTED, on_quoted},
	{MSG_CERTIFIED, on_certified},
	{MSG_GUEST_WANTED, on_guest_wanted},
	{MSG_COLLATERAL_WANTED, on_collateral_wanted},
	{MSG_RATLS, on_ratls},
};

static const struct ipc_handlers handlers = {
	.self = ROLE_SUPERVISOR,
	.peer = ROLE_ATTESTOR,
	.table = handling,
	.n = ARRAY_SIZE(handling),
};

static void describe(struct child *child, struct process_request *request)
{
	struct supervisor *supervisor = child->supervisor;
	static struct spawn_fd fds[1];

	fds[0] = (struct spawn_fd){supervisor->collateral_fd, COLLATERAL_FD};
	request->role = ROLE_ATTESTOR;
	request->handlers = &handlers;
	request->queue_max = QUEUE_MAX;
	request->uid = supervisor_uid(supervisor, UID_ATTEST);
	request->root_fd = supervisor->void_fd;
	request->fds = fds;
	request->n_fds = ARRAY_SIZE(fds);
}

// All TLS listeners have the same keys. While there is to be TLS and no key yet nothing is said:
// the attestor's first statement would be one without.
static int tell_tls_keys(struct child *child)
{
	const struct supervisor *supervisor = child->supervisor;
	const struct tls_key_set *set = &supervisor->tls_keys.set;
	struct wire_value values[3 * CHAINS_MAX];
	uint8_t text[TLS_KEYS_TEXT_MAX];
	size_t n = 0;

	if (set->n == 0 && supervisor->options->tls_listen.n > 0)
		return IPC_SENT;
	for (size_t i = 0; i < set->n; i++) {
		values[3 * i] = wire_str(SPAN("tls_listen"));
		values[3 * i + 1] = wire_bin(set->items[i].spki_sha256, SPKI_SIZE);
		values[3 * i + 2] = wire_bool(supervisor->tls_keys.n_files > 0);
	}
	if (set->n > 0)
		n = wire_encode(text, sizeof text, values, 3 * set->n);
	struct span own = tls_keys_unquoted(&supervisor->tls_keys);
	return ipc_post(&child->process.control, MSG_TLS_KEYS, -1, wire_bin(text, n),
		wire_bin(own.p, own.n));
}

void attest_keys_changed(struct attest *attest)
{
	if (!child_ready(&attest->child))
		return;
	int r = tell_tls_keys(&attest->child);
	if (r != IPC_SENT && r != -EPIPE) {
		process_log(&attest->child.process, LOG_ERROR, "does not read its channel");
		process_kill(&attest->child.process);
	}
}

static int tell_facts(struct child *child)
{
	const struct supervisor *supervisor = child->supervisor;
	struct ipc_channel *control = &child->process.control;
	const struct source *source = supervisor->source;
	uint8_t components[COMPONENTS_TEXT_MAX];
	size_t n = components_encode(&supervisor->components, components, sizeof components);
	int r = ipc_post(control, MSG_ATTEST_SETUP, -1, wire_str(span_of(source->version)),
		wire_str(span_of(source->commit)), wire_str(span_of(source->tree_sha256)),
		wire_bin(supervisor->config_sha256, sizeof supervisor->config_sha256),
		wire_uint((uint64_t)supervisor->started_at),
		wire_uint((uint64_t)supervisor->started_on.us),
		wire_uint(supervisor->options->fresh_rate), wire_bin(components, n),
		wire_bool(supervisor->collateral_url.path != NULL));

	return r != IPC_SENT ? r : tell_tls_keys(child);
}

static int ready(struct child *child)
{
	struct attest *attest = container_of(child, struct attest, child);
	int r = tell_facts(child);

	if (r != IPC_SENT)
		return r;
	child->process.control.writable = on_writable;
	tunnels_cursor_start(&child->supervisor->tunnels, &attest->signing, LIST_SIGNING);
	attest_tell(attest);
	return r;
}

static void gone(struct child *child)
{
	struct attest *attest = container_of(child, struct attest, child);

	certificate_drop(&attest->incoming);
	collateral_url_cancel(&child->supervisor->collateral_url);
}

static const struct child_kind kind = {.describe = describe, .ready = ready, .gone = gone};

void attest_init(struct attest *attest, struct supervisor *supervisor)
{
	*attest = (struct attest){0};
	child_init(&attest->child, supervisor, &kind);
	tunnels_cursor_init(&supervisor->tunnels, &attest->signing, LIST_SIGNING);
}

void attest_start(struct attest *attest)
{
	if (attest->child.supervisor->options->attestation != ATTESTATION_OFF)
		child_start(&attest->child);
}
