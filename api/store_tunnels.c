// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "store_private.h"

static int audit(struct store *store, const char *id, enum tunnel_state was,
	enum tunnel_state became, struct store_cause cause)
{
	return store_audit(store, id, was != 0 ? tunnel_state_name(was) : NULL,
		tunnel_state_name(became), cause);
}

static int insert(struct store *store, const struct tunnel *tunnel)
{
	sqlite3_stmt *statement = store_statement(store, SQL_ADD);
	store_bind_text(statement, 1, tunnel->id);
	store_bind_text(statement, 2, tunnel->token);
	store_bind_text(statement, 3, tunnel_mode_name(tunnel));
	store_bind_text(statement, 4, tunnel->name);
	if (!tunnel_is_pull(tunnel))
		store_bind_text(statement, 5, tunnel->backend);
	store_bind_text(statement, 6, tunnel_auth_name(tunnel->auth));
	store_bind_text(statement, 7, tunnel_prefix_name(tunnel->prefix));
	store_bind_hash(statement, 8, &tunnel->secret_hash);
	store_bind_count(statement, 9, tunnel->timeout_s);
	store_bind_count(statement, 10, tunnel->max_connections);
	store_bind_count(statement, 11, tunnel->max_requests);
	store_bind_count(statement, 12, tunnel->max_bytes);
	store_bind_count(statement, 13, tunnel->request_rate);
	sqlite3_bind_int64(statement, 14, tunnel->created_at);
	store_bind_count(statement, 15, tunnel->life_ms);
	if (tunnel_is_pull(tunnel))
		store_bind_hash(statement, 16, &tunnel->agent_hash);
	return store_run(store, statement);
}

int store_tunnel_add(struct store *store, const struct tunnel *tunnel, struct store_cause cause)
{
	bool own;
	int r = store_scope_begin(store, &own);
	if (r < 0)
		return r;
	r = insert(store, tunnel);
	if (r == 0)
		r = audit(store, tunnel->id, 0, TUNNEL_STARTING, cause);
	return store_scope_end(store, own, r);
}

// Returns 0, STORE_NONE or an error.
static int state_of(struct store *store, const char *id, enum tunnel_state *state)
{
	struct tunnel tunnel;
	int r = store_tunnel_get(store, span_of(id), &tunnel);
	if (r == 0)
		*state = tunnel.state;
	return r;
}

static int activate(struct store *store, const struct tunnel *tunnel, const struct secret_hash *key)
{
	sqlite3_stmt *statement = store_statement(store, SQL_ACTIVATE);
	sqlite3_bind_int64(statement, 1, tunnel->expires_at);
	store_bind_text(statement, 2, tunnel->boot_id);
	sqlite3_bind_int64(statement, 3, tunnel->deadline_us);
	sqlite3_bind_int64(statement, 4, tunnel->remaining_ms);
	store_bind_text(statement, 5, tunnel_origin_name(tunnel->origin));
	sqlite3_bind_int64(statement, 6, tunnel->port);
	if (key != NULL)
		store_bind_hash(statement, 7, key);
	store_bind_text(statement, 8, tunnel->id);
	return store_run(store, statement);
}

int store_tunnel_activate(struct store *store, const struct tunnel *tunnel,
	const struct secret_hash *key, struct store_cause cause)
{
	enum tunnel_state was = 0;
	bool own;
	int r = store_scope_begin(store, &own);
	if (r < 0)
		return r;
	r = state_of(store, tunnel->id, &was);
	if (r == STORE_NONE || (r == 0 && tunnel_state_is_over(was)))
		r = STORE_UNCHANGED;
	if (r == 0)
		r = activate(store, tunnel, key);
	if (r == 0 && was != TUNNEL_ACTIVE)
		r = audit(store, tunnel->id, was, TUNNEL_ACTIVE, cause);
	return store_scope_end(store, own, r);
}

static int extend(struct store *store, const struct tunnel *tunnel)
{
	sqlite3_stmt *statement = store_statement(store, SQL_EXTEND);
	store_bind_count(statement, 1, tunnel->timeout_s);
	store_bind_count(statement, 2, tunnel->life_ms);
	sqlite3_bind_int64(statement, 3, tunnel->expires_at);
	store_bind_text(statement, 4, tunnel->boot_id);
	sqlite3_bind_int64(statement, 5, tunnel->deadline_us);
	sqlite3_bind_int64(statement, 6, tunnel->remaining_ms);
	store_bind_text(statement, 7, tunnel->id);
	int r = store_run(store, statement);
	if (r < 0)
		return r;
	// What was told to live before this must not undo it.
	statement = store_statement(store, SQL_EXTEND_LIVE);
	sqlite3_bind_int64(statement, 1, tunnel->deadline_us);
	store_bind_text(statement, 2, tunnel->id);
	return store_run(store, statement);
}

int store_tunnel_extend(struct store *store, const struct tunnel *tunnel, struct store_cause cause)
{
	enum tunnel_state was = 0;
	bool own;
	int r = store_scope_begin(store, &own);
	if (r < 0)
		return r;
	r = state_of(store, tunnel->id, &was);
	if (r == STORE_NONE || (r == 0 && was != TUNNEL_ACTIVE))
		r = STORE_UNCHANGED;
	if (r == 0)
		r = extend(store, tunnel);
	if (r == 0)
		r = audit(store, tunnel->id, was, was, cause);
	return store_scope_end(store, own, r);
}

static int end(struct store *store, const char *id, enum tunnel_state state, int64_t ended_at,
	const struct tunnel_counters *counters)
{
	sqlite3_stmt *statement = store_statement(store, SQL_END);
	store_bind_text(statement, 1, tunnel_state_name(state));
	sqlite3_bind_int64(statement, 2, ended_at);
	store_bind_count(statement, 3, counters->connections);
	store_bind_count(statement, 4, counters->requests);
	store_bind_count(statement, 5, counters->bytes_in);
	store_bind_count(statement, 6, counters->bytes_out);
	store_bind_count(statement, 7, counters->last_activity);
	store_bind_text(statement, 8, id);
	return store_run(store, statement);
}

int store_tunnel_end(struct store *store, const char *id, enum tunnel_state state, int64_t ended_at,
	const struct tunnel_counters *counters, struct store_cause cause)
{
	static const struct tunnel_counters none;
	enum tunnel_state was = 0;
	bool own;
	int r = store_scope_begin(store, &own);
	if (r < 0)
		return r;
	r = state_of(store, id, &was);
	if (r == 0 && tunnel_state_is_over(was))
		r = STORE_UNCHANGED;
	if (r == 0)
		r = end(store, id, state, ended_at, counters != NULL ? counters : &none);
	if (r == 0)
		r = audit(store, id, was, state, cause);
	return store_scope_end(store, own, r);
}

// ---- reading

static struct span column_span(sqlite3_stmt *statement, int column)
{
	return span_of((const char *)sqlite3_column_text(statement, column));
}

static void read_settings(sqlite3_stmt *s, struct tunnel *tunnel)
{
	tunnel->seq = sqlite3_column_int64(s, 0);
	store_read_text(s, 1, tunnel->id, sizeof tunnel->id);
	store_read_text(s, 2, tunnel->token, sizeof tunnel->token);
	tunnel->state = tunnel_state_parse(column_span(s, 3));
	store_read_text(s, 4, tunnel->name, sizeof tunnel->name);
	store_read_text(s, 5, tunnel->backend, sizeof tunnel->backend);
	tunnel->auth = tunnel_auth_parse(column_span(s, 6));
	tunnel->prefix = tunnel_prefix_parse(column_span(s, 7));
	store_read_hash(s, 8, &tunnel->secret_hash);
	tunnel->timeout_s = store_read_count(s, 9);
	tunnel->max_connections = store_read_count(s, 10);
	tunnel->max_requests = store_read_count(s, 11);
	tunnel->max_bytes = store_read_count(s, 12);
	tunnel->request_rate = store_read_count(s, 13);
}

void store_read_tunnel(sqlite3_stmt *s, struct tunnel *tunnel)
{
	*tunnel = (struct tunnel){0};
	read_settings(s, tunnel);
	tunnel->created_at = sqlite3_column_int64(s, 14);
	tunnel->expires_at = sqlite3_column_int64(s, 15);
	tunnel->ended_at = sqlite3_column_int64(s, 16);
	store_read_text(s, 17, tunnel->boot_id, sizeof tunnel->boot_id);
	tunnel->deadline_us = sqlite3_column_int64(s, 18);
	tunnel->remaining_ms = sqlite3_column_int64(s, 19);
	tunnel->counters.connections = store_read_count(s, 20);
	tunnel->counters.requests = store_read_count(s, 21);
	tunnel->counters.bytes_in = store_read_count(s, 22);
	tunnel->counters.bytes_out = store_read_count(s, 23);
	tunnel->counters.last_activity = store_read_count(s, 24);
	tunnel->life_ms = store_read_count(s, 25);
	store_read_hash(s, 26, &tunnel->agent_hash);
	tunnel->origin = tunnel_origin_parse(column_span(s, 27));
	tunnel->port = (uint16_t)sqlite3_column_int64(s, 28);
}

// Reads the one row of STATEMENT. Returns 0, STORE_NONE or an error.
static int read_one(struct store *store, sqlite3_stmt *statement, struct tunnel *ret)
{
	int result = sqlite3_step(statement), r = 0;
	if (result == SQLITE_ROW)
		store_read_tunnel(statement, ret);
	else
		r = result == SQLITE_DONE ? STORE_NONE : store_failed(store, result);
	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
	return r;
}

int store_tunnel_get(struct store *store, struct span id, struct tunnel *ret)
{
	sqlite3_stmt *statement = store_statement(store, SQL_GET);
	store_bind_span(statement, 1, id);
	return read_one(store, statement, ret);
}

int store_tunnel_of_key(struct store *store, const struct secret_hash *key, struct tunnel *ret)
{
	sqlite3_stmt *statement = store_statement(store, SQL_GET_KEY);
	store_bind_hash(statement, 1, key);
	return read_one(store, statement, ret);
}

int store_tunnels_count(struct store *store, const char *token, uint64_t *ret)
{
	sqlite3_stmt *statement =
		store_statement(store, token != NULL ? SQL_COUNT_TOKEN : SQL_COUNT);
	if (token != NULL)
		store_bind_text(statement, 1, token);
	return store_read_number(store, statement, ret);
}

int store_read_all(struct store *store, sqlite3_stmt *statement,
	void (*read)(sqlite3_stmt *statement, struct tunnel *tunnel), store_each each, void *arg)
{
	struct tunnel tunnel;
	int result, r = 0;
	bool wanted = true;
	while (wanted && (result = sqlite3_step(statement)) != SQLITE_DONE) {
		if (result != SQLITE_ROW) {
			r = store_failed(store, result);
			break;
		}
		read(statement, &tunnel);
		wanted = each(&tunnel, arg);
	}
	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
	return r;
}

int store_tunnels_list(struct store *store, const char *token, enum tunnel_state state,
	int64_t before, unsigned limit, store_each each, void *arg)
{
	static const enum statement which[2][2] = {
		{SQL_LIST_ALL, SQL_LIST_STATE}, {SQL_LIST_TOKEN, SQL_LIST_TOKEN_STATE}};
	int place = 1;
	sqlite3_stmt *statement = store_statement(store, which[token != NULL][state != 0]);
	if (token != NULL)
		store_bind_text(statement, place++, token);
	sqlite3_bind_int64(statement, place++, before);
	if (state != 0)
		store_bind_text(statement, place++, tunnel_state_name(state));
	sqlite3_bind_int64(statement, place, limit);
	return store_read_all(store, statement, store_read_tunnel, each, arg);
}
