// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "api_private.h"

#include "origins.h"
#include "request_lines.h"
#include "spawn.h"
#include "supervisor.h"
#include "url.h"

#include <poll.h>
#include <sys/socket.h>

enum {
	API_VISITORS_FD = 4,
	API_QUEUE_MAX = 256 * 1024,
	API_PAGES_BEHIND = 4 * 1024, // bytes waiting for the worker with which no page is added
};

struct api *api_of(struct ipc_channel *channel)
{
	struct process *process = container_of(channel, struct process, control);
	struct child *child = container_of(process, struct child, process);
	return container_of(child, struct api, child);
}

// ---- sending

void api_send(struct api *api, enum message type, int fd, const struct wire_value *values, size_t n)
{
	struct process *process = &api->child.process;
	int r = ipc_send(&process->control, type, fd, values, n);

	if (r == IPC_SENT || r == -EPIPE)
		return;
	// It is no honest worker's doing: answers are few, the rest waits for its turn.
	process_log(process, LOG_ERROR, "does not read its channel");
	process_kill(process);
}

static bool is_present(const struct api *api, uint32_t epoch)
{
	return child_ready(&api->child) && api->child.process.epoch == epoch;
}

void api_spawned(struct api *api, const struct tunnel *tunnel)
{
	if (is_present(api, tunnel->request_epoch))
		api_post(api, MSG_SPAWNED, -1, wire_uint(tunnel->request),
			wire_uint((uint64_t)tunnel->expiry.due.us),
			wire_str(span_of(tunnel_origin_name(tunnel->origin))),
			wire_uint(tunnel->port));
}

void api_spawn_failed(
	struct api *api, uint32_t epoch, uint64_t request, enum code code, const char *detail)
{
	api->child.supervisor->tally.now.spawn_failures[code]++;
	if (is_present(api, epoch))
		api_post(api, MSG_SPAWN_FAILED, -1, wire_uint(request), wire_uint(code),
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
		api_post(api, MSG_STATEMENT, -1, wire_uint(request), wire_uint(code),
			wire_bin(statement.p, statement.n), wire_bin(signature.p, signature.n));
}

void api_fresh_quote(
	struct api *api, uint32_t epoch, uint64_t request, const struct wire_value *fields)
{
	if (is_present(api, epoch))
		api_post(api, MSG_FRESH_QUOTE, -1, wire_uint(request), fields[0], fields[1],
			fields[2], fields[3]);
}

void api_put_counters(struct wire_value *fields, const uint64_t counters[COUNTERS_N])
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
	api_put_counters(fields + 2, counters);
	api_send(api, MSG_LIVE, -1, fields, ARRAY_SIZE(fields));
}

void api_tell_end(struct api *api, struct span id, enum end_reason reason,
	const uint64_t counters[COUNTERS_N])
{
	struct wire_value fields[2 + COUNTERS_N] = {wire_str(id), wire_uint(reason)};

	api_put_counters(fields + 2, counters);
	api_send(api, MSG_ENDED, -1, fields, ARRAY_SIZE(fields));
}

void api_tell_receipt(struct api *api, const struct tunnel *tunnel)
{
	const struct tunnel_receipt *receipt = tunnel->receipt;

	if (receipt != NULL)
		api_post(api, MSG_RECEIPT, -1, wire_str(span_of(tunnel->id)),
			wire_bin(receipt->statement, receipt->n),
			wire_bin(receipt->signature, sizeof receipt->signature),
			wire_bin(receipt->instance, sizeof receipt->instance));
}

static void told_reset(struct api_told *told)
{
	certificate_unref(&told->certificate);
	*told = (struct api_told){0};
}

static bool is_told(const struct api_told *told, const struct certificate *certificate)
{
	return certificate == NULL ||
	       (told->certificate == certificate && told->edition == certificate->edition &&
		       told->bytes == certificate->size);
}

// Tells the next piece of it.
static void tell_certificate(
	struct api *api, struct api_told *told, struct certificate *certificate)
{
	bool former = told == &api->told_former;

	if (told->certificate != certificate || told->edition != certificate->edition) {
		told_reset(told);
		*told = (struct api_told){certificate_ref(certificate), certificate->edition, 0};
	}
	size_t n = MIN(certificate->size - told->bytes, (size_t)CERTIFICATE_PIECE_MAX);
	api_post(api, MSG_CERTIFICATE, -1, wire_uint(told->bytes), wire_uint(certificate->size),
		wire_uint(certificate->tail), wire_bool(certificate->quoted),
		wire_bin(certificate->instance, sizeof certificate->instance),
		wire_bin(certificate->bytes + told->bytes, n), wire_bool(former));
	told->bytes += n;
	if (!former) // half of that may have been told
		told_reset(&api->told_former);
}

// The certificate of a receipt, if that is another than the instance's of now.
static struct certificate *former_of(const struct api *api, const struct tunnel *tunnel)
{
	const struct tunnel_receipt *receipt = tunnel != NULL ? tunnel->receipt : NULL;
	const struct certificate *now = api->child.supervisor->attest.certificate;

	if (receipt == NULL || certificate_is_of(now, receipt->instance))
		return NULL;
	return receipt->certificate;
}

// Tells one thing. Returns whether there was one.
static bool tell_next(struct api *api)
{
	struct certificate *certificate = api->child.supervisor->attest.certificate;
	struct tunnel *living = api->living.next, *ended = api->ended.next;

	// First, since receipts refer to it.
	if (!is_told(&api->told, certificate))
		tell_certificate(api, &api->told, certificate);
	else if (api->phase == API_SNAPSHOT && living != NULL) {
		api->living.next = TAILQ_NEXT(living, link);
		tell_living(api, living);
	} else if (api->phase == API_SNAPSHOT) {
		api_send(api, MSG_LIVE_DONE, -1, NULL, 0);
		api->phase = API_INFORMED;
		tunnels_cursor_start(&api->child.supervisor->tunnels, &api->ended, LIST_ENDED);
	} else if (api->phase == API_INFORMED &&
		   !is_told(&api->told_former, former_of(api, ended))) {
		tell_certificate(api, &api->told_former, former_of(api, ended));
	} else if (api->phase == API_INFORMED && ended != NULL) {
		api->ended.next = TAILQ_NEXT(ended, link);
		api_tell_receipt(api, ended);
		api_tell_end(api, span_of(ended->id), ended->reason, ended->counters);
	} else if (api->child.supervisor->stopping && !api->told_to_stop) {
		api_send(api, MSG_STOP, -1, NULL, 0);
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

void api_snapshot_start(struct api *api)
{
	api->phase = API_SNAPSHOT;
	api->snapshot++;
	tunnels_cursor_start(&api->child.supervisor->tunnels, &api->living, LIST_LIVING);
	api_tell(api);
}

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
	request->handlers = &api_handlers;
	request->queue_max = API_QUEUE_MAX;
	request->uid = supervisor_uid(supervisor, UID_API);
	request->root_fd = supervisor->state_fd;
	request->fds = fds;
	request->n_fds = ARRAY_SIZE(fds);
}

// By which name its own listeners are asked; empty: by none.
static struct span control_host(const struct options *options, struct url *url)
{
	const char *why;

	if (options->control_url == NULL ||
		url_parse(url, span_of(options->control_url), &why) != 0)
		return SPAN("");
	return span_of(url->host);
}

static int ready(struct child *child)
{
	const struct supervisor *supervisor = child->supervisor;
	const struct options *options = supervisor->options;
	struct api *api = container_of(child, struct api, child);
	struct url control;

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
		wire_uint(options->attestation), wire_str(control_host(options, &control)),
		wire_str(options->abuse_contact != NULL ? span_of(options->abuse_contact)
							: SPAN("")));
	told_reset(&api->told);
	told_reset(&api->told_former);
	if (r == IPC_SENT)
		api_snapshot_start(api);
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
		api_snapshot_start(api);
	else
		process_kill(&api->child.process);
}
