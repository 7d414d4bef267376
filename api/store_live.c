// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "store_private.h"

enum { PURGE_ROWS = 500 }; // a piece: some milliseconds of work

// ---- the set of those that live

int store_live_clear(struct store *store)
{
	return store_run(store, store_statement(store, SQL_LIVE_CLEAR));
}

int store_live_add(struct store *store, const char *id, int64_t deadline_us,
	const struct tunnel_counters *counters)
{
	sqlite3_stmt *statement = store_statement(store, SQL_LIVE_ADD);
	store_bind_text(statement, 1, id);
	sqlite3_bind_int64(statement, 2, deadline_us);
	store_bind_count(statement, 3, counters->connections);
	store_bind_count(statement, 4, counters->requests);
	store_bind_count(statement, 5, counters->bytes_in);
	store_bind_count(statement, 6, counters->bytes_out);
	store_bind_count(statement, 7, counters->last_activity);
	return store_run(store, statement);
}

// Runs one changing statement in a transaction.
static int change(struct store *store, sqlite3_stmt *statement)
{
	bool own;
	int r = store_scope_begin(store, &own);
	if (r < 0)
		return r;
	return store_scope_end(store, own, store_run(store, statement));
}

int store_live_merge(struct store *store, const char *boot_id, struct instant now)
{
	static const enum statement both[] = {SQL_LIVE_AUDIT, SQL_LIVE_MERGE};
	bool own;
	int r = store_scope_begin(store, &own);
	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(both) && r == 0; i++) {
		sqlite3_stmt *statement = store_statement(store, both[i]);
		store_bind_text(statement, 1, boot_id);
		sqlite3_bind_int64(statement, 2, now.us);
		sqlite3_bind_int64(statement, 3, wall_now());
		r = store_run(store, statement);
	}
	return store_scope_end(store, own, r);
}

int store_checkpoint_remaining(struct store *store, const char *boot_id, struct instant now)
{
	sqlite3_stmt *statement = store_statement(store, SQL_REMAINING);
	sqlite3_bind_int64(statement, 1, now.us);
	store_bind_text(statement, 2, boot_id);
	return change(store, statement);
}

static void read_id(sqlite3_stmt *statement, struct tunnel *tunnel)
{
	const char *id = (const char *)sqlite3_column_text(statement, 0);
	*tunnel = (struct tunnel){0};
	if (id != NULL && strlen(id) < sizeof tunnel->id)
		memcpy(tunnel->id, id, strlen(id));
}

int store_live_moved(struct store *store, const char *boot_id, store_each each, void *arg)
{
	sqlite3_stmt *statement = store_statement(store, SQL_LIVE_MOVED);
	store_bind_text(statement, 1, boot_id);
	return store_read_all(store, statement, read_id, each, arg);
}

int store_live_strays(struct store *store, store_each each, void *arg)
{
	return store_read_all(store, store_statement(store, SQL_STRAYS), read_id, each, arg);
}

int store_live_missing(struct store *store, store_each each, void *arg)
{
	return store_read_all(
		store, store_statement(store, SQL_MISSING), store_read_tunnel, each, arg);
}

// ---- forgetting

// Deletes at most PURGE_ROWS rows: those WHICH selects by BOUND.
static int purge(struct store *store, enum statement which, int64_t bound, bool *more)
{
	sqlite3_stmt *statement = store_statement(store, which);
	sqlite3_bind_int64(statement, 1, bound);
	sqlite3_bind_int64(statement, 2, PURGE_ROWS);
	int r = store_run(store, statement);
	if (r == 0 && sqlite3_changes(store->db) == PURGE_ROWS)
		*more = true;
	return r;
}

int store_purge(struct store *store, int64_t now, int64_t ended_by, bool *more)
{
	bool own, found = false;
	int r = store_scope_begin(store, &own);
	if (r < 0)
		return r;
	r = purge(store, SQL_PURGE_TUNNELS, ended_by, &found);
	if (r == 0)
		r = purge(store, SQL_PURGE_AUDIT_AGE, now - STORE_AUDIT_DAYS * INT64_C(86400),
			&found);
	if (r == 0)
		r = purge(store, SQL_PURGE_AUDIT_ROWS, STORE_AUDIT_ROWS, &found);
	if (r == 0)
		r = store_run(store, store_statement(store, SQL_PURGE_CERTIFICATES));
	*more = found;
	return store_scope_end(store, own, r);
}
