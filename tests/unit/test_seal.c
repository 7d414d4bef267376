// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Each step into the sandbox, looked at from inside a child that has taken it. The system calls
// that a role has left are the business of tests/worker/test_hostile_relay.c; here the filter lets
// everything through, so that the child can look around.

#include "seal.h"

#include "caps.h"
#include "inspect.h"
#include "relay/sandbox.h"
#include "seal_landlock.h"
#include "void_dir.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "root_only.h"
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

enum { OWN_ID = 65123, NOBODY = 65534 };

static const struct sock_filter allow_all[] = {{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
static const struct seal_limit some_limits[] = {
	{RLIMIT_CORE, 0, "none"},
	{RLIMIT_NOFILE, 200, "few"},
};

static const struct seal_profile no_files = {
	.role = "test",
	.limits = some_limits,
	.n_limits = ARRAY_SIZE(some_limits),
	.filter = allow_all,
	.n_filter = ARRAY_SIZE(allow_all),
};

// What a child found: the line of the first check that failed, or 0.
#define CHECK(condition)                 \
	do {                             \
		if (!(condition))        \
			return __LINE__; \
	} while (0)

static struct seal_args keep_ids(int root_fd)
{
	return (struct seal_args){.parent = getppid(), .uid = -1, .gid = -1, .root_fd = root_fd};
}

static struct seal_args own_ids(int root_fd)
{
	return (struct seal_args){
		.parent = getppid(), .uid = OWN_ID, .gid = OWN_ID, .root_fd = root_fd};
}

static bool become_nobody(void)
{
	return geteuid() != 0 ||
	       (setgroups(0, NULL) == 0 && setresgid(NOBODY, NOBODY, NOBODY) == 0 &&
		       setresuid(NOBODY, NOBODY, NOBODY) == 0);
}

// Runs INSIDE in a child and fails with the line it returns. An exit status has 8 bits only, so the
// line comes back through a pipe.
static void in_child(int (*inside)(const void *data), const void *data)
{
	int pair[2], line = -1, status;
	pid_t pid;

	assert_int_equal(pipe(pair), 0);
	pid = fork();
	if (pid == 0) {
		line = inside(data);
		_exit(write(pair[1], &line, sizeof line) == sizeof line ? 0 : 1);
	}
	close(pair[1]);
	assert_true(pid > 0);
	assert_true(read(pair[0], &line, sizeof line) >= 0);
	close(pair[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (line != 0)
		fail_msg("check in line %d failed (status %#x)", line, status);
}

static int check_common(unsigned reached)
{
	struct inspect_report report;
	struct rlimit limit;
	struct sigaction action;
	char name[16];

	CHECK((reached & SEAL_NO_NEW_PRIVS) != 0 && (reached & SEAL_SECCOMP) != 0);
	CHECK(((reached & SEAL_LANDLOCK) != 0) == (seal_landlock_abi() > 0));
	CHECK(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
	CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	CHECK(prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 2);
	CHECK(prctl(PR_GET_NAME, name, 0, 0, 0) == 0 && strcmp(name, "tunneld-test") == 0);
	CHECK(getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_max == 0);
	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur == 200 &&
		limit.rlim_max == 200);
	CHECK(sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_IGN);
	// Inside a chroot there is no /proc; the test of the parent reads it then.
	if (inspect_read(getpid(), &report) == 0)
		CHECK((report.cap_effective | report.cap_permitted) == 0);
	return 0;
}

static int inside_keep_ids(const void *data)
{
	unsigned reached = 0;
	const char *where = "";
	struct seal_args args = keep_ids(-1);

	CHECK(seal_enter(&no_files, &args, &reached, &where) == 0);
	CHECK((reached & (SEAL_UID | SEAL_CHROOT)) == 0);
	CHECK(open("/etc/passwd", O_RDONLY) < 0 || seal_landlock_abi() == 0);
	return check_common(reached);
}

static int inside_nobody_keeps_ids(const void *data)
{
	CHECK(become_nobody());
	// A change of ids makes a process non-dumpable and /proc/self root's; this one was
	// dumpable.
	CHECK(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0);
	return inside_keep_ids(NULL);
}

static void test_without_own_ids(void **state)
{
	in_child(inside_keep_ids, NULL);
	in_child(inside_nobody_keeps_ids, NULL);
}

static int inside_own_ids(const void *data)
{
	unsigned reached = 0;
	struct seal_args args = own_ids(void_dir_open());
	uid_t uid[3];
	gid_t gid[3];
	struct stat here, root;

	CHECK(args.root_fd >= 0);
	CHECK(seal_enter(&no_files, &args, &reached, NULL) == 0);
	CHECK((reached & SEAL_UID) != 0 && (reached & SEAL_CHROOT) != 0);
	CHECK(getresuid(&uid[0], &uid[1], &uid[2]) == 0);
	CHECK(uid[0] == OWN_ID && uid[1] == OWN_ID && uid[2] == OWN_ID);
	CHECK(getresgid(&gid[0], &gid[1], &gid[2]) == 0);
	CHECK(gid[0] == OWN_ID && gid[1] == OWN_ID && gid[2] == OWN_ID);
	CHECK(getgroups(0, NULL) == 0);
	CHECK(setuid(0) < 0 && seteuid(0) < 0 && setgid(0) < 0 && setgroups(0, NULL) < 0);
	CHECK(stat(".", &here) == 0 && stat("/", &root) == 0);
	CHECK(here.st_ino == root.st_ino && here.st_dev == root.st_dev && root.st_nlink == 0);
	CHECK(open("/etc/passwd", O_RDONLY) < 0);
	CHECK(open("file", O_RDWR | O_CREAT, 0600) < 0 && mkdir("folder", 0700) < 0);
	CHECK(chroot(".") < 0 && errno == EPERM);
	CHECK(fcntl(args.root_fd, F_GETFD) < 0 && errno == EBADF);
	return check_common(reached);
}

static void test_own_ids(void **state)
{
	in_child(inside_own_ids, NULL);
}

// As root over one uid alone: no ids to change to, but capabilities to lose.
static int inside_root_keeps_uid(const void *data)
{
	unsigned reached = 0;
	struct seal_args args = keep_ids(void_dir_open());

	CHECK(seal_enter(&no_files, &args, &reached, NULL) == 0);
	CHECK((reached & SEAL_CHROOT) != 0 && (reached & SEAL_UID) == 0);
	CHECK(getuid() == 0);
	CHECK(chroot(".") < 0 && errno == EPERM);
	CHECK(setuid(OWN_ID) < 0 && errno == EPERM);
	return check_common(reached);
}

static void test_root_without_ids_loses_capabilities(void **state)
{
	in_child(inside_root_keeps_uid, NULL);
}

// Works in its folder and has nothing else.
static int check_work_folder(void)
{
	CLEANUP(close_p) int fd = open("database", O_RDWR | O_CREAT, 0600);
	struct stat st;

	CHECK(fd >= 0);
	CHECK(write(fd, "rows", 4) == 4 && ftruncate(fd, 1) == 0);
	CHECK(fstat(fd, &st) == 0 && (st.st_mode & 0777) == 0600);
	CHECK(open("inherited", O_RDONLY) >= 0);
	CHECK(open(".", O_RDONLY | O_DIRECTORY) >= 0);
	CHECK(unlink("database") == 0);
	if (seal_landlock_abi() > 0) {
		CHECK(symlink("a", "b") < 0 && errno == EACCES);
		CHECK(mkdir("folder", 0700) < 0 && errno == EACCES);
		CHECK(mkfifo("fifo", 0600) < 0 && errno == EACCES);
		CHECK(open("/etc/passwd", O_RDONLY) < 0);
	}
	return 0;
}

struct work {
	char path[32];
	bool own; // ids of its own, or those of a user who is not root
};

static int inside_files(const void *data)
{
	const struct work *work = data;
	struct seal_profile files = no_files;
	unsigned reached = 0;
	int folder = open(work->path, O_PATH | O_DIRECTORY), line;
	struct seal_args args = work->own ? own_ids(folder) : keep_ids(folder);

	files.files = true;
	// The supervisor, and so its child, has no CAP_DAC_OVERRIDE to enter the folder with.
	CHECK(folder >= 0 && (work->own ? caps_drop() == 0 : become_nobody()));
	line = seal_enter(&files, &args, &reached, NULL) == 0 ? check_work_folder() : __LINE__;
	CHECK(((reached & SEAL_CHROOT) != 0) == work->own);
	return line;
}

// The folder is the role's alone.
static void work_in_folder(bool own)
{
	struct work work = {.path = "/tmp/test-seal-XXXXXX", .own = own};
	uid_t owner = own ? OWN_ID : NOBODY;
	CLEANUP(close_p) int folder = -1;
	CLEANUP(close_p) int fd = -1;

	assert_non_null(mkdtemp(work.path));
	folder = open(work.path, O_RDONLY | O_DIRECTORY);
	fd = openat(folder, "inherited", O_RDWR | O_CREAT, 0644);
	assert_true(folder >= 0 && fd >= 0);
	if (geteuid() == 0)
		assert_int_equal(fchown(folder, owner, owner), 0);
	in_child(inside_files, &work);
	assert_int_equal(unlinkat(folder, "inherited", 0), 0);
	assert_int_equal(rmdir(work.path), 0);
}

static void test_files(void **state)
{
	work_in_folder(false);
	if (geteuid() == 0)
		work_in_folder(true);
}

static int inside_scoped(const void *data)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_STREAM, 0), outside = socket(AF_UNIX, SOCK_STREAM, 0);
	unsigned reached = 0;
	struct seal_args args = keep_ids(-1);
	struct sockaddr_un bound;
	socklen_t n = sizeof bound;

	// An abstract address of the kernel's choice.
	CHECK(bind(listener, (const struct sockaddr *)&name, sizeof name.sun_family) == 0);
	CHECK(listen(listener, 1) == 0);
	CHECK(getsockname(listener, (struct sockaddr *)&bound, &n) == 0);
	CHECK(become_nobody());
	CHECK(seal_enter(&no_files, &args, &reached, NULL) == 0);
	if (seal_landlock_abi() >= 6) {
		CHECK(connect(outside, (const struct sockaddr *)&bound, n) < 0 && errno == EPERM);
		CHECK(kill(getppid(), 0) < 0 && errno == EPERM);
	}
	if (seal_landlock_abi() >= 4) {
		int tcp = socket(AF_INET, SOCK_STREAM, 0);
		struct sockaddr any = {.sa_family = AF_INET};

		CHECK(bind(tcp, &any, sizeof any) < 0 && errno == EACCES);
		CHECK(connect(tcp, &any, sizeof any) < 0 && errno == EACCES);
	}
	return 0;
}

static void test_nothing_outside_is_reached(void **state)
{
	in_child(inside_scoped, NULL);
}

static int inside_readable(const void *data)
{
	static const char *const paths[] = {"/etc/passwd", "/etc/not/there", "/usr", NULL};
	struct seal_profile reader = no_files;
	unsigned reached = 0;
	struct seal_args args = keep_ids(-1);
	int tcp = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr any = {.sa_family = AF_INET};

	reader.readable = paths;
	reader.connects = true;
	CHECK(become_nobody());
	CHECK(seal_enter(&reader, &args, &reached, NULL) == 0);
	CHECK(open("/etc/passwd", O_RDONLY) >= 0);
	CHECK(open("/etc/passwd", O_WRONLY) < 0);
	if (seal_landlock_abi() > 0)
		CHECK(open("/etc/group", O_RDONLY) < 0 && errno == EACCES);
	CHECK(connect(tcp, &any, sizeof any) < 0 && errno != EACCES);
	return 0;
}

static void test_readable_paths(void **state)
{
	in_child(inside_readable, NULL);
}

static int inside_low_limit(const void *data)
{
	struct rlimit low = {50, 100}, now;
	unsigned reached;
	struct seal_args args = keep_ids(-1);

	CHECK(setrlimit(RLIMIT_NOFILE, &low) == 0);
	CHECK(seal_enter(&no_files, &args, &reached, NULL) == 0);
	CHECK(getrlimit(RLIMIT_NOFILE, &now) == 0);
	CHECK(now.rlim_cur == 100 && now.rlim_max == 100);
	return 0;
}

static void test_limits_are_never_raised(void **state)
{
	in_child(inside_low_limit, NULL);
}

// Every failure names its step and leaves the later ones alone.
static int inside_failures(const void *data)
{
	struct seal_profile files = no_files, unfiltered = no_files, bad_filter = no_files;
	struct seal_args wrong_parent = keep_ids(-1), no_folder = keep_ids(-1), null = keep_ids(-1);
	struct sock_filter endless = {BPF_LD | BPF_IMM, 0, 0, 0};
	unsigned reached = ~0u;
	const char *where = "";

	wrong_parent.parent = getppid() + 1;
	CHECK(seal_enter(&no_files, &wrong_parent, &reached, &where) == -ESRCH);
	CHECK(strcmp(where, "parent") == 0 && (reached & SEAL_NO_NEW_PRIVS) == 0);
	CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0);
	files.files = true;
	CHECK(seal_enter(&files, &no_folder, &reached, &where) == -EINVAL);
	CHECK(strcmp(where, "folder") == 0 && reached == 0);
	null.root_fd = open("/dev/null", O_RDWR);
	CHECK(seal_enter(&no_files, &null, &reached, &where) == -ENOTDIR);
	CHECK(strcmp(where, "folder") == 0);
	unfiltered.n_filter = 0;
	null.root_fd = -1;
	CHECK(seal_enter(&unfiltered, &null, &reached, &where) == -EINVAL);
	CHECK(strcmp(where, "seccomp") == 0 && (reached & SEAL_SECCOMP) == 0);
	bad_filter.filter = &endless;
	CHECK(seal_enter(&bad_filter, &null, &reached, &where) == -EINVAL);
	CHECK(strcmp(where, "seccomp") == 0 && prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 0);
	return 0;
}

static int inside_no_right_to_ids(const void *data)
{
	struct seal_args args = own_ids(-1);
	unsigned reached = ~0u;
	const char *where = "";

	CHECK(become_nobody());
	CHECK(seal_enter(&no_files, &args, &reached, &where) == -EPERM);
	CHECK(strcmp(where, "groups") == 0 && reached == 0);
	return 0;
}

static void test_failures(void **state)
{
	in_child(inside_failures, NULL);
	in_child(inside_no_right_to_ids, NULL);
}

// A container whose own filter hides seccomp(2).
static int inside_no_seccomp(const void *data)
{
	struct sock_filter hide[] = {
		{BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr)},
		{BPF_JMP | BPF_JEQ | BPF_K, 0, 1, SYS_seccomp},
		{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | ENOSYS},
		{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
	};
	struct sock_fprog program = {.len = ARRAY_SIZE(hide), .filter = hide};
	struct seal_args args = keep_ids(-1);
	unsigned reached = ~0u;

	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0);
	CHECK(seal_enter(&no_files, &args, &reached, NULL) == 0);
	CHECK((reached & SEAL_SECCOMP) == 0 && (reached & SEAL_NO_NEW_PRIVS) != 0);
	return 0;
}

static void test_without_seccomp_it_says_so(void **state)
{
	in_child(inside_no_seccomp, NULL);
}

// A child, its sealed child, then the child dies: the sealed one must be killed, which the pipe
// it holds shows.
static void test_dies_with_its_parent(void **state)
{
	int pair[2], status;
	struct pollfd end;
	char bytes[2];
	pid_t parent;

	assert_int_equal(pipe(pair), 0);
	parent = fork();
	if (parent == 0) {
		if (fork() == 0) {
			struct seal_args args = geteuid() == 0 ? own_ids(-1) : keep_ids(-1);
			unsigned reached;

			alarm(30); // if all goes wrong
			if (seal_enter(&no_files, &args, &reached, NULL) < 0 ||
				write(pair[1], "s", 1) != 1)
				_exit(1);
			for (;;)
				pause();
		}
		close(pair[1]);
		_exit(read(pair[0], bytes, 1) == 1 ? 0 : 1);
	}
	close(pair[1]);
	end = (struct pollfd){.fd = pair[0], .events = POLLIN};
	assert_int_equal(waitpid(parent, &status, 0), parent);
	assert_int_equal(status, 0);
	assert_int_equal(poll(&end, 1, 10000), 1);
	assert_int_equal(read(pair[0], bytes, 1), 0);
	close(pair[0]);
}

// The relay's real profile, seen from outside.
static void test_inspected_from_outside(void **state)
{
	struct inspect_required required = {-1, -1};
	struct inspect_report report;
	int ready[2], hold[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(hold), 0);
	pid = fork();
	if (pid == 0) {
		struct seal_args args = geteuid() == 0 ? own_ids(void_dir_open()) : keep_ids(-1);
		unsigned reached;

		close(hold[1]);
		byte = seal_enter(&relay_seal_profile, &args, &reached, NULL) == 0 ? 'r' : 'f';
		if (write(ready[1], &byte, 1) == 1 && read(hold[0], &byte, 1) < 0)
			_exit(1);
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(byte, 'r');
	assert_int_equal(inspect_read(pid, &report), 0);
	if (geteuid() == 0)
		required = (struct inspect_required){OWN_ID, OWN_ID};
	assert_int_equal(inspect_compare(&report, &required), 0);
	assert_int_equal(report.seccomp, 2);
	for (int i = 0; i < 2; i++) {
		close(ready[i]);
		close(hold[i]);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_own_ids),
		root_unit_test(test_own_ids),
		root_unit_test(test_root_without_ids_loses_capabilities),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_nothing_outside_is_reached),
		cmocka_unit_test(test_readable_paths),
		cmocka_unit_test(test_limits_are_never_raised),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_without_seccomp_it_says_so),
		cmocka_unit_test(test_dies_with_its_parent),
		cmocka_unit_test(test_inspected_from_outside),
	};
	alarm(60); // a child that is not killed would be waited for without end
	return cmocka_run_group_tests(tests, NULL, NULL);
}
