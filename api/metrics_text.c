// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "metrics_text.h"

#include <inttypes.h>

// ---- values of labels, by index; NULL: there is none with this index

static const char *code_label(size_t i)
{
	return i != CODE_NONE ? code_info((enum code)i)->name : NULL;
}

static const char *end_label(size_t i)
{
	return i != END_NONE ? end_reason_name((enum end_reason)i) : NULL;
}

static const char *state_label(size_t i)
{
	static const char *const names[METRICS_STATES] = {
		[METRICS_STARTING] = "starting",
		[METRICS_ACTIVE] = "active",
		[METRICS_REPLACING] = "replacing",
		[METRICS_ENDING] = "ending",
	};
	return names[i];
}

static const char *wait_label(size_t i)
{
	static const char *const names[METRICS_WAITS] = {[METRICS_READING] = "head",
		[METRICS_PARKED] = "receiver",
		[METRICS_CLOSING] = "close"};
	return names[i];
}

static const char *handshake_label(size_t i)
{
	static const char *const names[METRICS_HANDSHAKES] = {
		[METRICS_COMPLETED] = "completed", [METRICS_FAILED] = "failed"};
	return names[i];
}

static const char *by_tls_label(size_t i)
{
	static const char *const names[METRICS_BY_TLS] = {[METRICS_IN_HANDSHAKE] = "handshake",
		[METRICS_OFFERED] = "offered",
		[METRICS_OPEN] = "open"};
	return names[i];
}

static const char *dial_label(size_t i)
{
	static const char *const names[DIAL_FAILURES] = {
		[DIAL_REFUSED] = "refused",
		[DIAL_TIMEOUT] = "timeout",
		[DIAL_FORBIDDEN] = "forbidden",
		[DIAL_UNRESOLVED] = "unresolved",
		[DIAL_EXHAUSTED] = "exhausted",
		[DIAL_TLS] = "tls",
		[DIAL_CERT_EXPIRED] = "certificate_expired",
		[DIAL_CERT_NAME] = "certificate_name",
		[DIAL_CERT_UNTRUSTED] = "certificate_untrusted",
	};
	return names[i];
}

static const char *role_label(size_t i)
{
	return ipc_role_name((enum ipc_role)i);
}

static const char *child_label(size_t i)
{
	return i != ROLE_SUPERVISOR ? role_label(i) : NULL;
}

// Those that must always be there, and relays while their tunnel lives.
static const char *restart_label(size_t i)
{
	return i != ROLE_SUPERVISOR && i != ROLE_RESOLVER ? role_label(i) : NULL;
}

static const char *fixed_label(size_t i)
{
	bool counted = i == ROLE_SUPERVISOR || i == ROLE_GATE || i == ROLE_API || i == ROLE_EDGE;
	return counted ? role_label(i) : NULL;
}

static const char *kind_label(size_t i)
{
	static const char *const names[CONNECTION_KINDS] = {[CONNECTION_SERVED] = "served",
		[CONNECTION_REFUSED] = "refused",
		[CONNECTION_PAGE] = "page",
		[CONNECTION_STREAM] = "stream"};
	return names[i];
}

// ---- the table

enum type { GAUGE, COUNTER };

// Rows with the same name follow each other and share type and help, which the first one has.
struct series {
	const char *name;
	enum type type;
	const char *help;
	size_t offset, n;  // numbers in struct metrics_all
	const char *fixed; // a label all of them have, as `by="gate"`
	const char *label; // a label with a value for each
	const char *(*value)(size_t i);
};

#define AT(member)                                      \
	.offset = offsetof(struct metrics_all, member), \
	.n = sizeof(((struct metrics_all *)0)->member) / sizeof(uint64_t)

static const struct series before[] = {
	{"start_time_seconds", GAUGE, "When tunneld was started, in seconds since the epoch.",
		AT(supervisor.started_at)},
	{"tunnels", GAUGE, "Tunnels by state.", AT(supervisor.tunnels), .label = "state",
		.value = state_label},
	{"tunnel_ends_total", COUNTER, "Tunnels that have ended, by reason.", AT(supervisor.ends),
		.label = "reason", .value = end_label},
	{"tunnel_start_failures_total", COUNTER, "Tunnels that could not be started, by code.",
		AT(supervisor.spawn_failures), .label = "code", .value = code_label},
};

static const struct series behind[] = {
	{"visitor_connections_total", COUNTER, "Visitor connections taken by relays.",
		AT(supervisor.connections)},
	{"visitor_connections", GAUGE, "Visitor connections open at relays.", AT(supervisor.open)},
	{"requests_total", COUNTER, "Requests that relays accepted.", AT(supervisor.requests)},
	{"visitor_bytes_total", COUNTER,
		"Bytes of bodies and byte relays, from visitors (in) and to them (out).",
		AT(supervisor.bytes_in), .fixed = "direction=\"in\""},
	{"visitor_bytes_total", COUNTER, NULL, AT(supervisor.bytes_out),
		.fixed = "direction=\"out\""},
	{"agents", GAUGE, "Agent connections of pull tunnels.", AT(supervisor.agents)},
	{"refusals_total", COUNTER, "Requests answered with an error of tunneld's, by code.",
		AT(supervisor.relay_refusals), .fixed = "by=\"relay\"", .label = "code",
		.value = code_label},
	{"refusals_total", COUNTER, NULL, AT(supervisor.gate_refusals), .fixed = "by=\"gate\"",
		.label = "code", .value = code_label},
	{"refusals_total", COUNTER, NULL, AT(refusals), .fixed = "by=\"api\"", .label = "code",
		.value = code_label},
	{"gate_accepted_total", COUNTER, "Connections that gates accepted.",
		AT(supervisor.accepted)},
	{"gate_cut_total", COUNTER, "Connections that gates closed without a word to make room.",
		AT(supervisor.cut)},
	{"gate_waiting", GAUGE,
		"Connections that wait at gates: for their head, for a busy receiver, for their end.",
		AT(supervisor.gate_waiting), .label = "for", .value = wait_label},
	{"tls_handshakes_total", COUNTER,
		"TLS connections of visitors, by what came of the handshake.",
		AT(supervisor.handshakes), .label = "result", .value = handshake_label},
	{"tls_connections", GAUGE,
		"Visitors at edges: in a handshake, offered to busy gates, passed on and open.",
		AT(supervisor.by_tls), .label = "state", .value = by_tls_label},
	{"dials_total", COUNTER, "Connections to backends that relays asked for.",
		AT(supervisor.dials)},
	{"dial_failures_total", COUNTER,
		"Those that failed at once, by reason; later failures are refusals of relays.",
		AT(supervisor.dial_failures), .label = "reason", .value = dial_label},
	{"lookups_total", COUNTER, "Look-ups of backend names.", AT(supervisor.lookups)},
	{"lookup_failures_total", COUNTER, "Look-ups that brought no address.",
		AT(supervisor.lookup_failures)},
	{"lookups_waiting", GAUGE, "Look-ups that wait for their turn.",
		AT(supervisor.lookups_waiting)},
	{"processes", GAUGE, "Processes by role.", AT(supervisor.processes), .label = "role",
		.value = role_label},
	{"process_starts_total", COUNTER, "Processes started, by role.",
		AT(supervisor.process_starts), .label = "role", .value = child_label},
	{"process_restarts_total", COUNTER, "Processes that ended and had to be replaced, by role.",
		AT(supervisor.process_restarts), .label = "role", .value = restart_label},
	{"protocol_violations_total", COUNTER,
		"Processes killed for a message that none of ours sends, by role.",
		AT(supervisor.violations), .label = "role", .value = child_label},
	{"descriptors", GAUGE, "File descriptors in use (gates and edges: all together).",
		AT(supervisor.descriptors), .label = "role", .value = fixed_label},
	{"descriptors_max", GAUGE, "File descriptors there may be (gates and edges: all together).",
		AT(supervisor.descriptors_max), .label = "role", .value = fixed_label},
	{"log_lines_total", COUNTER, "Lines written to the log.", AT(supervisor.log_lines)},
	{"log_lines_dropped_total", COUNTER,
		"Lines left out: over a process's allowance (limit), or nobody read them (unread).",
		AT(supervisor.log_limited), .fixed = "reason=\"limit\""},
	{"log_lines_dropped_total", COUNTER, NULL, AT(supervisor.log_unread),
		.fixed = "reason=\"unread\""},
	{"api_requests_total", COUNTER, "Requests that reached the API worker.", AT(requests)},
	{"api_connections", GAUGE, "Connections open at the API worker.", AT(connections),
		.label = "kind", .value = kind_label},
	{"database_errors_total", COUNTER, "Calls of the database that failed.",
		AT(database_errors)},
};

// ---- text

static int add_head(struct buf *out, const char *name, const char *type, const char *help)
{
	return buf_printf(
		out, "# HELP tunneld_%s %s\n# TYPE tunneld_%s %s\n", name, help, name, type);
}

static int add_sample(struct buf *out, const struct series *series, size_t i, uint64_t number)
{
	const char *fixed = series->fixed != NULL ? series->fixed : "";
	const char *comma = series->fixed != NULL ? "," : "";
	if (series->label == NULL)
		return buf_printf(out, "tunneld_%s%s%s%s %" PRIu64 "\n", series->name,
			series->fixed != NULL ? "{" : "", fixed, series->fixed != NULL ? "}" : "",
			number);
	const char *value = series->value(i);
	if (value == NULL)
		return 0;
	return buf_printf(out, "tunneld_%s{%s%s%s=\"%s\"} %" PRIu64 "\n", series->name, fixed,
		comma, series->label, value, number);
}

static int add_table(
	struct buf *out, const struct metrics_all *all, const struct series *table, size_t n)
{
	int r = 0;
	for (const struct series *s = table; r == 0 && s < table + n; s++) {
		if (s->help != NULL)
			r = add_head(out, s->name, s->type == GAUGE ? "gauge" : "counter", s->help);
		for (size_t i = 0; r == 0 && i < s->n; i++) {
			uint64_t number;
			memcpy(&number, (const char *)all + s->offset + i * sizeof number,
				sizeof number);
			r = add_sample(out, s, i, number);
		}
	}
	return r;
}

static int add_histogram(struct buf *out, const struct metrics *m)
{
	static const char name[] = "tunnel_start_seconds";
	uint64_t n = 0;
	int r = add_head(
		out, name, "histogram", "Time from the request for a tunnel to its sealed relay.");
	for (size_t i = 0; r == 0 && i < METRICS_BUCKETS; i++) {
		n += m->spawned[i];
		r = buf_printf(out, "tunneld_%s_bucket{le=\"%g\"} %" PRIu64 "\n", name,
			(double)metrics_buckets_us[i] / 1e6, n);
	}
	n += m->spawned[METRICS_BUCKETS];
	if (r == 0)
		r = buf_printf(out,
			"tunneld_%s_bucket{le=\"+Inf\"} %" PRIu64 "\ntunneld_%s_sum %.6f\n"
			"tunneld_%s_count %" PRIu64 "\n",
			name, n, name, (double)m->spawned_us / 1e6, name, n);
	return r;
}

int metrics_text(struct buf *out, const struct metrics_all *all)
{
	int r = add_head(out, "build_info", "gauge", "Always 1; what runs is in the labels.");
	if (r == 0)
		r = buf_printf(out, "tunneld_build_info{version=\"%s\"} 1\n", all->version);
	if (r == 0)
		r = add_table(out, all, before, ARRAY_SIZE(before));
	if (r == 0)
		r = add_histogram(out, &all->supervisor);
	if (r == 0)
		r = add_table(out, all, behind, ARRAY_SIZE(behind));
	return r;
}
