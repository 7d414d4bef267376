// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// SQLite under the API worker's own sandbox, through all that happens to a database in its life: a
// row the table lacks would kill the worker on the day SQLite needs it. With ids of its own and a
// folder it is locked into, and without.

#include "api/sandbox.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "root_only.h"
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { OWN_ID = 65123, NOBODY = 65534, ROWS = 5000 };

static const char *const files[] = {
	"tunneld.db", "tunneld.db-wal", "tunneld.db-shm", "tunneld.db-journal"};

static void run(sqlite3 *db, const char *sql, int expected)
{
	char *error = NULL;
	int r = sqlite3_exec(db, sql, NULL, NULL, &error);

	if (r == expected)
		return;
	fprintf(stderr, "%s: %d %s, not %d\n", sql, r, error != NULL ? error : "", expected);
	_exit(1);
}

static sqlite3 *open_database(void)
{
	sqlite3 *db;

	if (sqlite3_open_v2("tunneld.db", &db,
		    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) != 0) {
		fprintf(stderr, "open: %s\n", sqlite3_errmsg(db));
		_exit(1);
	}
	sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_busy_timeout(db, 20);
	run(db, "pragma journal_mode = wal", 0);
	run(db, "pragma synchronous = full", 0);
	run(db, "pragma temp_store = memory", 0);
	return db;
}

static void fill(sqlite3 *db)
{
	run(db, "create table if not exists t (id integer primary key, bytes blob, text text)", 0);
	run(db, "begin immediate", 0);
	for (int i = 0; i < ROWS; i++)
		run(db, "insert into t (bytes, text) values (randomblob(300), hex(randomblob(9)))",
			0);
	run(db, "commit", 0);
	run(db, "delete from t where id % 3 = 0", 0);
	run(db, "create index if not exists by_text on t (text)", 0);
}

static void contend(sqlite3 *db)
{
	sqlite3 *other = open_database();

	run(db, "begin immediate", 0);
	run(other, "begin immediate", SQLITE_BUSY);
	run(db, "commit", 0);
	run(other, "insert into t (text) values ('other')", 0);
	sqlite3_close(other);
}

// The second round begins with what the first, or an earlier process, has left behind.
static void live(void)
{
	sqlite3 *db;

	for (int round = 0; round < 2; round++) {
		db = open_database();
		fill(db);
		contend(db);
		run(db, "select text, count(*) from t group by bytes order by text", 0);
		run(db, "pragma wal_checkpoint(truncate)", 0);
		run(db, "vacuum", 0);
		run(db, "pragma optimize", 0);
		run(db, "pragma integrity_check", 0);
		run(db, "pragma journal_mode = delete", 0);
		run(db, "insert into t (text) values ('journal')", 0);
		run(db, "pragma journal_mode = wal", 0);
		sqlite3_close(db);
	}
	// An end without closing: the WAL stays, to be recovered from.
	db = open_database();
	run(db, "insert into t (text) values ('last words')", 0);
}

static int sealed_life(const char *folder, uid_t id)
{
	struct seal_args args = {.parent = getppid(), .uid = id, .gid = id};
	const char *where = "";
	unsigned reached;
	char seed[8];
	int r;

	args.root_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	sqlite3_randomness(sizeof seed, seed);
	r = seal_enter(&api_seal_profile, &args, &reached, &where);
	if (r < 0) {
		fprintf(stderr, "%s: %s\n", where, strerror(-r));
		return 1;
	}
	live();
	return 0;
}

// Returns the status it ended with.
static int live_in_child(const char *folder, bool own_ids, bool as_nobody)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		if (as_nobody && (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
					 setresuid(NOBODY, NOBODY, NOBODY) < 0))
			_exit(1);
		_exit(sealed_life(folder, own_ids ? OWN_ID : (uid_t)-1));
	}
	if (pid > 0)
		waitpid(pid, &status, 0);
	return status;
}

// Two processes after one another: the second recovers what the first left.
static void live_twice(bool own_ids, bool as_nobody)
{
	char path[] = "/tmp/test-api-XXXXXX";
	CLEANUP(close_p) int folder = -1;
	uid_t owner = own_ids ? OWN_ID : NOBODY;
	struct stat database = {0}, wal = {0};
	int status[2];

	assert_non_null(mkdtemp(path));
	folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(folder >= 0);
	if (own_ids || as_nobody)
		assert_int_equal(fchown(folder, owner, owner), 0);
	for (int i = 0; i < 2; i++)
		status[i] = live_in_child(path, own_ids, as_nobody);
	fstatat(folder, files[0], &database, 0);
	fstatat(folder, files[1], &wal, 0);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		unlinkat(folder, files[i], 0);
	assert_int_equal(rmdir(path), 0);
	for (int i = 0; i < 2; i++)
		if (status[i] != 0)
			fail_msg("process %d ended with status %#x%s", i, status[i],
				WIFSIGNALED(status[i]) && WTERMSIG(status[i]) == SIGSYS
					? ", killed by its sandbox"
					: "");
	assert_int_equal(database.st_mode & 0777, 0600);
	assert_true(wal.st_size > 0);
}

static void test_with_the_ids_of_the_supervisor(void **state)
{
	live_twice(false, false);
}

static void test_with_own_ids(void **state)
{
	live_twice(true, false);
}

static void test_without_root(void **state)
{
	live_twice(false, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_with_the_ids_of_the_supervisor),
		root_unit_test(test_with_own_ids),
		root_unit_test(test_without_root),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
