// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What the parts of the store share: the connection and its statements, prepared once.

#pragma once

#include "store.h"

#include <sqlite3.h>

enum statement {
	SQL_BEGIN,
	SQL_COMMIT,
	SQL_ROLLBACK,
	SQL_PROBE,
	SQL_AUDIT,
	SQL_AUDIT_ALL,
	SQL_AUDIT_TOKEN,
	SQL_ADD,
	SQL_ACTIVATE,
	SQL_EXTEND,
	SQL_EXTEND_LIVE,
	SQL_END,
	SQL_GET,
	SQL_GET_KEY,
	SQL_COUNT,
	SQL_COUNT_TOKEN,
	SQL_LIST_STATE,
	SQL_LIST_ALL,
	SQL_LIST_TOKEN_STATE,
	SQL_LIST_TOKEN,
	SQL_LIVE_CLEAR,
	SQL_LIVE_ADD,
	SQL_LIVE_MOVED,
	SQL_LIVE_AUDIT,
	SQL_LIVE_MERGE,
	SQL_REMAINING,
	SQL_STRAYS,
	SQL_MISSING,
	SQL_PURGE_TUNNELS,
	SQL_PURGE_AUDIT_AGE,
	SQL_PURGE_AUDIT_ROWS,
	SQL_PURGE_CERTIFICATES,
	SQL_RECEIPT_ADD,
	SQL_RECEIPT_GET,
	SQL_CERTIFICATE_PUT,
	SQL_CERTIFICATE_UPDATE,
	SQL_TOKEN_ADD,
	SQL_TOKEN_REMOVE,
	SQL_TOKEN_GET,
	SQL_TOKEN_FIND,
	SQL_TOKEN_COUNT,
	SQL_TOKEN_LIST,
	SQL_TOKEN_NEXT,
	SQL_DISOWNED,
	SQL_IS_DISOWNED,
	STATEMENTS
};

extern const char *const store_sql[STATEMENTS]; // store_sql.c

struct store {
	sqlite3 *db;
	sqlite3_stmt *statements[STATEMENTS];
	bool in_transaction;
	int changes;          // rows ever changed when the transaction began
	bool writable;        // the last change could be stored
	struct instant tried; // when that was
	char error[256];
};

// The statement, ready for new values.
sqlite3_stmt *store_statement(struct store *store, enum statement which);

// Runs a statement without rows to its end and releases its values. Returns 0 or a negative errno.
int store_run(struct store *store, sqlite3_stmt *statement) WARN_UNUSED;

// Keeps the reason of a failure (RESULT: SQLite's) and returns its errno.
int store_failed(struct store *store, int result) WARN_UNUSED;

// Starts a transaction of the function's own, unless the caller has one; store_scope_end() commits
// it when R is not negative, else rolls back. *OWN goes from one to the other.
int store_scope_begin(struct store *store, bool *own) WARN_UNUSED;
int store_scope_end(struct store *store, bool own, int r) WARN_UNUSED;

// Binding by place, from 1. Text and blobs are borrowed until the statement is run.
void store_bind_text(sqlite3_stmt *statement, int place, const char *text);
void store_bind_count(sqlite3_stmt *statement, int place, uint64_t n); // capped at INT64_MAX
void store_bind_span(sqlite3_stmt *statement, int place, struct span text);
void store_bind_hash(sqlite3_stmt *statement, int place, const struct secret_hash *hash);

// Reading a column, from 0: text that is cut to SIZE - 1 bytes, and a number that is not negative.
void store_read_text(sqlite3_stmt *statement, int column, char *out, size_t size);
uint64_t store_read_count(sqlite3_stmt *statement, int column);
void store_read_hash(sqlite3_stmt *statement, int column, struct secret_hash *hash);

// Runs a statement that yields one number.
int store_read_number(struct store *store, sqlite3_stmt *statement, uint64_t *ret) WARN_UNUSED;

// Adds a row about a tunnel or token; WAS is NULL for a new one.
int store_audit(struct store *store, const char *subject, const char *was, const char *became,
	struct store_cause cause) WARN_UNUSED;

// Columns every statement that yields whole tunnels names, in the order store_read_tunnel() reads.
#define STORE_COLUMNS                                                                             \
	"tunnels.seq, tunnels.id, token, state, name, backend, auth, prefix, secret_hash,"        \
	" timeout_s, max_connections, max_requests, max_bytes, request_rate, created_at,"         \
	" expires_at, ended_at, boot_id, tunnels.deadline_us, remaining_ms, tunnels.connections," \
	" tunnels.requests, tunnels.bytes_in, tunnels.bytes_out, tunnels.last_activity, life_ms," \
	" agent_hash, origin, port"

void store_read_tunnel(sqlite3_stmt *statement, struct tunnel *tunnel);

// Calls EACH for every row of STATEMENT, read by READ.
int store_read_all(struct store *store, sqlite3_stmt *statement,
	void (*read)(sqlite3_stmt *statement, struct tunnel *tunnel), store_each each,
	void *arg) WARN_UNUSED;
