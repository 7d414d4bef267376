// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "schema.h"

#include <sqlite3.h>
#include <stdio.h>

// Says in the file's header whose it is: "tnld".
enum { APPLICATION_ID = 0x746e6c64 };

static const char step_1[] =
	// One row for each tunnel, live ones and tombstones.
	"CREATE TABLE tunnels("
	"  seq INTEGER PRIMARY KEY,"
	"  id TEXT NOT NULL UNIQUE,"
	"  token TEXT NOT NULL,"
	"  state TEXT NOT NULL CHECK(state IN"
	"    ('starting','active','expired','revoked','exhausted','failed')),"
	"  mode TEXT NOT NULL CHECK(mode IN ('push','pull')),"
	"  name TEXT NOT NULL,"
	"  backend TEXT,"
	"  auth TEXT NOT NULL CHECK(auth IN ('bearer','basic','none')),"
	"  prefix TEXT NOT NULL CHECK(prefix IN ('strip','keep')),"
	"  origin TEXT NOT NULL,"
	"  secret_hash BLOB NOT NULL CHECK(length(secret_hash) = 32),"
	"  timeout_s INTEGER NOT NULL,"
	"  max_connections INTEGER NOT NULL,"
	"  max_requests INTEGER NOT NULL,"
	"  max_bytes INTEGER NOT NULL,"
	"  request_rate INTEGER NOT NULL,"
	"  created_at INTEGER NOT NULL,"
	"  expires_at INTEGER,"
	"  ended_at INTEGER,"
	"  boot_id TEXT,"
	"  deadline_us INTEGER,"
	"  remaining_ms INTEGER,"
	"  connections INTEGER NOT NULL DEFAULT 0,"
	"  requests INTEGER NOT NULL DEFAULT 0,"
	"  bytes_in INTEGER NOT NULL DEFAULT 0,"
	"  bytes_out INTEGER NOT NULL DEFAULT 0,"
	"  last_activity INTEGER NOT NULL DEFAULT 0,"
	"  CHECK((state IN ('starting','active')) = (ended_at IS NULL)),"
	"  CHECK(state <> 'active' OR (expires_at IS NOT NULL AND boot_id IS NOT NULL"
	"    AND deadline_us IS NOT NULL AND remaining_ms IS NOT NULL))"
	") STRICT;"
	"CREATE INDEX tunnels_by_state ON tunnels(state, seq);"
	"CREATE INDEX tunnels_by_end ON tunnels(ended_at) WHERE ended_at IS NOT NULL;"
	// One row for each change of state; outlives the tunnel's own row.
	"CREATE TABLE audit("
	"  seq INTEGER PRIMARY KEY,"
	"  at INTEGER NOT NULL,"
	"  tunnel TEXT NOT NULL,"
	"  was TEXT,"
	"  became TEXT NOT NULL,"
	"  actor TEXT NOT NULL,"
	"  reason TEXT NOT NULL"
	") STRICT;"
	"CREATE INDEX audit_by_tunnel ON audit(tunnel);"
	// When the database was last found to be writable.
	"CREATE TABLE probe(one INTEGER PRIMARY KEY CHECK(one = 1), at INTEGER NOT NULL) STRICT;"
	"INSERT INTO probe VALUES(1, 0);";

static const char step_2[] =
	// The whole life of a tunnel, which PATCH changes: max_timeout is held against it.
	"ALTER TABLE tunnels ADD COLUMN life_ms INTEGER NOT NULL DEFAULT 0;"
	"UPDATE tunnels SET life_ms = timeout_s * 1000;";

static const char step_3[] =
	// Scoped tokens, as long as they are valid.
	"CREATE TABLE tokens("
	"  seq INTEGER PRIMARY KEY,"
	"  id TEXT NOT NULL UNIQUE CHECK(id GLOB 'k-*'),"
	"  name TEXT NOT NULL,"
	"  hash BLOB NOT NULL UNIQUE CHECK(length(hash) = 32),"
	"  quota INTEGER NOT NULL CHECK(quota > 0),"
	"  created_at INTEGER NOT NULL,"
	"  expires_at INTEGER NOT NULL CHECK(expires_at > created_at)"
	") STRICT;"
	// What a token sees, and how many of its tunnels live.
	"CREATE INDEX tunnels_by_token ON tunnels(token, seq);"
	"CREATE INDEX tunnels_by_token_state ON tunnels(token, state, seq);"
	// Changes of tokens are told there as well.
	"ALTER TABLE audit RENAME COLUMN tunnel TO subject;"
	"DROP INDEX audit_by_tunnel;"
	"CREATE INDEX audit_by_subject ON audit(subject);";

static const char step_4[] =
	// The idempotency key a tunnel was asked for with, as SHA-256 of token and key.
	"ALTER TABLE tunnels ADD COLUMN idempotency_key BLOB"
	"  CHECK(idempotency_key IS NULL OR length(idempotency_key) = 32);"
	"CREATE UNIQUE INDEX tunnels_by_key ON tunnels(idempotency_key)"
	"  WHERE idempotency_key IS NOT NULL;";

static const char step_5[] =
	// Tunnels that agents serve, and the hash of the token their agents show.
	"ALTER TABLE tunnels ADD COLUMN agent_hash BLOB"
	"  CHECK((mode = 'pull') = (agent_hash IS NOT NULL) AND"
	"    (mode = 'pull') = (backend IS NULL) AND"
	"    (agent_hash IS NULL OR length(agent_hash) = 32));";

static const char step_6[] =
	// The tunnel's own port; 0: none.
	"ALTER TABLE tunnels ADD COLUMN port INTEGER NOT NULL DEFAULT 0;";

static const char step_7[] =
	// What was signed at the end of a tunnel, and the evidence for the key it was signed with,
	// once for all receipts of an instance.
	"CREATE TABLE certificates("
	"  instance BLOB PRIMARY KEY CHECK(length(instance) = 32),"
	"  document TEXT NOT NULL"
	") STRICT;"
	"CREATE TABLE receipts("
	"  tunnel TEXT PRIMARY KEY REFERENCES tunnels(id) ON DELETE CASCADE,"
	"  statement BLOB NOT NULL,"
	"  signature BLOB NOT NULL CHECK(length(signature) = 64),"
	"  instance BLOB NOT NULL CHECK(length(instance) = 32)"
	") STRICT;"
	"CREATE INDEX receipts_by_instance ON receipts(instance);";

static const char *const steps[] = {step_1, step_2, step_3, step_4, step_5, step_6, step_7};

const struct schema schema_tunneld = {steps, ARRAY_SIZE(steps)};

static int read_number(struct sqlite3 *db, const char *sql, int *number)
{
	sqlite3_stmt *statement;
	if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
		return -EIO;
	int r = sqlite3_step(statement);
	*number = sqlite3_column_int(statement, 0);
	sqlite3_finalize(statement);
	return r == SQLITE_ROW ? 0 : -EIO;
}

static int run(struct sqlite3 *db, const char *sql)
{
	return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : -EIO;
}

static int take_step(struct sqlite3 *db, const char *step, int version)
{
	char pragma[64];
	snprintf(pragma, sizeof pragma, "PRAGMA user_version = %d", version);
	int r = run(db, "BEGIN IMMEDIATE");
	if (r == 0)
		r = run(db, step);
	if (r == 0)
		r = run(db, pragma);
	if (r == 0)
		r = run(db, "COMMIT");
	return r; // an open transaction ends with the connection: the caller gives up
}

int schema_check(struct sqlite3 *db, const struct schema *schema, int *version)
{
	int application, tables;
	if (read_number(db, "PRAGMA user_version", version) < 0 ||
		read_number(db, "PRAGMA application_id", &application) < 0 ||
		read_number(db, "SELECT count(*) FROM sqlite_schema", &tables) < 0)
		return -EIO;
	if (application != APPLICATION_ID && (application != 0 || tables != 0))
		return SCHEMA_FOREIGN;
	return *version < 0 || *version > schema->n_steps ? SCHEMA_NEWER : 0;
}

int schema_migrate(struct sqlite3 *db, const struct schema *schema, int version)
{
	char pragma[64];
	snprintf(pragma, sizeof pragma, "PRAGMA application_id = %d", APPLICATION_ID);
	if (version < schema->n_steps && run(db, pragma) < 0)
		return -EIO;
	for (int v = version; v < schema->n_steps; v++)
		if (take_step(db, schema->steps[v], v + 1) < 0)
			return -EIO;
	return 0;
}
