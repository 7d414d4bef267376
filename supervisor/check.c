// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Each line is tried rather than looked up: containers hide calls that the kernel has. What cannot
// be undone is tried in a child.

#include "check.h"

#include "caps.h"
#include "inspect.h"
#include "program.h"
#include "seal_landlock.h"
#include "uids.h"
#include "void_dir.h"

#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>

enum verdict { CHECK_OK, CHECK_DEGRADED, CHECK_MISSING };

struct check {
	FILE *out;
	const struct check_wishes *wishes;
	bool missing;
};

PRINTF(4, 5)
static void say(
	struct check *check, enum verdict verdict, const char *what, const char *format, ...)
{
	static const char *const words[] = {
		[CHECK_OK] = "ok",
		[CHECK_DEGRADED] = "degraded",
		[CHECK_MISSING] = "missing",
	};
	va_list args;

	fprintf(check->out, "%-9s %-20s ", words[verdict], what);
	va_start(args, format);
	vfprintf(check->out, format, args);
	va_end(args);
	fputc('\n', check->out);
	check->missing |= verdict == CHECK_MISSING;
}

// Runs TRY in a child. Returns what it returned (0 or a negative errno).
static int in_child(
	int (*try)(const struct check_wishes *wishes), const struct check_wishes *wishes)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(-try(wishes));
	if (pid < 0)
		return -errno;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -ENOSYS;
}

static int try_no_new_privs(const struct check_wishes *wishes)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

static int try_seccomp(const struct check_wishes *wishes)
{
	struct sock_filter allow = {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
	struct sock_fprog program = {.len = 1, .filter = &allow};
	uint32_t action = SECCOMP_RET_KILL_PROCESS;

	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) < 0)
		return -errno;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
		return -errno;
	return 0;
}

static int try_sealed_program(const struct check_wishes *wishes)
{
	CLEANUP(close_p) int dir = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct program program;
	int r = program_load(&program, dir, "exe");

	if (r == 0)
		program_deinit(&program);
	return r;
}

static int try_close_range(const struct check_wishes *wishes)
{
	return syscall(SYS_close_range, ~0u, ~0u, 0) < 0 ? -errno : 0;
}

static int try_pidfd(const struct check_wishes *wishes)
{
	CLEANUP(close_p) int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);

	return fd < 0 ? -errno : 0;
}

static int try_clock(const struct check_wishes *wishes)
{
	CLEANUP(close_p) int fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC);

	return fd < 0 ? -errno : 0;
}

static int try_chroot(const struct check_wishes *wishes)
{
	int fd = void_dir_open();

	if (fd < 0)
		return fd;
	return fchdir(fd) < 0 || chroot(".") < 0 ? -errno : 0;
}

static int try_ids(const struct check_wishes *wishes)
{
	uid_t id = wishes->uid_base;

	return setgroups(0, NULL) < 0 || setresgid(id, id, id) < 0 || setresuid(id, id, id) < 0
		       ? -errno
		       : 0;
}

// With what the supervisor keeps for itself; hidepid shows other users' processes to ptracers only.
static int try_inspection(const struct check_wishes *wishes)
{
	struct inspect_report report;
	int r = caps_drop();

	return r < 0 ? r : inspect_read(1, &report);
}

static void check_tried(struct check *check)
{
	static const struct {
		const char *what;
		int (*try)(const struct check_wishes *wishes);
		const char *with, *without;
	} rows[] = {
		{"seccomp filter", try_seccomp, "each role is held to its table of system calls",
			"no role may run"},
		{"no_new_privs", try_no_new_privs, "no program gives a role rights it did not have",
			"no role may run"},
		{"sealed programs", try_sealed_program, "what was hashed is what runs",
			"no role can be started"},
		{"close_range", try_close_range, "a role gets its own descriptors and no others",
			"no role can be started"},
		{"pidfd", try_pidfd, "a role is ended without a doubt which process is meant",
			"no role can be ended safely"},
		{"boot clock", try_clock, "a tunnel's end comes on time, also after suspend",
			"tunnels would not end"},
		{"inspection", try_inspection, "sealed roles are looked at through /proc",
			"what a role reached cannot be seen (is /proc mounted, without hidepid?)"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int r = in_child(rows[i].try, check->wishes);

		if (r == 0)
			say(check, CHECK_OK, rows[i].what, "%s", rows[i].with);
		else
			say(check, CHECK_MISSING, rows[i].what, "%s (%s)", rows[i].without,
				strerror(-r));
	}
}

static void check_landlock(struct check *check)
{
	int abi = seal_landlock_abi();

	if (abi >= 6)
		say(check, CHECK_OK, "Landlock", "ABI %d: files, TCP, signals, abstract sockets",
			abi);
	else if (abi >= 4)
		say(check, CHECK_DEGRADED, "Landlock",
			"ABI %d: files and TCP; seccomp holds the rest", abi);
	else if (abi > 0)
		say(check, CHECK_DEGRADED, "Landlock", "ABI %d: files; seccomp holds the rest",
			abi);
	else
		say(check, CHECK_DEGRADED, "Landlock", "none; seccomp, uid and chroot hold alone");
}

static void check_uids(struct check *check)
{
	const struct check_wishes *wishes = check->wishes;
	char who[UIDS_WHO_MAX];
	uint64_t last = (uint64_t)wishes->uid_base + UID_RELAYS + wishes->n_relays - 1;
	int r = uids_check(wishes->uid_base, wishes->n_relays, who);

	if (r == UIDS_UNMAPPED)
		say(check, CHECK_DEGRADED, "uids",
			"%u to %" PRIu64 " do not all exist here: roles keep this uid",
			wishes->uid_base, last);
	else if (r == UIDS_TAKEN)
		say(check, CHECK_MISSING, "uids",
			"%u to %" PRIu64 " are not free: %s; choose another relay_uid_base",
			wishes->uid_base, last, who);
	else if ((r = in_child(try_ids, wishes)) < 0)
		say(check, CHECK_MISSING, "uids", "no role can be started (%s)", strerror(-r));
	else
		say(check, CHECK_OK, "uids", "%u to %" PRIu64 " are mapped and nobody's",
			wishes->uid_base, last);
}

static void check_separation(struct check *check)
{
	char held[128];
	int r;

	caps_format(caps_effective(), held, sizeof(held));
	if (!caps_can_separate()) {
		say(check, CHECK_DEGRADED, "capabilities",
			"uid %u, %s: roles keep this uid and are not locked into a folder",
			geteuid(), held);
		return;
	}
	say(check, CHECK_OK, "capabilities",
		"setuid setgid sys_chroot kill: each role gets its own uid and folder");
	r = in_child(try_chroot, check->wishes);
	if (r == 0)
		say(check, CHECK_OK, "chroot",
			"roles without files are locked into an empty folder");
	else
		say(check, CHECK_MISSING, "chroot", "no role can be started (%s)", strerror(-r));
	check_uids(check);
}

static void check_descriptors(struct check *check)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	say(check, limit.rlim_max >= check->wishes->descriptors ? CHECK_OK : CHECK_DEGRADED,
		"descriptors", "%" PRIu64 " allowed, the configuration may use %" PRIu64,
		(uint64_t)limit.rlim_max, check->wishes->descriptors);
}

// Beyond this many pages (4 KiB) per uid a pipe gets two pages at most, see pipe(7); 0: no limit.
static void check_pipes(struct check *check)
{
	FILE *file = fopen("/proc/sys/fs/pipe-user-pages-soft", "re");
	uint64_t pages;
	bool known = file != NULL && fscanf(file, "%" SCNu64, &pages) == 1;

	if (file != NULL)
		fclose(file);
	if (!known)
		say(check, CHECK_DEGRADED, "pipes", "limit unknown");
	else if (pages == 0)
		say(check, CHECK_OK, "pipes", "no limit per uid");
	else
		say(check, pages >= 16384 ? CHECK_OK : CHECK_DEGRADED, "pipes",
			"%" PRIu64 " pages per uid: %" PRIu64 " pipes of 64 KiB%s", pages,
			pages / 16,
			pages >= 16384 ? "" : "; more bodies are copied instead of spliced");
}

int check_print(FILE *out, const struct check_wishes *wishes)
{
	struct check check = {.out = out, .wishes = wishes};
	struct utsname name;

	fflush(NULL); // or the children would print it again
	if (uname(&name) == 0)
		say(&check, CHECK_OK, "kernel", "%s %s %s", name.sysname, name.release,
			name.machine);
	check_tried(&check);
	check_landlock(&check);
	check_separation(&check);
	check_descriptors(&check);
	check_pipes(&check);
	return check.missing ? 1 : 0;
}
