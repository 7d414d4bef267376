// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The store on a disk that fails and in a process without memory: every single call of SQLite to
// either is made to fail once, and then for good. A change that fails must have changed nothing,
// what was there stays readable, and when the fault is over all goes on. And on a database that
// somebody has damaged: it is refused or read, whatever is in it, and nothing else happens.

#include "store_case.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

// ---- faults: the call with number FAULT_AT fails, and with FAULT_STAYS all after it

static uint64_t calls, fault_at;
static bool fault_stays, fault_hit;
static int fault_kind; // enum below: which calls are counted

enum { FAULT_NONE, FAULT_IO, FAULT_MEMORY };

static bool faulty(int kind)
{
	if (kind != fault_kind)
		return false;
	calls++;
	bool hit = fault_stays ? calls >= fault_at : calls == fault_at;
	fault_hit |= hit;
	return hit;
}

static void faults_begin(int kind, uint64_t at, bool stays)
{
	calls = 0;
	fault_at = at;
	fault_stays = stays;
	fault_hit = false;
	fault_kind = kind;
}

static void faults_end(void)
{
	fault_kind = FAULT_NONE;
}

// ---- a file system that can fail

struct faulty_file {
	sqlite3_file base;
	sqlite3_file *real; // right behind this
};

static sqlite3_file *real_of(sqlite3_file *file)
{
	return ((struct faulty_file *)file)->real;
}

static int f_close(sqlite3_file *file)
{
	return real_of(file)->pMethods->xClose(real_of(file));
}

static int f_read(sqlite3_file *file, void *bytes, int n, sqlite3_int64 at)
{
	return faulty(FAULT_IO) ? SQLITE_IOERR_READ
				: real_of(file)->pMethods->xRead(real_of(file), bytes, n, at);
}

// A write that fails has often written something.
static int f_write(sqlite3_file *file, const void *bytes, int n, sqlite3_int64 at)
{
	if (!faulty(FAULT_IO))
		return real_of(file)->pMethods->xWrite(real_of(file), bytes, n, at);
	real_of(file)->pMethods->xWrite(real_of(file), bytes, n / 2, at);
	return calls % 2 ? SQLITE_FULL : SQLITE_IOERR_WRITE;
}

static int f_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	return faulty(FAULT_IO) ? SQLITE_IOERR_TRUNCATE
				: real_of(file)->pMethods->xTruncate(real_of(file), size);
}

static int f_sync(sqlite3_file *file, int flags)
{
	return faulty(FAULT_IO) ? SQLITE_IOERR_FSYNC
				: real_of(file)->pMethods->xSync(real_of(file), flags);
}

static int f_size(sqlite3_file *file, sqlite3_int64 *size)
{
	return faulty(FAULT_IO) ? SQLITE_IOERR_FSTAT
				: real_of(file)->pMethods->xFileSize(real_of(file), size);
}

static int f_lock(sqlite3_file *file, int level)
{
	return faulty(FAULT_IO) ? SQLITE_IOERR_LOCK
				: real_of(file)->pMethods->xLock(real_of(file), level);
}

static int f_unlock(sqlite3_file *file, int level)
{
	return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int f_reserved(sqlite3_file *file, int *ret)
{
	return real_of(file)->pMethods->xCheckReservedLock(real_of(file), ret);
}

static int f_control(sqlite3_file *file, int op, void *arg)
{
	return real_of(file)->pMethods->xFileControl(real_of(file), op, arg);
}

static int f_sector(sqlite3_file *file)
{
	return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int f_traits(sqlite3_file *file)
{
	return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static const sqlite3_io_methods file_methods = {1, f_close, f_read, f_write, f_truncate, f_sync,
	f_size, f_lock, f_unlock, f_reserved, f_control, f_sector, f_traits};

static sqlite3_vfs *real_vfs, faulty_vfs;

static int v_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
	struct faulty_file *ours = (struct faulty_file *)file;
	ours->base.pMethods = NULL;
	ours->real = (sqlite3_file *)(ours + 1);
	if (faulty(FAULT_IO))
		return SQLITE_CANTOPEN;
	int r = real_vfs->xOpen(real_vfs, name, ours->real, flags, out);
	if (r == SQLITE_OK)
		ours->base.pMethods = &file_methods;
	return r;
}

static int v_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
	return faulty(FAULT_IO) ? SQLITE_IOERR_DELETE : real_vfs->xDelete(real_vfs, name, sync);
}

// ---- memory that can be refused; what is taken is counted

static sqlite3_mem_methods real_memory;
static int64_t blocks;

static void *m_malloc(int n)
{
	void *p = faulty(FAULT_MEMORY) ? NULL : real_memory.xMalloc(n);
	blocks += p != NULL;
	return p;
}

static void m_free(void *p)
{
	blocks -= p != NULL;
	real_memory.xFree(p);
}

static void *m_realloc(void *p, int n)
{
	return faulty(FAULT_MEMORY) ? NULL : real_memory.xRealloc(p, n);
}

static int group_setup(void **state)
{
	sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_memory);
	sqlite3_mem_methods ours = real_memory;
	ours.xMalloc = m_malloc;
	ours.xFree = m_free;
	ours.xRealloc = m_realloc;
	sqlite3_config(SQLITE_CONFIG_MALLOC, &ours);
	if (store_prepare_process() < 0)
		return -1;
	real_vfs = sqlite3_vfs_find(NULL);
	faulty_vfs = *real_vfs;
	faulty_vfs.zName = "faulty";
	faulty_vfs.szOsFile = (int)sizeof(struct faulty_file) + real_vfs->szOsFile;
	faulty_vfs.xOpen = v_open;
	faulty_vfs.xDelete = v_delete;
	return sqlite3_vfs_register(&faulty_vfs, 1);
}

// ---- a life of a database, in which any step may fail

enum { TUNNELS = 4 };

static enum tunnel_state known[TUNNELS]; // what the store has said so far

// R is what a change of tunnel N to NEW returned. What it says must be true right now.
static void judge(struct store *store, int r, unsigned n, enum tunnel_state new)
{
	int kind = fault_kind;
	faults_end(); // looking is not under test
	if (r == 0)
		known[n] = new;
	else if (r < 0)
		assert_true(strlen(store_error(store)) > 0);
	assert_false(store->in_transaction);
	for (unsigned i = 0; i < TUNNELS; i++)
		if (case_state(store, i) != known[i])
			fail_msg("call %llu: tunnel %u is %d, told %d (r = %d)",
				(unsigned long long)calls, i, case_state(store, i), known[i], r);
	assert_true(sqlite3_get_autocommit(store->db));
	fault_kind = kind;
}

static void change(struct store *store, unsigned n)
{
	static const struct tunnel_counters counters = {.connections = 1, .requests = 2};
	struct tunnel tunnel = case_tunnel(n);
	judge(store, store_tunnel_add(store, &tunnel, case_cause), n, TUNNEL_STARTING);
	judge(store, store_tunnel_activate(store, &tunnel, NULL, case_cause), n, TUNNEL_ACTIVE);
	if (n % 2 == 0)
		judge(store,
			store_tunnel_end(
				store, tunnel.id, TUNNEL_EXPIRED, 5, &counters, case_cause),
			n, TUNNEL_EXPIRED);
}

// Two ends as one: both or none.
static int end_two(struct store *store)
{
	int r = store_begin(store);
	if (r < 0)
		return r;
	for (unsigned n = 1; n < TUNNELS && r >= 0; n += 2) {
		struct tunnel tunnel = case_tunnel(n);
		r = store_tunnel_end(store, tunnel.id, TUNNEL_REVOKED, 6, NULL, case_cause);
	}
	if (r >= 0)
		return store_commit(store);
	store_rollback(store);
	return r;
}

static bool count_one(const struct tunnel *tunnel, void *arg)
{
	++*(unsigned *)arg;
	return true;
}

static void look_around(struct store *store)
{
	unsigned seen = 0;
	uint64_t n;
	bool more;
	static const struct tunnel_counters counters = {.requests = 9};
	(void)!store_live_add(store, case_tunnel(1).id, 6000000, &counters);
	(void)!store_live_merge(store, CASE_BOOT, (struct instant){1000});
	(void)!store_checkpoint_remaining(store, CASE_BOOT, (struct instant){2000});
	(void)!store_live_strays(store, count_one, &seen);
	(void)!store_live_missing(store, count_one, &seen);
	(void)!store_tunnels_list(store, NULL, 0, INT64_MAX, 10, count_one, &seen);
	(void)!store_tunnels_count(store, NULL, &n);
	(void)!store_live_clear(store);
	struct tunnel longer = case_tunnel(1);
	(void)!store_tunnel_extend(store, &longer, case_cause);
	struct token token = {.id = "k-sample", .quota = 1, .created_at = 1, .expires_at = 2},
		     found;
	(void)!store_token_add(store, &token, case_cause);
	(void)!store_token_get(store, span_of(token.id), &found);
	(void)!store_token_next_end(store, &found);
	(void)!store_tunnels_disowned(store, count_one, &seen);
	(void)!store_token_remove(store, token.id, "revoked", case_cause);
	(void)!store_purge(store, 1700000000, 0, &more);
	store->tried = (struct instant){0};
	(void)store_writable(store);
}

static void live_through(struct store *store)
{
	for (unsigned n = 0; n < TUNNELS; n++)
		change(store, n);
	look_around(store);
	enum tunnel_state before[2] = {known[1], known[3]};
	int r = end_two(store);
	if (r == 0) {
		for (unsigned n = 1; n < TUNNELS; n += 2)
			known[n] = known[n] != 0 ? TUNNEL_REVOKED : 0;
	}
	judge(store, r, 1, known[1]);
	assert_true(r == 0 || (before[0] == known[1] && before[1] == known[3]));
}

// The fault is over: the same process goes on, and so does the next one.
static void recover(struct store *store)
{
	struct tunnel fresh = case_tunnel(77);
	store->tried = (struct instant){0};
	assert_true(store_writable(store));
	assert_int_equal(store_tunnel_add(store, &fresh, case_cause), 0);
	case_check(store);
	for (unsigned n = 0; n < TUNNELS; n++)
		assert_int_equal(case_state(store, n), known[n]);
	store_free(store);
	store = case_open();
	case_check(store);
	for (unsigned n = 0; n < TUNNELS; n++)
		assert_int_equal(case_state(store, n), known[n]);
	assert_int_equal(case_state(store, 77), TUNNEL_STARTING);
	store_free(store);
}

// One life with one fault; returns whether there was one, so that the next can be tried.
static bool one_life(int kind, uint64_t at, bool stays)
{
	char why[256] = "";
	struct store *store = NULL;
	case_empty();
	memset(known, 0, sizeof known);
	int64_t before = blocks;
	faults_begin(kind, at, stays);
	int r = store_open(&store, case_path, why, sizeof why);
	if (r == 0)
		live_through(store);
	faults_end();
	if (r < 0) {
		assert_true(fault_hit);
		assert_true(strlen(why) > 0);
		assert_int_equal(blocks, before); // nothing is left of a failed opening
		store = case_open();
	}
	recover(store);
	assert_int_equal(blocks, before);
	return fault_hit;
}

static void each_call(int kind, bool stays)
{
	uint64_t at = 1;
	while (one_life(kind, at, stays))
		at += at < 60 ? 1 : 1 + at / 100; // openings call by call, then ever coarser
	print_message("%llu calls\n", (unsigned long long)at);
	assert_true(at > 60);
}

static void a_disk_that_fails_once(void **state)
{
	each_call(FAULT_IO, false);
}

static void a_disk_that_fails_for_a_while(void **state)
{
	each_call(FAULT_IO, true);
}

static void memory_that_is_refused_once(void **state)
{
	each_call(FAULT_MEMORY, false);
}

static void memory_that_is_refused_for_a_while(void **state)
{
	each_call(FAULT_MEMORY, true);
}

// ---- damage

static uint32_t chance(uint32_t n)
{
	static uint64_t seed = 0x9e3779b97f4a7c15;
	seed = seed * 6364136223846793005 + 1442695040888963407;
	return (uint32_t)(seed >> 33) % n;
}

static void write_at(const char *path, off_t at, const void *bytes, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, n, at), n);
	close(fd);
}

static void prepare_victim(char *copy, size_t *size)
{
	struct store *store = case_open();
	for (unsigned n = 0; n < 200; n++) {
		struct tunnel tunnel = case_tunnel(n);
		assert_int_equal(store_tunnel_add(store, &tunnel, case_cause), 0);
		if (n % 3)
			assert_int_equal(
				store_tunnel_activate(store, &tunnel, NULL, case_cause), 0);
	}
	store_free(store);
	int fd = open(case_path, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, copy, *size);
	close(fd);
	assert_true(n > 8192 && (size_t)n < *size);
	*size = (size_t)n;
}

// A file of SIZE bytes like COPY, with some of them changed; sometimes cut, or with a log of noise.
static void damage(const char *copy, size_t size)
{
	char noise[4096], log[PATH_MAX + 8];
	case_empty();
	write_at(case_path, 0, copy, size);
	for (size_t i = 0; i < sizeof noise; i++)
		noise[i] = (char)chance(256);
	switch (chance(6)) {
	case 0: write_at(case_path, chance(100), noise, 1 + chance(4)); break; // the header
	case 1: write_at(case_path, chance((uint32_t)size - 1), noise, 1); break;
	case 2:
		write_at(case_path, chance((uint32_t)size / 4096) * 4096, noise, 16 + chance(200));
		break;
	case 3: write_at(case_path, chance((uint32_t)size - 4096), noise, 4096); break;
	case 4: assert_int_equal(truncate(case_path, chance((uint32_t)size)), 0); break;
	default:
		snprintf(log, sizeof log, "%s-wal", case_path);
		write_at(log, 0, "\x37\x7f\x06\x83\0\x2d\xe2\x18\0\0\x10", 12);
		write_at(log, 12, noise, chance(sizeof noise));
		break;
	}
}

static void damage_is_noticed_or_harmless(void **state)
{
	enum { TIMES = 400 };
	static char copy[1 << 20];
	size_t size = sizeof copy;
	unsigned refused = 0;
	prepare_victim(copy, &size);
	for (int i = 0; i < TIMES; i++) {
		char why[256] = "";
		struct store *store = NULL;
		int64_t before = blocks;
		damage(copy, size);
		int r = store_open(&store, case_path, why, sizeof why);
		if (r < 0) {
			refused++;
			assert_true(strlen(why) > 0);
		} else {
			struct tunnel tunnel = case_tunnel(1000), found;
			unsigned seen = 0;
			(void)!store_tunnels_list(store, NULL, 0, INT64_MAX, 500, count_one, &seen);
			for (unsigned n = 0; n < 200; n += 20)
				(void)!store_tunnel_get(store, span_of(case_tunnel(n).id), &found);
			(void)!store_tunnel_add(store, &tunnel, case_cause);
			(void)end_two(store);
			look_around(store);
			store_free(store);
		}
		assert_int_equal(blocks, before);
	}
	print_message("%u of %u refused\n", refused, TIMES);
	assert_true(refused > TIMES / 4);
}

// The file changes under a store that has it open: what it has to read from there fails.
static void damage_while_it_is_open(void **state)
{
	static char copy[1 << 20];
	char noise[4096];
	struct tunnel tunnel = case_tunnel(1000);
	unsigned seen = 0, failed = 0;
	size_t size = sizeof copy;
	prepare_victim(copy, &size);
	struct store *store = case_open();
	memset(noise, 0xa5, sizeof noise);
	for (size_t at = 4096; at < size; at += 4096)
		write_at(case_path, (off_t)at, noise, sizeof noise);
	sqlite3_db_release_memory(store->db);
	failed += store_tunnels_list(store, NULL, 0, INT64_MAX, 500, count_one, &seen) < 0;
	failed += store_tunnel_add(store, &tunnel, case_cause) < 0;
	failed += end_two(store) < 0;
	assert_true(failed > 0);
	assert_true(strlen(store_error(store)) > 0);
	store_free(store);
	char why[256] = "";
	store = NULL;
	assert_int_equal(store_open(&store, case_path, why, sizeof why), -EUCLEAN);
}

// ---- a disk that cannot be written to

// To root no file is closed, so it is somebody else who tries.
static int open_as_nobody(void)
{
	enum { NOBODY = 65534 };
	char why[256] = "";
	struct store *store = NULL;
	if (geteuid() == 0 &&
		(setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0))
		return 0;
	return store_open(&store, case_path, why, sizeof why);
}

static void a_file_that_may_only_be_read(void **state)
{
	int status;
	struct store *store = case_open();
	struct tunnel tunnel = case_tunnel(1);
	assert_int_equal(store_tunnel_add(store, &tunnel, case_cause), 0);
	store_free(store);
	assert_int_equal(chmod(case_folder, 0777), 0);
	assert_int_equal(chmod(case_path, 0444), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(-open_as_nobody());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EROFS);
	assert_int_equal(chmod(case_path, 0600), 0);
	store = case_open();
	assert_int_equal(case_state(store, 1), TUNNEL_STARTING);
	store_free(store);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, case_setup, case_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(a_disk_that_fails_once),
		CASE(a_disk_that_fails_for_a_while),
		CASE(memory_that_is_refused_once),
		CASE(memory_that_is_refused_for_a_while),
		CASE(damage_is_noticed_or_harmless),
		CASE(damage_while_it_is_open),
		CASE(a_file_that_may_only_be_read),
	};
	return cmocka_run_group_tests(tests, group_setup, NULL);
}
