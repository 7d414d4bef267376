// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Sealed copies of programs and children started from them. The program started is this test
// itself: under the name "test-child" it reports what it was given.

#include "program.h"
#include "spawn.h"
#include "void_dir.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sha2.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { REPORT = 3, MANY = 3000 };

// What the child sends on descriptor 3.
struct report {
	int argc;
	char argv[6][24];
	int n_environment;
	uint64_t descriptors; // bit per number
	dev_t device[12];     // of each of them
	ino_t inode[12];
	uint64_t ignored, blocked; // bit per signal
	pid_t pid, parent, group, session;
};

static struct program self;

static uint64_t open_descriptors(void)
{
	uint64_t set = 0;
	DIR *dir = opendir("/proc/self/fd");
	const struct dirent *entry;

	if (dir == NULL)
		return 0;
	while ((entry = readdir(dir)) != NULL) {
		long fd = strtol(entry->d_name, NULL, 10);

		if (entry->d_name[0] != '.' && fd != dirfd(dir))
			set |= fd < 64 ? 1ull << fd : 1ull << 63;
	}
	closedir(dir);
	return set;
}

static int child_main(int argc, char **argv, char **environment)
{
	struct report report = {.argc = argc, .descriptors = open_descriptors()};
	sigset_t blocked;
	struct stat st;

	for (int i = 0; i < argc && i < 6; i++)
		snprintf(report.argv[i], sizeof report.argv[i], "%s", argv[i]);
	while (environment[report.n_environment] != NULL)
		report.n_environment++;
	for (int fd = 0; fd < 12; fd++)
		if (fstat(fd, &st) == 0) {
			report.device[fd] = st.st_dev;
			report.inode[fd] = st.st_ino;
		}
	sigprocmask(SIG_SETMASK, NULL, &blocked);
	for (int number = 1; number < 64; number++) {
		struct sigaction action;

		if (sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
			report.ignored |= 1ull << number;
		if (sigismember(&blocked, number) == 1)
			report.blocked |= 1ull << number;
	}
	report.pid = getpid();
	report.parent = getppid();
	report.group = getpgrp();
	report.session = getsid(0);
	return write(REPORT, &report, sizeof report) == sizeof report ? 0 : 1;
}

static struct spawn_request request_for(const struct program *program)
{
	return (struct spawn_request){
		.program = program, .epoch = 7, .uid = -1, .gid = -1, .root_fd = -1};
}

// Adds descriptor 3 to REQUEST, spawns and reads the report. The socket's far end must report the
// child's death afterwards: nobody else may hold it.
static void spawn_and_report(
	struct spawn_request *request, struct spawn_fd *fds, size_t n_fds, struct report *report)
{
	struct spawn_child child = {0};
	siginfo_t info = {0};
	int pair[2], status;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	fds[n_fds] = (struct spawn_fd){.source = pair[1], .target = REPORT};
	request->fds = fds;
	request->n_fds = n_fds + 1;
	assert_int_equal(spawn_child(request, &child), 0);
	close(pair[1]);
	assert_int_equal(recv(pair[0], report, sizeof *report, 0), sizeof *report);
	assert_int_equal(recv(pair[0], &status, sizeof status, 0), 0);
	close(pair[0]);
	assert_int_equal(report->pid, child.pid);
	assert_int_equal(fcntl(child.pidfd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(waitid(P_PIDFD, (id_t)child.pidfd, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(info.si_pid, child.pid);
	assert_int_equal(waitpid(child.pid, &status, 0), child.pid);
	assert_int_equal(status, 0);
	close(child.pidfd);
}

static void test_child_gets_what_it_should(void **state)
{
	struct spawn_request request = request_for(&self);
	CLEANUP(close_p) int root_fd = void_dir_open();
	CLEANUP(close_p) int other = memfd_create("other", MFD_CLOEXEC);
	struct spawn_fd fds[2] = {{.source = other, .target = 9}};
	struct report report;
	struct stat null, root, memory, error;
	char own_pid[24];

	assert_true(root_fd > SPAWN_RESERVED_LAST && other > SPAWN_RESERVED_LAST);
	request.root_fd = root_fd;
	request.epoch = UINT32_MAX;
	spawn_and_report(&request, fds, 1, &report);
	snprintf(own_pid, sizeof own_pid, "%d", (int)getpid());
	assert_int_equal(report.argc, 6);
	assert_string_equal(report.argv[0], "test-child");
	assert_string_equal(report.argv[1], "4294967295");
	assert_string_equal(report.argv[2], own_pid);
	assert_string_equal(report.argv[3], "-1");
	assert_string_equal(report.argv[4], "-1");
	assert_string_equal(report.argv[5], "6");
	assert_int_equal(report.n_environment, 0);
	assert_int_equal(report.descriptors, 0xf | 1 << 6 | 1 << 9);
	assert_int_equal(report.parent, getpid());
	assert_int_equal(report.group, report.pid);
	assert_int_equal(report.session, getsid(0));
	assert_int_equal(stat("/dev/null", &null), 0);
	assert_int_equal(fstat(root_fd, &root), 0);
	assert_int_equal(fstat(other, &memory), 0);
	assert_int_equal(fstat(2, &error), 0);
	assert_true(report.inode[0] == null.st_ino && report.device[0] == null.st_dev);
	assert_true(report.inode[1] == null.st_ino && report.device[1] == null.st_dev);
	assert_true(report.inode[2] == error.st_ino && report.device[2] == error.st_dev);
	assert_true(report.inode[6] == root.st_ino && report.device[6] == root.st_dev);
	assert_true(report.inode[9] == memory.st_ino && report.device[9] == memory.st_dev);
}

static void test_ids_on_the_command_line(void **state)
{
	struct spawn_request request = request_for(&self);
	struct spawn_fd fds[1];
	struct report report;

	request.uid = 65616;
	request.gid = 4294967294;
	spawn_and_report(&request, fds, 0, &report);
	assert_string_equal(report.argv[3], "65616");
	assert_string_equal(report.argv[4], "4294967294");
	assert_string_equal(report.argv[5], "-1");
}

static void never(int number)
{
	fprintf(stderr, "handler ran for signal %d\n", number);
	_exit(1);
}

static void test_signals_are_default(void **state)
{
	struct spawn_request request = request_for(&self);
	struct sigaction ignore = {.sa_handler = SIG_IGN}, handle = {.sa_handler = never}, old[3];
	struct spawn_fd fds[1];
	struct report report;
	sigset_t some, before, after;

	sigaction(SIGPIPE, &ignore, &old[0]);
	sigaction(SIGHUP, &ignore, &old[1]);
	sigaction(SIGUSR1, &handle, &old[2]);
	sigemptyset(&some);
	sigaddset(&some, SIGTERM);
	sigaddset(&some, SIGUSR2);
	sigprocmask(SIG_BLOCK, &some, &before);
	spawn_and_report(&request, fds, 0, &report);
	sigprocmask(SIG_SETMASK, &before, &after);
	sigaction(SIGPIPE, &old[0], NULL);
	sigaction(SIGHUP, &old[1], NULL);
	sigaction(SIGUSR1, &old[2], NULL);
	assert_int_equal(report.ignored, 0);
	assert_int_equal(report.blocked, 0);
	// Ours are as before.
	assert_int_equal(sigismember(&after, SIGTERM), 1);
	assert_int_equal(sigismember(&after, SIGINT), 0);
}

static unsigned count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
}

static void test_many_descriptors_stay_here(void **state)
{
	struct spawn_request request = request_for(&self);
	int fds[MANY];
	struct rlimit limit;
	struct report report;
	unsigned before, after;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	for (size_t i = 0; i < MANY; i++)
		fds[i] = i + 100 < limit.rlim_cur ? dup(2) : -1; // inheritable on purpose
	before = count_descriptors();
	for (int i = 0; i < 20; i++) {
		struct spawn_fd slot[1];

		spawn_and_report(&request, slot, 0, &report);
		assert_int_equal(report.descriptors, 0xf);
	}
	after = count_descriptors();
	for (int i = 0; i < MANY; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	assert_int_equal(before, after);
}

static void test_reserved_numbers_keep_nothing(void **state)
{
	struct spawn_request request = request_for(&self);
	struct spawn_fd fds[1];
	struct report report;
	struct stat null, st;

	spawn_and_report(&request, fds, 0, &report);
	assert_int_equal(stat("/dev/null", &null), 0);
	for (int fd = SPAWN_TARGET_FIRST; fd <= SPAWN_RESERVED_LAST; fd++) {
		assert_int_equal(fstat(fd, &st), 0);
		assert_int_equal(st.st_rdev, null.st_rdev);
		assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	}
}

static void test_bad_requests(void **state)
{
	CLEANUP(close_p) int fd = dup(2);
	const struct spawn_fd low = {.source = fd, .target = 2};
	const struct spawn_fd high = {.source = fd, .target = SPAWN_TARGET_LAST + 1};
	const struct spawn_fd root = {.source = fd, .target = SPAWN_TARGET_ROOT};
	const struct spawn_fd twice[] = {{.source = fd, .target = 3}, {.source = fd, .target = 3}};
	const struct spawn_fd reserved = {.source = 5, .target = 3};
	const struct spawn_fd none = {.source = -1, .target = 3};
	const struct spawn_fd closed = {.source = 900000, .target = 3};
	struct spawn_request base = request_for(&self), bad[7];
	struct spawn_child child;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		bad[i] = base;
		bad[i].n_fds = 1;
	}
	bad[0].fds = &low;
	bad[1].fds = &high;
	bad[2].fds = &root;
	bad[2].root_fd = fd;
	bad[3].fds = twice;
	bad[3].n_fds = 2;
	bad[4].fds = &reserved;
	bad[5].fds = &none;
	bad[6].n_fds = 0;
	bad[6].uid = 1000;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (spawn_child(&bad[i], &child) != -EINVAL)
			fail_msg("request %zu was taken", i);
	base.fds = &closed;
	base.n_fds = 1;
	assert_int_equal(spawn_child(&base, &child), -EBADF);
}

static void test_exec_failure_is_reported(void **state)
{
	char path[] = "/tmp/test-spawn-XXXXXX";
	CLEANUP(close_p) int dir = -1;
	CLEANUP(close_p) int fd = -1;
	struct program garbage = {0};
	struct spawn_request request = request_for(&garbage);
	struct spawn_child child = {.pid = 1, .pidfd = 1};
	unsigned before;

	assert_non_null(mkdtemp(path));
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	fd = openat(dir, "garbage", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, "not a program", 13), 13);
	assert_int_equal(program_load(&garbage, dir, "garbage"), 0);
	before = count_descriptors();
	assert_int_equal(spawn_child(&request, &child), -ENOEXEC);
	assert_int_equal(child.pid, 1); // untouched
	assert_int_equal(count_descriptors(), before);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	program_deinit(&garbage);
	assert_int_equal(unlinkat(dir, "garbage", 0), 0);
	assert_int_equal(rmdir(path), 0);
}

static void test_program_is_a_sealed_copy(void **state)
{
	const int all = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
	char path[] = "/tmp/test-spawn-XXXXXX", hash[65];
	CLEANUP(close_p) int dir = -1;
	CLEANUP(close_p) int fd = -1;
	struct program program;
	struct stat st;
	char bytes[4];

	assert_non_null(mkdtemp(path));
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	fd = openat(dir, "copy", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, "abc", 3), 3);
	assert_int_equal(program_load(&program, dir, "copy"), 0);
	assert_int_equal(pwrite(fd, "xyz", 3, 0), 3);
	// FIPS 180-2, appendix B.1.
	assert_string_equal(
		program.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_int_equal(program.size, 3);
	assert_int_equal(fcntl(program.fd, F_GET_SEALS) & all, all);
	assert_int_equal(fcntl(program.fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(pwrite(program.fd, "xyz", 3, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(program.fd, 0), -1);
	assert_true(mmap(NULL, 3, PROT_WRITE, MAP_SHARED, program.fd, 0) == MAP_FAILED);
	assert_int_equal(pread(program.fd, bytes, sizeof bytes, 0), 3);
	assert_memory_equal(bytes, "abc", 3);
	program_deinit(&program);

	assert_int_equal(program_load(&program, dir, "missing"), -ENOENT);
	assert_int_equal(program.fd, -1);
	assert_int_equal(mkfifoat(dir, "fifo", 0600), 0);
	assert_int_equal(program_load(&program, dir, "fifo"), -ENOEXEC);
	assert_int_equal(program_load(&program, dir, "."), -ENOEXEC);
	assert_int_equal(ftruncate(fd, PROGRAM_SIZE_MAX + 1l), 0);
	assert_int_equal(program_load(&program, dir, "copy"), -EFBIG);
	assert_int_equal(ftruncate(fd, PROGRAM_SIZE_MAX), 0);
	assert_int_equal(program_load(&program, dir, "copy"), 0);
	program_deinit(&program);
	program_deinit(&program);

	// The running program, by another way to its hash.
	assert_int_equal(fstat(self.fd, &st), 0);
	assert_int_equal(st.st_size, self.size);
	assert_non_null(SHA256File("/proc/self/exe", hash));
	assert_string_equal(self.sha256, hash);

	assert_int_equal(unlinkat(dir, "copy", 0), 0);
	assert_int_equal(unlinkat(dir, "fifo", 0), 0);
	assert_int_equal(rmdir(path), 0);
}

static void test_void_folder(void **state)
{
	CLEANUP(close_p) int fd = void_dir_open();
	struct stat st;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_true(S_ISDIR(st.st_mode));
	assert_int_equal(st.st_nlink, 0);
	assert_int_equal(st.st_mode & 0777, 0111);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(openat(fd, "file", O_RDWR | O_CREAT, 0600), -1);
	assert_int_equal(mkdirat(fd, "folder", 0700), -1);
}

// The file name of the running program is the test's, its name as a child "test-child".
static int set_up(void **state)
{
	CLEANUP(close_p) int dir = -1;
	char path[4096];
	const char *slash;
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
	int r;

	if (n < 0 || spawn_init() < 0)
		return -1;
	path[n] = '\0';
	slash = strrchr(path, '/');
	dir = program_dir_open(NULL);
	r = dir < 0 || slash == NULL ? -1 : program_load(&self, dir, slash + 1);
	self.name = "test-child";
	return r;
}

static int tear_down(void **state)
{
	program_deinit(&self);
	spawn_deinit();
	return 0;
}

int main(int argc, char **argv, char **environment)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_child_gets_what_it_should),
		cmocka_unit_test(test_ids_on_the_command_line),
		cmocka_unit_test(test_signals_are_default),
		cmocka_unit_test(test_many_descriptors_stay_here),
		cmocka_unit_test(test_reserved_numbers_keep_nothing),
		cmocka_unit_test(test_bad_requests),
		cmocka_unit_test(test_exec_failure_is_reported),
		cmocka_unit_test(test_program_is_a_sealed_copy),
		cmocka_unit_test(test_void_folder),
	};

	if (strcmp(argv[0], "test-child") == 0)
		return child_main(argc, argv, environment);
	alarm(60);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
