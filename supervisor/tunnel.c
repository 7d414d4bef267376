// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "tunnel.h"

#include "agents.h"
#include "origins.h"
#include "prepare.h"
#include "relay_channel.h"
#include "supervisor.h"

#include <assert.h>
#include <stdarg.h>
#include <sys/resource.h>

void tunnel_log(const struct tunnel *tunnel, enum log_level level, const char *format, ...)
{
	const struct log_about about = {.tunnel = tunnel->id};
	char text[LOG_LINE_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	log_write(level, &about, "%s", text);
}

// ---- end

// Everything that only a tunnel with a future needs.
static void disarm(struct tunnel *tunnel)
{
	struct supervisor *supervisor = tunnel->supervisor;

	resolve_cancel(&tunnel->resolve);
	relay_dials_forget(tunnel);
	agents_forget(tunnel);
	loop_timer_clear(&supervisor->loop, &tunnel->timer);
	expiry_clear(&supervisor->expiry, &tunnel->expiry);
	tunnels_dequeue(&supervisor->tunnels, tunnel);
	tunnel->state = TUNNEL_ENDING;
	supervisor->tunnels.n_over++;
}

void tunnel_free(struct tunnel *tunnel)
{
	struct tunnels *tunnels = &tunnel->supervisor->tunnels;

	assert(tunnel_over(tunnel) && !process_alive(&tunnel->relay));
	tunnels->n_over--;
	tally_tunnel_gone(&tunnel->supervisor->tally, tunnel);
	tunnels_remove(tunnels, tunnel);
	explicit_bzero(&tunnel->secret_hash, sizeof tunnel->secret_hash);
	free(tunnel->config);
	if (tunnel->receipt != NULL)
		certificate_unref(&tunnel->receipt->certificate);
	free(tunnel->receipt);
	free(tunnel->host);
	free(tunnel);
}

static void give_port(struct tunnel *tunnel)
{
	if (tunnel->listener != 0)
		ports_give(&tunnel->supervisor->ports, tunnel->listener, tunnel->port);
	tunnel->listener = 0;
}

// All is known about the end: the API worker may be told.
static void tell_end(struct tunnel *tunnel)
{
	struct supervisor *supervisor = tunnel->supervisor;

	loop_timer_clear(&supervisor->loop, &tunnel->timer);
	tunnel->state = TUNNEL_ENDED;
	free(tunnel->config);
	tunnel->config = NULL;
	tunnels_move(&supervisor->tunnels, tunnel, LIST_ENDED);
	api_tell(&supervisor->api);
}

static void on_receipt_late(struct loop_timer *timer)
{
	struct tunnel *tunnel = container_of(timer, struct tunnel, timer);

	tunnel_log(tunnel, LOG_WARNING, "its end was not signed within %d ms", ATTEST_RECEIPT_MS);
	tell_end(tunnel);
}

void tunnel_signed(struct tunnel *tunnel, struct span statement, struct span signature,
	struct certificate *certificate, bool keep)
{
	struct tunnel_receipt *receipt = malloc(sizeof *receipt + statement.n);

	assert(tunnel->state == TUNNEL_SIGNING && tunnel->receipt == NULL);
	if (receipt != NULL) {
		receipt->n = statement.n;
		memcpy(receipt->signature, signature.p, sizeof receipt->signature);
		memcpy(receipt->instance, certificate->instance, sizeof receipt->instance);
		receipt->certificate = keep ? certificate_ref(certificate) : NULL;
		memcpy(receipt->statement, statement.p, statement.n);
	}
	tunnel->receipt = receipt;
	tell_end(tunnel);
}

void tunnel_sign_no_more(struct tunnel *tunnel)
{
	if (tunnel->state == TUNNEL_SIGNING)
		tell_end(tunnel);
}

// Has its receipt signed. Returns false when it can have none.
static bool sign(struct tunnel *tunnel)
{
	struct supervisor *supervisor = tunnel->supervisor;
	struct instant due = instant_add_ms(instant_now(), ATTEST_RECEIPT_MS);

	tunnel->timer.expired = on_receipt_late;
	if (!tunnel->lived || supervisor->options->attestation == ATTESTATION_OFF ||
		loop_timer_set(&supervisor->loop, &tunnel->timer, due) < 0)
		return false;
	tunnel->state = TUNNEL_SIGNING;
	tunnels_move(&supervisor->tunnels, tunnel, LIST_SIGNING);
	attest_tell(&supervisor->attest);
	return true;
}

void tunnel_ended(struct tunnel *tunnel)
{
	struct supervisor *supervisor = tunnel->supervisor;

	if (tunnel->reason == END_NONE) {
		give_port(tunnel);
		tunnel_free(tunnel); // the API worker knows from SPAWN_FAILED
		return;
	}
	give_port(tunnel);
	if (tunnel->lived) {
		gates_route_drop(&supervisor->gates, tunnel->id);
		tunnel_log(tunnel, LOG_INFO, "%s", end_reason_name(tunnel->reason));
	}
	if (!sign(tunnel))
		tell_end(tunnel);
}

void tunnel_end(struct tunnel *tunnel, enum end_reason reason)
{
	struct supervisor *supervisor = tunnel->supervisor;

	process_kill(&tunnel->relay); // before anything else
	if (tunnel_over(tunnel))
		return;
	disarm(tunnel);
	tunnel->reason = reason;
	if (tunnel->lived)
		supervisor->tally.now.ends[reason]++;
	if (!tunnel->lived)
		api_spawn_failed(&supervisor->api, tunnel->request_epoch, tunnel->request,
			CODE_CONFLICT, "the tunnel was ended while it was starting");
	if (!process_alive(&tunnel->relay))
		tunnel_ended(tunnel);
}

void tunnel_fail(struct tunnel *tunnel, enum code code, const char *format, ...)
{
	char detail[512];
	va_list args;

	assert(!tunnel->lived && !tunnel_over(tunnel));
	va_start(args, format);
	vsnprintf(detail, sizeof detail, format, args);
	va_end(args);
	if (process_may_log(&tunnel->supervisor->api.child.process))
		tunnel_log(tunnel, LOG_INFO, "not started: %s", detail);
	process_kill(&tunnel->relay);
	disarm(tunnel);
	api_spawn_failed(
		&tunnel->supervisor->api, tunnel->request_epoch, tunnel->request, code, detail);
	if (!process_alive(&tunnel->relay))
		tunnel_ended(tunnel);
}

static void on_expired(struct expiry_item *item)
{
	tunnel_end(container_of(item, struct tunnel, expiry), END_EXPIRED);
}

// ---- another end

// A copy of CONFIG with another life. Returns it with its size in *N, or NULL without memory.
static uint8_t *config_with_life(const struct tunnel *tunnel, uint64_t life_ms, size_t *n)
{
	struct tunnel_config config;
	uint8_t bytes[TUNNEL_CONFIG_MAX];
	int r = tunnel_config_decode(&config, tunnel->config, tunnel->config_size);

	assert(r == 0); // it is our own work
	(void)r;
	config.life_ms = life_ms;
	*n = tunnel_config_encode(&config, bytes);
	uint8_t *copy = malloc(*n);
	if (copy != NULL)
		memcpy(copy, bytes, *n);
	return copy;
}

int tunnel_extend(struct tunnel *tunnel, uint64_t left_ms, uint64_t *most_s)
{
	struct supervisor *supervisor = tunnel->supervisor;
	// One look at the clock decides: what is not due by it lives on.
	struct instant now = instant_now();
	struct instant latest =
		instant_add_ms(tunnel->born, (int64_t)supervisor->options->max_timeout * 1000);
	size_t n;

	assert(tunnel->lived && !tunnel_over(tunnel));
	if (instant_reached(now, tunnel->expiry.due)) {
		tunnel_end(tunnel, END_EXPIRED);
		return TUNNEL_TOO_LATE;
	}
	// Rounded up: who asks for all there is gets that, whatever became of the last second.
	*most_s = (uint64_t)(instant_diff_us(latest, now) + 999999) / 1000000;
	if (left_ms == 0 || left_ms > *most_s * 1000)
		return TUNNEL_OUT_OF_RANGE;
	struct instant end = instant_add_ms(now, (int64_t)left_ms);
	end.us = MIN(end.us, latest.us);
	uint64_t life_ms = (uint64_t)instant_diff_us(end, tunnel->born) / 1000;
	uint8_t *config = config_with_life(tunnel, life_ms, &n);
	if (config == NULL)
		return -ENOMEM;
	int r = expiry_set(&supervisor->expiry, &tunnel->expiry, end);
	assert(r == 0); // it was set
	(void)r;
	free(tunnel->config);
	tunnel->config = config;
	tunnel->config_size = n;
	tunnel->life_ms = life_ms;
	relay_send_config(tunnel);
	return 0;
}

// ---- beginning

// Where the backend is: an address now, a name after its look-up.
static void find_backend(struct tunnel *tunnel, const struct url *backend)
{
	struct supervisor *supervisor = tunnel->supervisor;
	const char *why;

	if (tunnel->pull) {
		tunnels_enqueue(&supervisor->tunnels, tunnel);
		return;
	}
	if (tunnel->host != NULL) {
		tunnel->state = TUNNEL_RESOLVING;
		tunnel->resolve.done = relay_backend_resolved;
		int r = resolve_start(&supervisor->resolver, &tunnel->resolve, tunnel->host);
		if (r == -EBUSY)
			tunnel_fail(tunnel, CODE_DRAINING,
				"too many names are being looked up: max_lookups at once, %d more wait",
				RESOLVE_WAITING_MAX);
		else if (r < 0)
			tunnel_fail(tunnel,
				process_is_exhaustion(r) ? CODE_DRAINING : CODE_INTERNAL,
				"the name of the backend cannot be looked up now: %s",
				strerror(-r));
		return;
	}
	if (dial_target_pin(&tunnel->target, &supervisor->policy, &backend->address, 1, &why) > 0)
		tunnels_enqueue(&supervisor->tunnels, tunnel);
	else
		tunnel_fail(
			tunnel, CODE_BACKEND_FORBIDDEN, "the backend address is refused: %s", why);
}

static int copy_settings(struct tunnel *tunnel, const struct tunnel_spawn *spawn)
{
	const struct tunnel_config *config = &spawn->config;
	uint8_t bytes[TUNNEL_CONFIG_MAX];
	size_t n = tunnel_config_encode(config, bytes);

	memcpy(tunnel->id, config->id, sizeof tunnel->id);
	memcpy(tunnel->counters, spawn->counters, sizeof tunnel->counters);
	tunnel->config_size = n;
	tunnel->config = malloc(n);
	if (tunnel->config == NULL)
		return -ENOMEM;
	memcpy(tunnel->config, bytes, n);
	tunnel->https = !tunnel->pull && config->backend.scheme == URL_HTTPS;
	tunnel->unchecked = config->backend.unchecked;
	if (config->backend.host_kind == URL_NAME) {
		tunnel->host = strdup(config->backend.host);
		if (tunnel->host == NULL)
			return -ENOMEM;
	}
	return 0;
}

// Chooses the origins of a tunnel that asks for those in its CONFIG, and takes a port for it: the
// one it had, else any. One that asks for another origin needs none. Without a free port a tunnel
// that lived before goes on without one, as it does without all the server has no longer; false: a
// new one, which wants a port, gets none.
static bool take_origin(struct supervisor *supervisor, struct tunnel_spawn *spawn)
{
	struct tunnel_config *config = &spawn->config;
	uint16_t had = (uint16_t)config->port, port = 0;
	struct origins origins;

	if (config->origin == 0 || config->origin == ORIGIN_PORT || had != 0)
		spawn->listener = ports_take(&supervisor->ports, had, &port);
	if (config->origin == ORIGIN_PORT && spawn->listener == 0 && had == 0)
		return false;
	origins_of(supervisor->options, &origins);
	config->port = port;
	config->origin = origin_best(&origins, config->origin, port);
	return true;
}

static struct tunnel *tunnel_new(struct supervisor *supervisor, const struct tunnel_spawn *spawn)
{
	struct tunnel *tunnel = calloc(1, sizeof *tunnel);

	if (tunnel == NULL)
		return NULL;
	*tunnel = (struct tunnel){
		.supervisor = supervisor,
		.state = TUNNEL_QUEUED,
		.secret_hash = spawn->secret_hash,
		.life_ms = spawn->config.life_ms,
		.deadline_us = spawn->deadline_us,
		.pull = tunnel_config_pull(&spawn->config),
		.target = {.port = spawn->config.backend.port, .owner = spawn->owner},
		.request = spawn->request,
		.request_epoch = spawn->epoch,
		.asked_at = instant_now(),
		.relay = {.exit = {.fd = -1}, .control = {.watch = {.fd = -1}}},
		.visitors_fd = -1,
		.expiry = {.expired = on_expired},
		.origin = spawn->config.origin,
		.listener = spawn->listener,
		.port = (uint16_t)spawn->config.port,
	};
	TAILQ_INIT(&tunnel->agents);
	if (copy_settings(tunnel, spawn) == 0)
		return tunnel;
	explicit_bzero(&tunnel->secret_hash, sizeof tunnel->secret_hash);
	free(tunnel->config);
	free(tunnel);
	return NULL;
}

// Tunnels there are must go on when the limit of open files is too low for all that are wanted:
// their dials, their relays' successors and those of everybody else need descriptors too.
static bool has_descriptors(const struct supervisor *supervisor)
{
	const struct tunnels *tunnels = &supervisor->tunnels;
	struct rlimit limit;

	return getrlimit(RLIMIT_NOFILE, &limit) < 0 ||
	       prepare_descriptors(supervisor->options, tunnels->n - tunnels->n_over + 1) <=
		       limit.rlim_cur;
}

void tunnel_create(struct supervisor *supervisor, struct tunnel_spawn *spawn)
{
	struct tunnels *tunnels = &supervisor->tunnels;
	const uint64_t max = supervisor->options->max_tunnels;
	const char *why = NULL;
	enum code code = CODE_QUOTA_REACHED;
	struct tunnel *tunnel = NULL;

	// The second limit is for a worker that never acknowledges an end.
	if (tunnels->n - tunnels->n_over >= max || tunnels->n >= 2 * max) {
		why = "max_tunnels of this server is reached";
	} else if (tunnels_find(tunnels, span_of(spawn->config.id)) != NULL) {
		why = "there is a tunnel with this id";
		code = CODE_CONFLICT;
	} else if (spawn->config.backend.unchecked &&
		   supervisor->options->tls_insecure != TLS_INSECURE_YES) {
		why = "this server does not allow backends without a checked certificate "
		      "(tls_insecure)";
		code = CODE_BACKEND_FORBIDDEN;
	} else if (!has_descriptors(supervisor)) {
		why = "the server has no descriptors for another tunnel (RLIMIT_NOFILE)";
		code = CODE_DRAINING;
	} else if (!take_origin(supervisor, spawn)) {
		why = "every port of port_pool is taken, or rests for a minute after its last tunnel";
	} else if ((tunnel = tunnel_new(supervisor, spawn)) == NULL) {
		why = "out of memory";
		code = CODE_INTERNAL;
		if (spawn->listener != 0)
			ports_give(
				&supervisor->ports, spawn->listener, (uint16_t)spawn->config.port);
	}
	if (why != NULL) {
		api_spawn_failed(&supervisor->api, spawn->epoch, spawn->request, code, why);
		return;
	}
	tunnels_add(tunnels, tunnel);
	tally_tunnel_new(&supervisor->tally, tunnel);
	find_backend(tunnel, &spawn->config.backend);
}
