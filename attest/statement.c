// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "statement.h"

#include "clock.h"
#include "config_json.h"
#include "text.h"

#include <inttypes.h>

#define RELAY_COMPONENT "tunneld-relay"

// ---- reading

enum {
	STATE_NONCE = 2,
	STATE_REASON,
	STATE_AGE,
	STATE_CONFIG,
	STATE_UID,
	STATE_SECCOMP,
	STATE_NO_NEW_PRIVS,
	STATE_CAPABILITIES,
	STATE_LANDLOCK,
	STATE_COUNTERS,
};

int statement_read(struct statement *statement, const struct wire_value *f)
{
	*statement = (struct statement){
		.nonce = f[STATE_NONCE].bytes,
		.reason = (enum end_reason)f[STATE_REASON].number,
		.age_ms = f[STATE_AGE].number,
		.config = f[STATE_CONFIG].bytes,
		.relay =
			{
				.uid = f[STATE_UID].number,
				.seccomp = f[STATE_SECCOMP].number,
				.no_new_privs = f[STATE_NO_NEW_PRIVS].number,
				.capabilities = f[STATE_CAPABILITIES].number,
				.landlock = f[STATE_LANDLOCK].number,
			},
	};
	for (size_t i = 0; i < COUNTERS_N; i++)
		statement->counters[i] = f[STATE_COUNTERS + i].number;
	bool receipt = statement->reason != END_NONE;
	return receipt == (statement->nonce.n == 0) ? 0 : -EBADMSG;
}

// ---- writing

static int add_relay(
	struct buf *out, const struct statement_relay *relay, const struct facts *facts)
{
	static const char *const modes[] = {"none", "strict", "filter"};
	const struct fact_component *component = facts_component(facts, RELAY_COMPONENT);
	int r = buf_printf(out, ",\"relay\":{\"sha256\":");
	if (r == 0)
		r = component != NULL ? text_hex(out, component->sha256, DIGEST_SIZE)
				      : buf_printf(out, "null");
	if (r < 0)
		return r;
	return buf_printf(out,
		",\"uid\":%" PRIu64
		",\"seccomp\":\"%s\",\"no_new_privs\":%s,\"capabilities\":%" PRIu64
		",\"landlock\":%s}",
		relay->uid, modes[relay->seccomp], relay->no_new_privs ? "true" : "false",
		relay->capabilities, relay->landlock ? "true" : "false");
}

static int add_counters(struct buf *out, const uint64_t counters[COUNTERS_N])
{
	static const char *const names[COUNTERS_N] = {"connections", "open", "requests", "bytes_in",
		"bytes_out", "last_activity", "agents"};
	int r = buf_printf(out, ",\"counters\":");
	for (size_t i = 0; i < COUNTERS_N && r == 0; i++)
		r = buf_printf(out, "%c\"%s\":%" PRIu64, i == 0 ? '{' : ',', names[i], counters[i]);
	return r == 0 ? buf_add(out, "}", 1) : r;
}

// Type, nonce and times.
static int add_head(struct buf *out, const struct statement *statement, const struct facts *facts)
{
	int64_t uptime_us = instant_diff_us(instant_now(), facts->started_on);
	int r = buf_printf(out, "{\"type\":\"%s\"", statement_type(statement));
	if (r == 0 && statement->nonce.n > 0)
		r = buf_printf(out, ",\"nonce\":");
	if (r == 0 && statement->nonce.n > 0)
		r = text_hex(out, statement->nonce.p, statement->nonce.n);
	if (r == 0)
		r = buf_printf(out, ",\"untrusted_time\":");
	if (r == 0)
		r = text_time(out, wall_now());
	if (r == 0)
		r = buf_printf(out, ",\"uptime_ms\":%" PRId64, uptime_us / 1000);
	return r;
}

static int add_end(struct buf *out, const struct statement *statement)
{
	int64_t now = wall_now();
	int r = buf_printf(out, ",\"started_at\":");
	if (r == 0)
		r = text_time(out, MAX(0, now - (int64_t)(statement->age_ms / 1000)));
	if (r == 0)
		r = buf_printf(out, ",\"ended_at\":");
	if (r == 0)
		r = text_time(out, now);
	if (r == 0)
		r = buf_printf(out, ",\"reason\":\"%s\"", end_reason_name(statement->reason));
	return r;
}

int statement_format(struct buf *out, const struct statement *statement, const struct facts *facts,
	char id[TUNNEL_ID_MAX + 1])
{
	struct tunnel_config config;
	int r = tunnel_config_decode(&config, statement->config.p, statement->config.n);
	if (r < 0)
		return r;
	memcpy(id, config.id, TUNNEL_ID_MAX + 1);
	r = add_head(out, statement, facts);
	if (r == 0)
		r = buf_printf(out, ",\"tunnel\":");
	if (r == 0)
		r = config_json(out, &config);
	if (r == 0)
		r = add_relay(out, &statement->relay, facts);
	if (r == 0)
		r = add_counters(out, statement->counters);
	if (r == 0 && statement->reason != END_NONE)
		r = add_end(out, statement);
	return r == 0 ? buf_add(out, "}", 1) : r;
}
