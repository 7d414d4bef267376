// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "tally.h"

#include "seal.h"
#include "supervisor.h"

#include <poll.h>

void tally_init(struct tally *tally)
{
	*tally = (struct tally){.now.started_at = (uint64_t)wall_now()};
}

// ---- counters of tunnels

// Adds or, with SIGN -1, takes away: a tunnel restored from the database brings counts of an
// earlier life, which are no counts of this one.
static void add_counters(struct metrics *m, const uint64_t counters[COUNTERS_N], uint64_t sign)
{
	uint64_t *const sums[COUNTERS_N] = {&m->connections, &m->open, &m->requests, &m->bytes_in,
		&m->bytes_out, NULL, &m->agents};

	for (size_t i = 0; i < COUNTERS_N; i++)
		if (sums[i] != NULL)
			*sums[i] += sign * counters[i];
}

void tally_tunnel_new(struct tally *tally, const struct tunnel *tunnel)
{
	add_counters(&tally->now, tunnel->counters, UINT64_MAX);
}

void tally_tunnel_gone(struct tally *tally, const struct tunnel *tunnel)
{
	add_counters(&tally->now, tunnel->counters, 1);
}

static void add_page(struct metrics *m, const struct counters *page)
{
	for (size_t i = 0; i < CODES; i++)
		m->relay_refusals[i] += counter_get(&page->refused[i]);
}

void tally_page_gone(struct tally *tally, const struct counters *page)
{
	add_page(&tally->now, page);
}

void tally_spawned(struct tally *tally, int64_t us)
{
	size_t i = 0;

	while (i < METRICS_BUCKETS && (uint64_t)us > metrics_buckets_us[i])
		i++;
	tally->now.spawned[i]++;
	tally->now.spawned_us += (uint64_t)us;
}

static enum metrics_state state_of(const struct tunnel *tunnel)
{
	switch (tunnel->state) {
	case TUNNEL_LIVE: return METRICS_ACTIVE;
	case TUNNEL_ENDING:
	case TUNNEL_SIGNING:
	case TUNNEL_ENDED: return METRICS_ENDING;
	case TUNNEL_RESOLVING:
	case TUNNEL_QUEUED:
	case TUNNEL_STARTING:
	case TUNNEL_CRASHED:
	case TUNNEL_STATES: break;
	}
	return tunnel->lived ? METRICS_REPLACING : METRICS_STARTING;
}

static void add_tunnels(struct metrics *m, const struct tunnels *tunnels)
{
	for (size_t i = 0; i < tunnels->n_buckets; i++)
		for (const struct tunnel *t = tunnels->buckets[i]; t != NULL; t = t->next_by_id) {
			uint64_t counters[COUNTERS_N];
			tunnel_counters(t, counters);
			add_counters(m, counters, 1);
			m->tunnels[state_of(t)]++;
			m->processes[ROLE_RELAY] += process_alive(&t->relay);
			if (t->page != NULL)
				add_page(m, t->page);
		}
}

// ---- processes

// poll() says which of many descriptors are open. They are given lowest first, so that where none
// of a thousand is, there are no further ones.
static size_t count_descriptors(size_t most)
{
	struct pollfd fds[1024];
	size_t all = 0;

	for (size_t base = 0; base < most; base += ARRAY_SIZE(fds)) {
		size_t n = MIN(ARRAY_SIZE(fds), most - base), found = 0;
		for (size_t i = 0; i < n; i++)
			fds[i] = (struct pollfd){.fd = (int)(base + i)};
		if (poll(fds, n, 0) < 0)
			break;
		for (size_t i = 0; i < n; i++)
			found += (fds[i].revents & POLLNVAL) == 0;
		all += found;
		if (found == 0)
			break;
	}
	return all;
}

static void add_processes(struct metrics *m, const struct supervisor *supervisor)
{
	const struct gates *gates = &supervisor->gates;
	const struct edges *edges = &supervisor->edges;
	struct rlimit limit = {.rlim_max = 0};

	(void)getrlimit(RLIMIT_NOFILE, &limit);
	m->processes[ROLE_SUPERVISOR] = 1;
	m->processes[ROLE_API] = process_alive(&supervisor->api.child.process);
	m->processes[ROLE_RESOLVER] = supervisor->resolver.running;
	m->processes[ROLE_ATTESTOR] = process_alive(&supervisor->attest.child.process);
	m->descriptors[ROLE_SUPERVISOR] = count_descriptors(limit.rlim_cur) +
					  (supervisor->state_fd >= 0); // O_PATH: none to poll()
	m->descriptors_max[ROLE_SUPERVISOR] = limit.rlim_cur;
	m->descriptors_max[ROLE_API] = MIN(limit.rlim_max, (rlim_t)SEAL_API_DESCRIPTORS);
	for (size_t i = 0; i < gates->n; i++) {
		const struct gate *gate = &gates->items[i];
		m->processes[ROLE_GATE] += process_alive(&gate->child.process);
		m->descriptors[ROLE_GATE] += gate->descriptors;
		m->descriptors_max[ROLE_GATE] += MIN(limit.rlim_max, (rlim_t)SEAL_GATE_DESCRIPTORS);
		for (size_t j = 0; j < METRICS_WAITS; j++)
			m->gate_waiting[j] += gate->waiting[j];
	}
	for (size_t i = 0; i < edges->n; i++) {
		const struct edge *edge = &edges->items[i];
		m->processes[ROLE_EDGE] += process_alive(&edge->child.process);
		m->descriptors[ROLE_EDGE] += edge->descriptors;
		m->descriptors_max[ROLE_EDGE] += MIN(limit.rlim_max, (rlim_t)SEAL_EDGE_DESCRIPTORS);
		for (size_t j = 0; j < METRICS_BY_TLS; j++)
			m->by_tls[j] += edge->by_tls[j];
	}
}

// Sums of what relays say: one that takes its words back must not make a counter fall.
static void keep_rising(struct metrics *m, const struct metrics *before)
{
	m->connections = MAX(m->connections, before->connections);
	m->requests = MAX(m->requests, before->requests);
	m->bytes_in = MAX(m->bytes_in, before->bytes_in);
	m->bytes_out = MAX(m->bytes_out, before->bytes_out);
	for (size_t i = 0; i < CODES; i++)
		m->relay_refusals[i] = MAX(m->relay_refusals[i], before->relay_refusals[i]);
}

const struct metrics *tally_collect(struct supervisor *supervisor)
{
	struct tally *tally = &supervisor->tally;
	struct metrics m = tally->now;
	struct instant begin = instant_now();

	if (!instant_reached(begin, tally->told_until))
		return &tally->told;
	add_tunnels(&m, &supervisor->tunnels);
	add_processes(&m, supervisor);
	m.lookups_waiting = supervisor->resolver.n_waiting;
	log_totals(&m.log_lines, &m.log_limited, &m.log_unread);
	keep_rising(&m, &tally->told);
	tally->told = m;
	int64_t took_us = instant_diff_us(instant_now(), begin);
	tally->told_until.us = begin.us + TALLY_SHARE * MAX(took_us, 1);
	return &tally->told;
}
