// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "store_private.h"

#include <stdarg.h>
#include <stdio.h>

enum {
	BUSY_MS = 1000,             // somebody looks at the database with a tool
	CACHE_KIB = 1024,           // pages kept in memory
	WAL_LIMIT = 4 << 20,        // bytes the log keeps on disk after a checkpoint
	PROBE_AFTER_MS = 30 * 1000, // a success is believed for so long
	PROBE_AGAIN_MS = 1000,      // a failure for so long
	HEAP_LIMIT = 32 << 20,      // bytes SQLite may use in all
};

// ---- errors

int store_failed(struct store *store, int result)
{
	snprintf(store->error, sizeof store->error, "%s", sqlite3_errmsg(store->db));
	switch (result & 0xff) {
	case SQLITE_FULL: return -ENOSPC;
	case SQLITE_READONLY:
	case SQLITE_PERM: return -EROFS;
	case SQLITE_NOMEM: return -ENOMEM;
	case SQLITE_BUSY:
	case SQLITE_LOCKED: return -EBUSY;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB: return -EUCLEAN;
	default: return -EIO;
	}
}

const char *store_error(const struct store *store)
{
	return store->error;
}

// ---- statements

// Also without memory a transaction must come to its end: a rollback that had none is made up for
// before anything else is done.
static void end_transaction(struct store *store)
{
	sqlite3_stmt *rollback = store->statements[SQL_ROLLBACK];
	store->in_transaction = false;
	if (sqlite3_get_autocommit(store->db))
		return;
	sqlite3_step(rollback);
	sqlite3_reset(rollback);
}

sqlite3_stmt *store_statement(struct store *store, enum statement which)
{
	sqlite3_stmt *statement = store->statements[which];
	if (!store->in_transaction)
		end_transaction(store);
	sqlite3_reset(statement);
	return statement;
}

int store_run(struct store *store, sqlite3_stmt *statement)
{
	int result = sqlite3_step(statement);
	int r = result == SQLITE_DONE ? 0 : store_failed(store, result);
	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
	return r;
}

void store_bind_text(sqlite3_stmt *statement, int place, const char *text)
{
	sqlite3_bind_text(statement, place, text, -1, SQLITE_STATIC);
}

void store_bind_count(sqlite3_stmt *statement, int place, uint64_t n)
{
	sqlite3_bind_int64(statement, place, (int64_t)MIN(n, (uint64_t)INT64_MAX));
}

void store_bind_hash(sqlite3_stmt *statement, int place, const struct secret_hash *hash)
{
	sqlite3_bind_blob(statement, place, hash->bytes, SECRET_HASH_SIZE, SQLITE_STATIC);
}

void store_bind_span(sqlite3_stmt *statement, int place, struct span text)
{
	sqlite3_bind_text(statement, place, text.p, (int)text.n, SQLITE_STATIC);
}

void store_read_text(sqlite3_stmt *statement, int column, char *out, size_t size)
{
	const char *text = (const char *)sqlite3_column_text(statement, column);
	size_t n = text != NULL ? MIN(strlen(text), size - 1) : 0;
	if (n > 0)
		memcpy(out, text, n);
	out[n] = '\0';
}

uint64_t store_read_count(sqlite3_stmt *statement, int column)
{
	return (uint64_t)MAX(0, sqlite3_column_int64(statement, column));
}

void store_read_hash(sqlite3_stmt *statement, int column, struct secret_hash *hash)
{
	if (sqlite3_column_bytes(statement, column) == SECRET_HASH_SIZE)
		memcpy(hash->bytes, sqlite3_column_blob(statement, column), SECRET_HASH_SIZE);
}

int store_read_number(struct store *store, sqlite3_stmt *statement, uint64_t *ret)
{
	int result = sqlite3_step(statement), r = 0;
	if (result == SQLITE_ROW)
		*ret = store_read_count(statement, 0);
	else
		r = store_failed(store, result);
	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
	return r;
}

int store_audit(struct store *store, const char *subject, const char *was, const char *became,
	struct store_cause cause)
{
	sqlite3_stmt *statement = store_statement(store, SQL_AUDIT);
	sqlite3_bind_int64(statement, 1, wall_now());
	store_bind_text(statement, 2, subject);
	if (was != NULL)
		store_bind_text(statement, 3, was);
	store_bind_text(statement, 4, became);
	store_bind_text(statement, 5, cause.actor);
	store_bind_text(statement, 6, cause.reason);
	return store_run(store, statement);
}

// ---- transactions

// What a transaction's outcome says about the disk: one that changed nothing says nothing.
static int noted(struct store *store, int r)
{
	if (r < 0 || sqlite3_total_changes(store->db) != store->changes) {
		store->writable = r == 0;
		store->tried = instant_now();
	}
	return r;
}

int store_begin(struct store *store)
{
	int r = store_run(store, store_statement(store, SQL_BEGIN));
	store->in_transaction = r == 0;
	store->changes = sqlite3_total_changes(store->db);
	return r == 0 ? 0 : noted(store, r);
}

int store_commit(struct store *store)
{
	int r = store_run(store, store_statement(store, SQL_COMMIT));
	// Some errors (SQLITE_FULL, SQLITE_IOERR) have rolled back by themselves, others have not.
	end_transaction(store);
	return noted(store, r);
}

void store_rollback(struct store *store)
{
	end_transaction(store);
}

int store_scope_begin(struct store *store, bool *own)
{
	*own = !store->in_transaction;
	return *own ? store_begin(store) : 0;
}

int store_scope_end(struct store *store, bool own, int r)
{
	if (!own)
		return r;
	if (r == 0)
		return store_commit(store);
	store_rollback(store);
	return r < 0 ? noted(store, r) : r;
}

bool store_writable(struct store *store)
{
	struct instant now = instant_now();
	int64_t believed_ms = store->writable ? PROBE_AFTER_MS : PROBE_AGAIN_MS;
	if (!instant_reached(now, instant_add_ms(store->tried, believed_ms)))
		return store->writable;
	bool own;
	int r = store_scope_begin(store, &own);
	if (r < 0)
		return false;
	sqlite3_stmt *statement = store_statement(store, SQL_PROBE);
	sqlite3_bind_int64(statement, 1, wall_now());
	r = store_run(store, statement);
	return store_scope_end(store, own, r) == 0;
}

// ---- life

int store_prepare_process(void)
{
	// The random numbers of SQLite (salts of the log) come from a file that the sandbox hides.
	char seed[4];
	if (sqlite3_config(SQLITE_CONFIG_SINGLETHREAD) != SQLITE_OK ||
		sqlite3_initialize() != SQLITE_OK)
		return -EIO;
	sqlite3_hard_heap_limit64(HEAP_LIMIT);
	sqlite3_randomness(sizeof seed, seed);
	return 0;
}

static int set_option(struct store *store, int option, int value)
{
	int result = sqlite3_db_config(store->db, option, value, (int *)NULL);
	return result == SQLITE_OK ? 0 : store_failed(store, result);
}

static int configure(struct store *store)
{
	static const struct {
		int option, value;
	} options[] = {
		// A database that turns out to be unusable is left as it is, its log too.
		{SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1},
		{SQLITE_DBCONFIG_DEFENSIVE, 1},
		{SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
		{SQLITE_DBCONFIG_ENABLE_FKEY, 1},
		{SQLITE_DBCONFIG_DQS_DML, 0},
		{SQLITE_DBCONFIG_DQS_DDL, 0},
		{SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
	};
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		int r = set_option(store, options[i].option, options[i].value);
		if (r < 0)
			return r;
	}
	sqlite3_busy_timeout(store->db, BUSY_MS);
	return 0;
}

static int execute(struct store *store, const char *text)
{
	int result = sqlite3_exec(store->db, text, NULL, NULL, NULL);
	return result == SQLITE_OK ? 0 : store_failed(store, result);
}

// Nobody else may look at it from now on, and it costs little memory.
static int keep_for_us(struct store *store)
{
	char text[128];
	snprintf(text, sizeof text,
		"PRAGMA locking_mode = EXCLUSIVE; PRAGMA temp_store = MEMORY;"
		"PRAGMA cache_size = -%d;",
		CACHE_KIB);
	return execute(store, text);
}

static int set_journal(struct store *store)
{
	char text[192];
	snprintf(text, sizeof text,
		"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
		"PRAGMA journal_size_limit = %d; PRAGMA secure_delete = FAST;",
		WAL_LIMIT);
	return execute(store, text);
}

// Returns 0, or -EUCLEAN with the first finding in the error text.
static int check_integrity(struct store *store)
{
	sqlite3_stmt *statement;
	int result = sqlite3_prepare_v2(store->db, "PRAGMA quick_check(1)", -1, &statement, NULL);
	if (result != SQLITE_OK)
		return store_failed(store, result);
	int r = 0;
	result = sqlite3_step(statement);
	const char *finding = (const char *)sqlite3_column_text(statement, 0);
	if (result != SQLITE_ROW) {
		r = store_failed(store, result);
	} else if (finding == NULL || strcmp(finding, "ok") != 0) {
		snprintf(store->error, sizeof store->error, "damaged: %s", finding);
		r = -EUCLEAN;
	}
	sqlite3_finalize(statement);
	return r;
}

// Whether it is ours to write to.
static int check_schema(struct store *store, const struct schema *schema, int *version)
{
	int r = schema_check(store->db, schema, version);
	if (r == SCHEMA_NEWER)
		snprintf(store->error, sizeof store->error,
			"it has schema version %d and this program knows versions up to %d: it was "
			"written by a newer tunneld",
			*version, schema->n_steps);
	else if (r == SCHEMA_FOREIGN)
		snprintf(store->error, sizeof store->error, "it is not a database of tunneld");
	else if (r < 0)
		return store_failed(store, sqlite3_errcode(store->db));
	return r == 0 ? 0 : -EUCLEAN;
}

static int migrate(struct store *store, const struct schema *schema, int version)
{
	int r = schema_migrate(store->db, schema, version);
	return r == 0 ? 0 : store_failed(store, sqlite3_errcode(store->db));
}

static int prepare_statements(struct store *store)
{
	int r = execute(store,
		"CREATE TEMP TABLE live(id TEXT PRIMARY KEY, deadline_us INTEGER NOT NULL,"
		" connections INTEGER NOT NULL, requests INTEGER NOT NULL,"
		" bytes_in INTEGER NOT NULL, bytes_out INTEGER NOT NULL,"
		" last_activity INTEGER NOT NULL) STRICT, WITHOUT ROWID");
	for (size_t i = 0; i < STATEMENTS && r == 0; i++) {
		int result = sqlite3_prepare_v3(store->db, store_sql[i], -1,
			SQLITE_PREPARE_PERSISTENT, &store->statements[i], NULL);
		if (result != SQLITE_OK)
			r = store_failed(store, result);
	}
	return r;
}

// SQLite opens what it may not write to for reading alone, without a word.
static int check_access(struct store *store)
{
	if (sqlite3_db_readonly(store->db, "main") != 1)
		return 0;
	snprintf(store->error, sizeof store->error, "it may only be read");
	return -EROFS;
}

// The same with its log, which is noticed when something is to be written. Of a full disk there
// will be word with the first change: what is there can be read all the same.
static int check_log(struct store *store)
{
	int r = store_begin(store);
	if (r < 0)
		return r;
	store_rollback(store);
	return set_option(store, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0);
}

static int open_database(struct store *store, const char *path, const struct schema *schema)
{
	int version = 0;
	int result = sqlite3_open_v2(path, &store->db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
			SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_EXRESCODE,
		NULL);
	int r = result == SQLITE_OK ? 0 : store_failed(store, result);
	if (r == 0)
		r = check_access(store);
	if (r == 0)
		r = configure(store);
	if (r == 0)
		r = keep_for_us(store);
	if (r == 0)
		r = check_schema(store, schema, &version);
	if (r == 0)
		r = check_integrity(store);
	if (r == 0)
		r = set_journal(store);
	if (r == 0)
		r = migrate(store, schema, version);
	if (r == 0)
		r = prepare_statements(store);
	return r == 0 ? check_log(store) : r;
}

int store_open_schema(
	struct store **ret, const char *path, const struct schema *schema, char *why, size_t size)
{
	struct store *store = calloc(1, sizeof *store);
	if (store == NULL) {
		snprintf(why, size, "out of memory");
		return -ENOMEM;
	}
	int r = open_database(store, path, schema);
	if (r < 0) {
		snprintf(why, size, "%s", store->error);
		store_free(store);
		return r;
	}
	store->writable = true;
	store->tried = instant_now();
	*ret = store;
	return 0;
}

int store_open(struct store **ret, const char *path, char *why, size_t size)
{
	return store_open_schema(ret, path, &schema_tunneld, why, size);
}

void store_free(struct store *store)
{
	if (store == NULL)
		return;
	for (size_t i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(store->statements[i]);
	sqlite3_close(store->db);
	free(store);
}
