// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The shape of the database: what it refuses, how it is brought to the newest version, and which
// files are left alone.

#include "store_run.h"

static void the_schema_refuses_nonsense(void **state)
{
	static const char *const bad[] = {
		"UPDATE tunnels SET state = 'gone'",
		"UPDATE tunnels SET secret_hash = x'00'",
		"UPDATE tunnels SET created_at = 'yesterday'",
		"UPDATE tunnels SET state = 'active'",
		"UPDATE tunnels SET state = 'expired'",
		"UPDATE tunnels SET ended_at = 5",
		"UPDATE tunnels SET idempotency_key = x'00'",
		"UPDATE tunnels SET agent_hash = zeroblob(32)",
		"UPDATE tunnels SET backend = NULL",
		"UPDATE tunnels SET mode = 'pull'",
		"UPDATE tunnels SET mode = 'pull', agent_hash = zeroblob(32)",
		"UPDATE tunnels SET mode = 'pull', backend = NULL",
		"UPDATE tunnels SET mode = 'pull', backend = NULL, agent_hash = zeroblob(31)",
		"INSERT INTO tokens VALUES(1, 'owner', '', zeroblob(32), 1, 1, 2)",
		"INSERT INTO tokens VALUES(1, 'k-a', '', zeroblob(31), 1, 1, 2)",
		"INSERT INTO tokens VALUES(1, 'k-a', '', zeroblob(32), 0, 1, 2)",
		"INSERT INTO tokens VALUES(1, 'k-a', '', zeroblob(32), 1, 2, 2)",
	};
	add(1);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (sqlite3_exec(store->db, bad[i], NULL, NULL, NULL) == SQLITE_OK)
			fail_msg("accepted: %s", bad[i]);
}

// ---- versions

static int open_as(const struct schema *schema, char *why, size_t size)
{
	store_free(store);
	store = NULL;
	return store_open_schema(&store, case_path, schema, why, size);
}

static void migration(void **state)
{
	enum { STEPS_MAX = 16 };
	const char *steps[STEPS_MAX], *right[STEPS_MAX];
	int n = schema_tunneld.n_steps;
	char why[256];
	struct tunnel made = add_active(1);
	assert_true(n + 2 <= STEPS_MAX);
	memcpy(steps, schema_tunneld.steps, (size_t)n * sizeof *steps);
	steps[n] = "ALTER TABLE tunnels ADD COLUMN extra TEXT NOT NULL DEFAULT 'x'";
	steps[n + 1] = "UPDATE tunnels SET extra = 'y'; CREATE TABLE third(a) STRICT;";
	memcpy(right, steps, sizeof right);
	right[n + 1] = "UPDATE tunnels SET extra = 'y'";
	assert_int_equal(open_as(&(struct schema){steps, n + 1}, why, sizeof why), 0);
	assert_int_equal(number("PRAGMA user_version"), n + 1);
	assert_int_equal(number("SELECT count(*) FROM tunnels WHERE extra = 'x'"), 1);

	// A step that fails (a STRICT table needs types) changes nothing, not even in part.
	assert_true(open_as(&(struct schema){steps, n + 2}, why, sizeof why) < 0);
	assert_int_equal(open_as(&(struct schema){steps, n + 1}, why, sizeof why), 0);
	assert_int_equal(number("SELECT count(*) FROM tunnels WHERE extra = 'x'"), 1);

	assert_int_equal(open_as(&(struct schema){right, n + 2}, why, sizeof why), 0);
	assert_int_equal(number("PRAGMA user_version"), n + 2);
	assert_int_equal(number("SELECT count(*) FROM tunnels WHERE extra = 'y'"), 1);
	assert_int_equal(get(made.id).state, TUNNEL_ACTIVE);

	assert_int_equal(open_as(&schema_tunneld, why, sizeof why), -EUCLEAN);
	assert_non_null(strstr(why, "newer"));
	assert_int_equal(open_as(&(struct schema){right, n + 2}, why, sizeof why), 0);
}

static void step_2_gives_old_rows_their_life(void **state)
{
	char why[256], old[PATH_MAX];
	snprintf(old, sizeof old, "%s/old.db", case_folder);
	sqlite3 *db;
	assert_int_equal(sqlite3_open(old, &db), SQLITE_OK);
	assert_int_equal(schema_migrate(db, &(struct schema){schema_tunneld.steps, 1}, 0), 0);
	int r = sqlite3_exec(db,
		"INSERT INTO tunnels(id, token, state, mode, name, backend, auth, prefix, origin,"
		" secret_hash, timeout_s, max_connections, max_requests, max_bytes, request_rate,"
		" created_at) VALUES('t-old', 'owner', 'starting', 'push', '', 'http://h:80',"
		" 'none', 'strip', 'path', zeroblob(32), 77, 1, 0, 0, 0, 5)",
		NULL, NULL, NULL);
	assert_int_equal(r, SQLITE_OK);
	sqlite3_close(db);
	store_free(store);
	store = NULL;
	assert_int_equal(store_open(&store, old, why, sizeof why), 0);
	assert_int_equal(get("t-old").life_ms, 77000);
}

// What the first release has left behind is what the newest one goes on with.
static void from_version_1(void **state)
{
	static const char old[] =
		"PRAGMA application_id = 0x746e6c64; PRAGMA user_version = 1;"
		"INSERT INTO tunnels(id, token, state, mode, name, backend, auth, prefix, origin,"
		" secret_hash, timeout_s, max_connections, max_requests, max_bytes, request_rate,"
		" created_at, expires_at, boot_id, deadline_us, remaining_ms) VALUES("
		" 't-aaaaaaaaaaaaaaaaaaaaaaaaaa', 'owner', 'active', 'push', 'old',"
		" 'http://127.0.0.1:1', 'bearer', 'keep', 'path', zeroblob(32), 60, 1, 2, 3, 4,"
		" 1700000000, 1700001000, '" CASE_BOOT "', 5000000, 4000);"
		"INSERT INTO audit(at, tunnel, became, actor, reason)"
		" VALUES(1, 't-aaaaaaaaaaaaaaaaaaaaaaaaaa', 'starting', 'owner', 'asked for');";
	sqlite3 *db;
	store_free(store);
	store = NULL;
	assert_int_equal(unlink(case_path), 0);
	assert_int_equal(sqlite3_open(case_path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, schema_tunneld.steps[0], NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, old, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	reopen();
	assert_int_equal(number("PRAGMA user_version"), schema_tunneld.n_steps);
	struct tunnel read = get("t-aaaaaaaaaaaaaaaaaaaaaaaaaa");
	assert_int_equal(read.state, TUNNEL_ACTIVE);
	assert_string_equal(read.name, "old");
	assert_string_equal(read.token, TOKEN_OWNER);
	assert_int_equal(read.deadline_us, 5000000);
	assert_int_equal(number("SELECT count(*) FROM audit WHERE subject GLOB 't-a*'"), 1);
	assert_int_equal(number("SELECT count(*) FROM tokens"), 0);
	add(2);
}

static void foreign_and_damaged_files(void **state)
{
	char why[256] = "";
	execute("PRAGMA application_id = 1");
	assert_int_equal(open_as(&schema_tunneld, why, sizeof why), -EUCLEAN);
	assert_non_null(strstr(why, "not a database of tunneld"));
	FILE *file = fopen(case_path, "w");
	assert_non_null(file);
	for (int i = 0; i < 1000; i++)
		fputs("no database ", file);
	fclose(file);
	assert_int_equal(open_as(&schema_tunneld, why, sizeof why), -EUCLEAN);
}

static void a_folder_that_is_not_there(void **state)
{
	char why[256] = "";
	struct store *none = NULL;
	assert_true(store_open(&none, "/nonexistent/x.db", why, sizeof why) < 0);
	assert_null(none);
	assert_true(strlen(why) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_schema_refuses_nonsense, setup, teardown),
		cmocka_unit_test_setup_teardown(migration, setup, teardown),
		cmocka_unit_test_setup_teardown(step_2_gives_old_rows_their_life, setup, teardown),
		cmocka_unit_test_setup_teardown(from_version_1, setup, teardown),
		cmocka_unit_test_setup_teardown(foreign_and_damaged_files, setup, teardown),
		cmocka_unit_test_setup_teardown(a_folder_that_is_not_there, setup, teardown),
	};
	assert_int_equal(store_prepare_process(), 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
