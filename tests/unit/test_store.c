// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The tunnel records: what is stored, what is refused, what comes back after a reopening, and that
// a failed change has changed nothing.

#include "store_run.h"

#include <inttypes.h>
#include <signal.h>
#include <sys/resource.h>

// ---- rows

static void settings_come_back_as_they_were(void **state)
{
	struct tunnel made = add(7);
	reopen();
	struct tunnel read = get(made.id);
	assert_string_equal(read.id, made.id);
	assert_string_equal(read.token, "owner");
	assert_string_equal(read.name, made.name);
	assert_string_equal(read.backend, made.backend);
	assert_int_equal(read.state, TUNNEL_STARTING);
	assert_int_equal(read.auth, AUTH_BASIC);
	assert_int_equal(read.prefix, PREFIX_KEEP);
	assert_memory_equal(&read.secret_hash, &made.secret_hash, SECRET_HASH_SIZE);
	assert_int_equal(read.timeout_s, 60);
	assert_int_equal(read.life_ms, 60000);
	assert_int_equal(read.max_connections, 1);
	assert_int_equal(read.max_requests, 2);
	assert_int_equal(read.max_bytes, INT64_MAX); // the most a row can hold
	assert_int_equal(read.request_rate, 4);
	assert_int_equal(read.created_at, 1700000007);
	assert_int_equal(read.expires_at, 0);
	assert_int_equal(read.ended_at, 0);
}

static void what_agents_show_is_kept(void **state)
{
	struct tunnel made = sample(7);
	made.backend[0] = '\0';
	memset(made.agent_hash.bytes, 0x5a, SECRET_HASH_SIZE);
	assert_int_equal(store_tunnel_add(store, &made, asked), 0);
	reopen();
	struct tunnel read = get(made.id);
	assert_true(tunnel_is_pull(&read));
	assert_memory_equal(&read.agent_hash, &made.agent_hash, SECRET_HASH_SIZE);
	assert_false(tunnel_is_pull(&(struct tunnel){.backend = "http://h:80"}));
	assert_int_equal(number("SELECT mode = 'pull' AND backend IS NULL FROM tunnels"), 1);
}

static void a_life(void **state)
{
	struct tunnel made = add_active(1);
	reopen();
	struct tunnel read = get(made.id);
	assert_int_equal(read.state, TUNNEL_ACTIVE);
	assert_int_equal(read.expires_at, 1700001001);
	assert_int_equal(read.deadline_us, 5000001);
	assert_int_equal(read.remaining_ms, 4000);
	assert_string_equal(read.boot_id, CASE_BOOT);

	const struct tunnel_counters counters = {10, 3, 20, 30, UINT64_MAX, 50};
	assert_int_equal(
		store_tunnel_end(store, made.id, TUNNEL_EXHAUSTED, 1700000500, &counters, other),
		0);
	reopen();
	read = get(made.id);
	assert_int_equal(read.state, TUNNEL_EXHAUSTED);
	assert_int_equal(read.ended_at, 1700000500);
	assert_int_equal(read.remaining_ms, 0);
	assert_int_equal(read.counters.connections, 10);
	assert_int_equal(read.counters.requests, 20);
	assert_int_equal(read.counters.bytes_in, 30);
	assert_int_equal(read.counters.bytes_out, INT64_MAX);
	assert_int_equal(read.counters.last_activity, 50);
}

static void an_end_is_final(void **state)
{
	struct tunnel made = add_active(1);
	assert_int_equal(store_tunnel_end(store, made.id, TUNNEL_REVOKED, 5, NULL, other), 0);
	assert_int_equal(
		store_tunnel_end(store, made.id, TUNNEL_EXPIRED, 6, NULL, other), STORE_UNCHANGED);
	assert_int_equal(store_tunnel_activate(store, &made, NULL, other), STORE_UNCHANGED);
	assert_int_equal(get(made.id).state, TUNNEL_REVOKED);
	assert_int_equal(get(made.id).ended_at, 5);
}

static void outcomes_for_what_is_not_there(void **state)
{
	struct tunnel nobody = sample(9), read;
	assert_int_equal(store_tunnel_get(store, span_of(nobody.id), &read), STORE_NONE);
	assert_int_equal(store_tunnel_get(store, SPAN("' OR 1=1 --"), &read), STORE_NONE);
	assert_int_equal(
		store_tunnel_end(store, nobody.id, TUNNEL_FAILED, 1, NULL, other), STORE_NONE);
	assert_int_equal(store_tunnel_activate(store, &nobody, NULL, other), STORE_UNCHANGED);
	assert_int_equal(number("SELECT count(*) FROM audit"), 0);
}

static void an_id_is_used_once(void **state)
{
	struct tunnel made = add(1);
	assert_true(store_tunnel_add(store, &made, asked) < 0);
	assert_int_equal(number("SELECT count(*) FROM tunnels"), 1);
	assert_int_equal(number("SELECT count(*) FROM audit"), 1);
	add(2); // and the connection is as good as before
}

static void counters_never_go_back(void **state)
{
	struct tunnel made = add_active(1);
	const struct tunnel_counters some = {10, 0, 20, 30, 40, 50};
	assert_int_equal(store_live_add(store, made.id, 9000000, &some), 0);
	assert_int_equal(store_live_merge(store, CASE_BOOT, (struct instant){1000000}), 0);
	assert_int_equal(store_tunnel_end(store, made.id, TUNNEL_EXPIRED, 5, NULL, other), 0);
	struct tunnel read = get(made.id);
	assert_int_equal(read.counters.connections, 10);
	assert_int_equal(read.counters.last_activity, 50);
}

static void counting(void **state)
{
	uint64_t n;
	add(1);
	struct tunnel two = add_active(2);
	add_active(3);
	assert_int_equal(store_tunnels_count(store, NULL, &n), 0);
	assert_int_equal(n, 3);
	assert_int_equal(store_tunnel_end(store, two.id, TUNNEL_FAILED, 5, NULL, other), 0);
	assert_int_equal(store_tunnels_count(store, NULL, &n), 0);
	assert_int_equal(n, 2);
}

// ---- lists

static void lists(void **state)
{
	struct seen seen = {0};
	for (unsigned i = 0; i < 6; i++)
		i % 2 ? add_active(i) : add(i);
	assert_int_equal(store_tunnels_list(store, NULL, 0, INT64_MAX, 4, see, &seen), 0);
	assert_int_equal(seen.n, 4);
	assert_string_equal(seen.ids[0], sample(5).id);
	assert_string_equal(seen.ids[3], sample(2).id);
	int64_t before = seen.seqs[3];
	seen.n = 0;
	assert_int_equal(store_tunnels_list(store, NULL, 0, before, 4, see, &seen), 0);
	assert_int_equal(seen.n, 2);
	assert_string_equal(seen.ids[1], sample(0).id);
	seen.n = 0;
	assert_int_equal(
		store_tunnels_list(store, NULL, TUNNEL_ACTIVE, INT64_MAX, UINT32_MAX, see, &seen),
		0);
	assert_int_equal(seen.n, 3);
	assert_string_equal(seen.ids[0], sample(5).id);
	seen = (struct seen){.stop_after = 1};
	assert_int_equal(store_tunnels_list(store, NULL, 0, INT64_MAX, 9, see, &seen), 0);
	assert_int_equal(seen.n, 1);
}

// ---- agreement about what lives

static void what_lives(void **state)
{
	static const struct tunnel_counters none, some = {1, 0, 2, 3, 4, 5};
	struct tunnel starting = add(1), missing = add_active(3), sooner = add_active(2),
		      lives = add_active(4), over = add_active(5);
	(void)!store_tunnel_end(store, over.id, TUNNEL_EXPIRED, 5, NULL, other);
	const char *live[] = {starting.id, lives.id, over.id, "t-stray"};
	for (size_t i = 0; i < ARRAY_SIZE(live); i++)
		assert_int_equal(store_live_add(store, live[i], 9000000, &none), 0);
	assert_int_equal(store_live_add(store, lives.id, 9500000, &some), 0); // again: replaces

	struct seen seen = {0};
	assert_int_equal(store_live_strays(store, see, &seen), 0);
	assert_int_equal(seen.n, 2);
	assert_string_equal(seen.ids[0], over.id);
	assert_string_equal(seen.ids[1], "t-stray");
	seen = (struct seen){0};
	assert_int_equal(store_live_missing(store, see, &seen), 0);
	assert_int_equal(seen.n, 2);
	assert_string_equal(seen.ids[0], sooner.id);
	assert_string_equal(seen.ids[1], missing.id);

	assert_int_equal(store_live_merge(store, "another", (struct instant){9000000}), 0);
	struct tunnel read = get(lives.id);
	assert_int_equal(read.deadline_us, 9500000);
	assert_int_equal(read.remaining_ms, 500);
	assert_string_equal(read.boot_id, "another");
	assert_int_equal(read.counters.bytes_out, 4);
	assert_int_equal(get(missing.id).deadline_us, missing.deadline_us);
	assert_int_equal(get(starting.id).deadline_us, 0);
	assert_int_equal(get(over.id).remaining_ms, 0);

	assert_int_equal(store_live_clear(store), 0);
	seen = (struct seen){0};
	assert_int_equal(store_live_strays(store, see, &seen), 0);
	assert_int_equal(seen.n, 0);
}

// ---- a new end

static void a_new_end(void **state)
{
	struct tunnel made = add_active(1), starting = add(2), over = add_active(3);
	(void)!store_tunnel_end(store, over.id, TUNNEL_EXPIRED, 5, NULL, other);
	made.timeout_s = 30;
	made.life_ms = 45000;
	made.expires_at = 1700002000;
	made.deadline_us = 7000000;
	made.remaining_ms = 30000;
	int64_t audited = number("SELECT count(*) FROM audit");
	assert_int_equal(store_tunnel_extend(store, &made, asked), 0);
	assert_int_equal(store_tunnel_extend(store, &starting, asked), STORE_UNCHANGED);
	assert_int_equal(store_tunnel_extend(store, &over, asked), STORE_UNCHANGED);
	struct tunnel nobody = sample(9);
	assert_int_equal(store_tunnel_extend(store, &nobody, asked), STORE_UNCHANGED);
	reopen();
	struct tunnel read = get(made.id);
	assert_int_equal(read.state, TUNNEL_ACTIVE);
	assert_int_equal(read.timeout_s, 30);
	assert_int_equal(read.life_ms, 45000);
	assert_int_equal(read.expires_at, 1700002000);
	assert_int_equal(read.deadline_us, 7000000);
	assert_int_equal(read.remaining_ms, 30000);
	assert_int_equal(number("SELECT count(*) FROM audit"), audited + 1);
	assert_int_equal(number("SELECT count(*) FROM audit WHERE was = 'active' AND became ="
				" 'active' AND actor = 'owner' AND reason = 'asked for'"),
		1);
}

// What was told before the new end came must not bring the old one back.
static void a_new_end_while_it_is_told_what_lives(void **state)
{
	static const struct tunnel_counters none;
	struct tunnel made = add_active(1);
	assert_int_equal(store_live_add(store, made.id, made.deadline_us, &none), 0);
	made.deadline_us = 7000000;
	made.expires_at = wall_now() + 6;
	assert_int_equal(store_tunnel_extend(store, &made, asked), 0);
	assert_int_equal(store_live_merge(store, CASE_BOOT, (struct instant){1000000}), 0);
	assert_int_equal(get(made.id).deadline_us, 7000000);
	assert_int_equal(get(made.id).expires_at, made.expires_at);
	assert_int_equal(number("SELECT count(*) FROM audit WHERE actor = 'supervisor' AND reason ="
				" 'its end was moved'"),
		0);
}

// The supervisor has another end than the row: the one who moved it could not store it.
static void an_end_that_was_moved(void **state)
{
	static const struct tunnel_counters none;
	struct tunnel later = add_active(0), sooner = add_active(1), same = add_active(2);
	const int64_t ends[] = {later.deadline_us + 10000000, 2500000, same.deadline_us};
	const char *ids[] = {later.id, sooner.id, same.id};
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
		assert_int_equal(store_live_add(store, ids[i], ends[i], &none), 0);
	struct seen seen = {0};
	assert_int_equal(store_live_moved(store, CASE_BOOT, see, &seen), 0);
	assert_int_equal(seen.n, 2);
	int64_t before = wall_now();
	same.expires_at = before + (same.deadline_us - 1000000) / 1000000 + 1; // jitter
	assert_int_equal(store_tunnel_extend(store, &same, asked), 0);
	assert_int_equal(store_live_merge(store, CASE_BOOT, (struct instant){1000000}), 0);
	seen.n = 0;
	assert_int_equal(store_live_moved(store, CASE_BOOT, see, &seen), 0);
	assert_int_equal(seen.n, 0);
	struct tunnel read = get(later.id);
	assert_int_equal(read.deadline_us, ends[0]);
	assert_int_equal(read.life_ms, 70000);
	assert_int_equal(read.remaining_ms, 14000);
	assert_in_range(read.expires_at, before + 14, wall_now() + 14);
	read = get(sooner.id);
	assert_int_equal(read.life_ms, 60000 - 2500);
	assert_in_range(read.expires_at, before + 2, wall_now() + 2);
	read = get(same.id);
	assert_int_equal(read.life_ms, 60000);
	assert_int_equal(read.expires_at, same.expires_at);
	assert_int_equal(number("SELECT count(*) FROM audit WHERE actor = 'supervisor' AND reason ="
				" 'its end was moved' AND was = 'active' AND became = 'active'"),
		2);
}

// What is told in wall time follows the wall clock. Else a tunnel made before the clock was set
// right would give out cookies that are over already, and not come back after a reboot.
static void a_clock_that_was_set(void **state)
{
	static const struct tunnel_counters none;
	struct tunnel ahead = add_active(1), behind = add_active(2);
	const int64_t left_s = (ahead.deadline_us - 1000000) / 1000000;
	ahead.expires_at = wall_now() + 86400;
	behind.expires_at = 1000;
	struct tunnel *both[] = {&ahead, &behind};
	for (size_t i = 0; i < ARRAY_SIZE(both); i++) {
		both[i]->deadline_us = ahead.deadline_us;
		assert_int_equal(store_tunnel_extend(store, both[i], asked), 0);
		assert_int_equal(store_live_add(store, both[i]->id, ahead.deadline_us, &none), 0);
	}
	int64_t before = wall_now();
	assert_int_equal(store_live_merge(store, CASE_BOOT, (struct instant){1000000}), 0);
	for (size_t i = 0; i < ARRAY_SIZE(both); i++) {
		struct tunnel read = get(both[i]->id);
		assert_in_range(read.expires_at, before + left_s, wall_now() + left_s + 1);
		assert_int_equal(read.deadline_us, ahead.deadline_us);
		assert_int_equal(read.life_ms, both[i]->life_ms);
	}
}

static void remaining_times(void **state)
{
	struct tunnel here = add_active(1), elsewhere = add_active(2), over = add_active(3);
	execute("UPDATE tunnels SET boot_id = 'x' WHERE seq = 2");
	execute("UPDATE tunnels SET deadline_us = 1 WHERE seq = 3");
	assert_int_equal(
		store_checkpoint_remaining(store, CASE_BOOT, (struct instant){3000000}), 0);
	assert_int_equal(get(here.id).remaining_ms, 2000);
	assert_int_equal(get(elsewhere.id).remaining_ms, 4000);
	assert_int_equal(get(over.id).remaining_ms, 0);
}

// ---- audit

static void every_change_of_state_is_audited(void **state)
{
	struct tunnel made = add_active(1);
	assert_int_equal(
		store_tunnel_activate(store, &made, NULL, other), 0); // restored: no change
	(void)!store_tunnel_end(store, made.id, TUNNEL_REVOKED, 5, NULL, asked);
	(void)!store_tunnel_end(store, made.id, TUNNEL_EXPIRED, 6, NULL, other);
	assert_int_equal(number("SELECT count(*) FROM audit"), 3);
	assert_int_equal(number("SELECT count(*) FROM audit WHERE seq = 1 AND was IS NULL AND "
				"became = 'starting' AND actor = 'owner' AND reason = 'asked for'"),
		1);
	assert_int_equal(number("SELECT count(*) FROM audit WHERE seq = 2 AND was = 'starting' AND "
				"became = 'active' AND actor = 'supervisor'"),
		1);
	assert_int_equal(number("SELECT count(*) FROM audit WHERE seq = 3 AND was = 'active' AND "
				"became = 'revoked'"),
		1);
	int64_t at = number("SELECT min(at) FROM audit");
	assert_true(at <= wall_now() && at > wall_now() - 10);
}

// ---- forgetting

static void purge_all(int64_t now, int64_t ended_by, unsigned rounds)
{
	bool more = true;
	unsigned n = 0;
	while (more) {
		assert_int_equal(store_purge(store, now, ended_by, &more), 0);
		n++;
	}
	assert_int_equal(n, rounds);
}

static void old_tombstones_are_forgotten(void **state)
{
	struct tunnel old = add_active(1), fresh = add_active(2), alive = add_active(3), read;
	(void)!store_tunnel_end(store, old.id, TUNNEL_EXPIRED, 1000, NULL, other);
	(void)!store_tunnel_end(store, fresh.id, TUNNEL_EXPIRED, 1001, NULL, other);
	purge_all(wall_now(), 1000, 1);
	assert_int_equal(store_tunnel_get(store, span_of(old.id), &read), STORE_NONE);
	assert_int_equal(get(fresh.id).state, TUNNEL_EXPIRED);
	assert_int_equal(get(alive.id).state, TUNNEL_ACTIVE);
	assert_int_equal(number("SELECT count(*) FROM audit"), 8);
}

static void the_audit_table_is_bounded(void **state)
{
	enum { DAY = 86400 };
	int64_t now = wall_now();
	char sql[512];
	snprintf(sql, sizeof sql,
		"WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 1200)"
		" INSERT INTO audit(at, subject, became, actor, reason)"
		" SELECT %" PRId64 " + (i > 1100) * %d, 't', 'active', 'a', 'r' FROM n",
		now - (STORE_AUDIT_DAYS + 1) * (int64_t)DAY, 2 * DAY);
	execute(sql);
	purge_all(now, 0, 3);
	assert_int_equal(number("SELECT count(*) FROM audit"), 100);
	snprintf(sql, sizeof sql,
		"WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
		" INSERT INTO audit(at, subject, became, actor, reason)"
		" SELECT %" PRId64 ", 't', 'active', 'a', 'r' FROM n",
		STORE_AUDIT_ROWS, now);
	execute(sql);
	purge_all(now, 0, 1);
	assert_int_equal(number("SELECT count(*) FROM audit"), STORE_AUDIT_ROWS);
	assert_int_equal(number("SELECT min(seq) FROM audit"), 1201);
}

// ---- transactions and the disk

static void a_batch_is_all_or_nothing(void **state)
{
	struct tunnel one = add_active(1), two = add_active(2);
	assert_int_equal(store_begin(store), 0);
	assert_int_equal(store_tunnel_end(store, one.id, TUNNEL_EXPIRED, 5, NULL, other), 0);
	assert_int_equal(store_tunnel_end(store, two.id, TUNNEL_EXPIRED, 5, NULL, other), 0);
	store_rollback(store);
	assert_int_equal(get(one.id).state, TUNNEL_ACTIVE);
	assert_int_equal(number("SELECT count(*) FROM audit"), 4);
	assert_int_equal(store_begin(store), 0);
	assert_int_equal(store_tunnel_end(store, one.id, TUNNEL_EXPIRED, 5, NULL, other), 0);
	assert_int_equal(
		store_tunnel_end(store, one.id, TUNNEL_EXPIRED, 5, NULL, other), STORE_UNCHANGED);
	assert_int_equal(store_tunnel_end(store, two.id, TUNNEL_EXPIRED, 5, NULL, other), 0);
	assert_int_equal(store_commit(store), 0);
	reopen();
	assert_int_equal(get(one.id).state, TUNNEL_EXPIRED);
	assert_int_equal(get(two.id).state, TUNNEL_EXPIRED);
}

static void limit_files(rlim_t size)
{
	struct rlimit limit;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = size;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

// To SQLite a limit on the size of files is what a full disk is.
static void a_full_disk(void **state)
{
	signal(SIGXFSZ, SIG_IGN);
	struct tunnel kept = add_active(1), refused = sample(2), read;
	execute("PRAGMA wal_checkpoint(TRUNCATE)");
	limit_files(4096);
	int r = store_tunnel_add(store, &refused, asked);
	assert_true(r < 0);
	assert_true(strlen(store_error(store)) > 0);
	assert_false(store_writable(store));
	assert_int_equal(get(kept.id).state, TUNNEL_ACTIVE);
	assert_int_equal(store_tunnel_get(store, span_of(refused.id), &read), STORE_NONE);
	assert_true(store_tunnel_end(store, kept.id, TUNNEL_EXPIRED, 5, NULL, other) < 0);
	assert_int_equal(get(kept.id).state, TUNNEL_ACTIVE);
	store->tried = (struct instant){0}; // as if a while had passed
	assert_false(store_writable(store));

	limit_files(RLIM_INFINITY);
	store->tried = (struct instant){0};
	assert_true(store_writable(store));
	assert_int_equal(store_tunnel_add(store, &refused, asked), 0);
	reopen();
	assert_int_equal(get(refused.id).state, TUNNEL_STARTING);
	assert_int_equal(get(kept.id).state, TUNNEL_ACTIVE);
}

static void settings_of_the_connection(void **state)
{
	sqlite3_stmt *statement;
	assert_int_equal(number("PRAGMA synchronous"), 2);
	assert_int_equal(number("PRAGMA foreign_keys"), 1);
	assert_int_equal(number("PRAGMA trusted_schema"), 0);
	assert_int_equal(number("PRAGMA user_version"), schema_tunneld.n_steps);
	assert_int_equal(
		sqlite3_prepare_v2(store->db, "PRAGMA journal_mode", -1, &statement, NULL), 0);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	assert_string_equal(sqlite3_column_text(statement, 0), "wal");
	sqlite3_finalize(statement);
	int defensive = 0;
	sqlite3_db_config(store->db, SQLITE_DBCONFIG_DEFENSIVE, -1, &defensive);
	assert_int_equal(defensive, 1);
	assert_int_equal(number("SELECT count(*) FROM pragma_table_list WHERE schema = 'main' AND "
				"name IN ('tunnels','audit','probe') AND strict"),
		3);
}

static void only_one_may_have_it_open(void **state)
{
	struct store *second = NULL;
	char why[256] = "";
	add(1);
	assert_int_equal(store_open(&second, case_path, why, sizeof why), -EBUSY);
	assert_null(second);
	assert_non_null(strstr(why, "locked"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(settings_come_back_as_they_were, setup, teardown),
		cmocka_unit_test_setup_teardown(what_agents_show_is_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(a_life, setup, teardown),
		cmocka_unit_test_setup_teardown(an_end_is_final, setup, teardown),
		cmocka_unit_test_setup_teardown(outcomes_for_what_is_not_there, setup, teardown),
		cmocka_unit_test_setup_teardown(an_id_is_used_once, setup, teardown),
		cmocka_unit_test_setup_teardown(counters_never_go_back, setup, teardown),
		cmocka_unit_test_setup_teardown(counting, setup, teardown),
		cmocka_unit_test_setup_teardown(lists, setup, teardown),
		cmocka_unit_test_setup_teardown(what_lives, setup, teardown),
		cmocka_unit_test_setup_teardown(a_new_end, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_new_end_while_it_is_told_what_lives, setup, teardown),
		cmocka_unit_test_setup_teardown(an_end_that_was_moved, setup, teardown),
		cmocka_unit_test_setup_teardown(a_clock_that_was_set, setup, teardown),
		cmocka_unit_test_setup_teardown(remaining_times, setup, teardown),
		cmocka_unit_test_setup_teardown(every_change_of_state_is_audited, setup, teardown),
		cmocka_unit_test_setup_teardown(old_tombstones_are_forgotten, setup, teardown),
		cmocka_unit_test_setup_teardown(the_audit_table_is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(a_batch_is_all_or_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(a_full_disk, setup, teardown),
		cmocka_unit_test_setup_teardown(settings_of_the_connection, setup, teardown),
		cmocka_unit_test_setup_teardown(only_one_may_have_it_open, setup, teardown),
	};
	assert_int_equal(store_prepare_process(), 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
