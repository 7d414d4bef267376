// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "relay.h"

#include "networks.h"
#include "visitor.h"

#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>

enum {
	VISITORS_FD = IPC_FIRST_FD + 1,
	COUNTERS_FD = IPC_FIRST_FD + 2,
	CONTROL_QUEUE = 256 * 1024,
	EXHAUSTED_MS = 100, // without looking at visitors when there is no descriptor for them
	HEADROOM =
		2 * PIPES_MAX + 32, // descriptors kept for pipes, backends being dialled, channels
};

// ---- settings

static void backend_authority(struct relay *relay)
{
	if (tunnel_config_pull(&relay->config)) {
		relay->authority = SPAN("localhost");
		return;
	}
	// "http://" of the canonical form is taken off, and a port that is the scheme's own.
	char text[URL_TEXT_MAX];
	size_t n = url_format(&relay->config.backend, text, sizeof text);
	struct span all = {text, n};
	const char *slashes = memmem(all.p, all.n, "//", 2);
	struct span authority = {slashes + 2, (size_t)(all.p + all.n - slashes - 2)};
	if (relay->config.backend.scheme == URL_HTTP && relay->config.backend.port == 80)
		authority.n -= sizeof ":80" - 1;
	if (relay->config.backend.scheme == URL_HTTPS && relay->config.backend.port == 443)
		authority.n -= sizeof ":443" - 1;
	memcpy(relay->authority_text, authority.p, authority.n);
	relay->authority = (struct span){relay->authority_text, authority.n};
}

static struct origins origins; // of use between both messages of the set-up

static int on_origins(struct ipc_channel *channel, struct ipc_message *message)
{
	struct relay *relay = container_of(channel, struct relay, control);
	origins_read(&origins, message->fields);
	memcpy(relay->wildcard_url, origins.url[ORIGIN_WILDCARD], sizeof relay->wildcard_url);
	return networks_keep(&relay->trusted_proxies, message->fields[ORIGINS_TRUSTED].bytes);
}

// Where this tunnel is found.
static void find_origins(struct relay *relay)
{
	for (enum tunnel_origin i = ORIGIN_PATH; i < ORIGINS; i++) {
		struct relay_origin *origin = &relay->origins[i];
		size_t n = origin_url(
			&origins, i, relay->config.id, (uint16_t)relay->config.port, origin->text);
		origin->https = span_starts((struct span){origin->text, n}, SPAN("https://"));
		char *host = n > 0 ? strstr(origin->text, "://") : NULL;
		if (host != NULL)
			origin->host = (struct span){host + 3, strcspn(host + 3, "/")};
	}
}

static int on_setup(struct ipc_channel *channel, struct ipc_message *message)
{
	struct relay *relay = container_of(channel, struct relay, control);
	const struct wire_value *f = message->fields;
	int r = tunnel_config_decode(&relay->config, f[0].bytes.p, f[0].bytes.n);
	if (r < 0)
		return r;
	memcpy(relay->secret.bytes, f[1].bytes.p, SECRET_HASH_SIZE);
	if (relay->config.auth != AUTH_NONE)
		pass_make(&relay->pass, relay->config.id, &relay->secret);
	relay->head_timeout_ms = (uint32_t)MIN(f[2].number, (uint64_t)UINT32_MAX);
	relay->idle_timeout_ms = (uint32_t)MIN(f[3].number, (uint64_t)UINT32_MAX);
	relay->connect_timeout_ms = (uint32_t)MIN(f[4].number, (uint64_t)UINT32_MAX);
	find_origins(relay);
	relay->failures.per_minute = (uint32_t)f[5].number;
	backend_authority(relay);
	relay->prefix_length = (size_t)snprintf(
		relay->prefix_text, sizeof relay->prefix_text, "/t/%s", relay->config.id);
	budget_init(&relay->budget, &relay->config, relay->counters);
	request_log_init(&relay->log, &relay->loop, &relay->control, &relay->counters->log,
		(uint32_t)f[6].number);
	relay->agent_grace_ms = (uint32_t)MIN(f[7].number, (uint64_t)UINT32_MAX);
	relay->end = (struct instant){(int64_t)f[8].number};
	relay->notice = f[9].number != 0;
	agents_end_known(relay);
	channel->phase = PHASE_RUN;
	ipc_resume(&relay->visitors);
	return 0;
}

// Nothing but the life may have changed: all else is what this relay was started for.
static int on_config(struct ipc_channel *channel, struct ipc_message *message)
{
	struct relay *relay = container_of(channel, struct relay, control);
	struct span given = message->fields[0].bytes;
	uint8_t own[TUNNEL_CONFIG_MAX];
	struct tunnel_config config;
	int r = tunnel_config_decode(&config, given.p, given.n);
	if (r < 0)
		return r;
	uint64_t life_ms = relay->config.life_ms;
	relay->config.life_ms = config.life_ms;
	size_t n = tunnel_config_encode(&relay->config, own);
	if (n == given.n && memcmp(own, given.p, n) == 0) {
		relay->end = (struct instant){(int64_t)message->fields[1].number};
		agents_end_known(relay);
		return 0;
	}
	relay->config.life_ms = life_ms;
	return -EBADMSG;
}

// ---- channels

static const struct ipc_handling control_table[] = {
	{MSG_ORIGINS, on_origins},
	{MSG_RELAY_SETUP, on_setup},
	{MSG_RELAY_CONFIG, on_config},
	{MSG_AGENT, agents_on_message},
	{MSG_DRAIN, agents_on_drain},
	{MSG_AGENT_MEMORY, agents_on_memory},
	{MSG_DIALED, dial_on_dialed},
	{MSG_DIAL_FAILED, dial_on_failed},
};

static const struct ipc_handlers control_handlers = {
	ROLE_RELAY, ROLE_SUPERVISOR, control_table, ARRAY_SIZE(control_table)};

static const struct ipc_handling visitor_table[] = {{MSG_VISITOR, visitor_on_message}};

static const struct ipc_handlers visitor_handlers = {
	ROLE_RELAY, ROLE_GATE, visitor_table, ARRAY_SIZE(visitor_table)};

static void control_ended(struct ipc_channel *channel, const char *why)
{
	struct relay *relay = container_of(channel, struct relay, control);
	loop_stop(&relay->loop, EXIT_SUCCESS);
}

static void visitors_ended(struct ipc_channel *channel, const char *why)
{
	struct relay *relay = container_of(channel, struct relay, visitors);
	if (ipc_open(channel))
		relay_log(relay, 1, "a gate sent what it must not: %s", why);
	else
		loop_stop(&relay->loop, EXIT_SUCCESS); // the supervisor's spare is gone as well
}

static void on_exhausted_over(struct loop_timer *timer)
{
	struct relay *relay = container_of(timer, struct relay, exhausted);
	if (relay->n_descriptors < relay->most_descriptors)
		ipc_resume(&relay->visitors);
}

// The one that was sent is lost, its visitor sees a reset. The next ones wait a little: it is not
// only our own connections that can have used up what there is.
static void visitor_lost(struct ipc_channel *channel, const struct ipc_message *lost)
{
	struct relay *relay = container_of(channel, struct relay, visitors);
	struct instant due = instant_add_ms(relay->loop.now, EXHAUSTED_MS);
	if (loop_timer_set(&relay->loop, &relay->exhausted, due) == 0)
		ipc_pause(channel);
}

static void backend_lost(struct ipc_channel *channel, const struct ipc_message *lost)
{
	dial_lost(container_of(channel, struct relay, control), lost);
}

static int counters_map(struct relay *relay)
{
	void *page = mmap(NULL, COUNTERS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, COUNTERS_FD, 0);
	if (page == MAP_FAILED)
		return -errno;
	close(COUNTERS_FD);
	relay->counters = page;
	atomic_store_explicit(&relay->counters->open, 0, memory_order_relaxed);
	atomic_store_explicit(&relay->counters->agents, 0, memory_order_relaxed);
	return 0;
}

static int channels_init(struct relay *relay, uint32_t epoch)
{
	int r = ipc_init(&relay->control, &relay->loop, IPC_FIRST_FD, &control_handlers, epoch, 0,
		CONTROL_QUEUE);
	if (r < 0)
		return r;
	relay->control.ended = control_ended;
	relay->control.exhausted = backend_lost;
	r = ipc_init(&relay->visitors, &relay->loop, VISITORS_FD, &visitor_handlers, 0,
		IPC_SHARED | IPC_ANY_EPOCH, 0);
	if (r < 0)
		return r;
	relay->visitors.ended = visitors_ended;
	relay->visitors.exhausted = visitor_lost;
	relay->visitors.phase = PHASE_RUN;
	ipc_pause(&relay->visitors); // until the settings are here
	return 0;
}

int relay_init(struct relay *relay, uint32_t epoch, unsigned reached)
{
	// Static, so that an idle relay's pages of them are never touched.
	static char scratch[RELAY_SCRATCH], head_out[RELAY_HEAD_OUT];
	struct rlimit limit = {.rlim_cur = 1024};
	*relay = (struct relay){.scratch = scratch, .head_out = head_out};
	relay->exhausted.expired = on_exhausted_over;
	getrlimit(RLIMIT_NOFILE, &limit);
	unsigned all = (unsigned)MIN(limit.rlim_cur, (rlim_t)INT_MAX);
	relay->most_descriptors = all - MIN(all / 2, (unsigned)HEADROOM);
	dials_init(&relay->dials);
	agents_init(&relay->agents);
	int r = loop_init(&relay->loop);
	if (r == 0)
		r = counters_map(relay);
	if (r == 0)
		r = channels_init(relay, epoch);
	if (r == 0)
		r = ipc_post(&relay->control, MSG_READY, -1, wire_uint(reached));
	return r;
}

int relay_run(struct relay *relay)
{
	return loop_run(&relay->loop);
}

// ----

void relay_log(struct relay *relay, unsigned level, const char *format, ...)
{
	char text[512];
	va_list ap;
	va_start(ap, format);
	int n = vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	if (n > 0)
		(void)ipc_post(&relay->control, MSG_LOG, -1, wire_uint(level),
			wire_str((struct span){text, MIN((size_t)n, sizeof text - 1)}));
}

void relay_check_budget(struct relay *relay)
{
	const char *which = budget_used_up(&relay->budget);
	if (which == NULL)
		return;
	visitors_leave(relay);
	(void)ipc_post(&relay->control, MSG_USED_UP, -1, wire_str(span_of(which)));
}

size_t relay_bytes_left(const struct relay *relay, size_t size)
{
	const struct counters *c = relay->counters;
	uint64_t most = relay->config.max_bytes;
	if (most == 0)
		return size;
	uint64_t used = counter_get(&c->bytes_in) + counter_get(&c->bytes_out);
	return used < most ? (size_t)MIN((uint64_t)size, most - used) : 0;
}

void relay_count_bytes(struct relay *relay, _Atomic uint64_t *counter, size_t n)
{
	counter_add(counter, n);
	if (relay->config.max_bytes != 0)
		relay_check_budget(relay);
}

void relay_descriptor_taken(struct relay *relay)
{
	if (++relay->n_descriptors >= relay->most_descriptors)
		ipc_pause(&relay->visitors);
}

void relay_descriptor_closed(struct relay *relay)
{
	if (--relay->n_descriptors < relay->most_descriptors)
		ipc_resume(&relay->visitors);
}
