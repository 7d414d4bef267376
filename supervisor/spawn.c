// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// clone(2) with memory and descriptor table shared, close_range(2) with CLOSE_RANGE_UNSHARE.
//
// Between clone and exec the child runs in our memory, on a small stack of its own, while we are
// stopped (CLONE_VFORK): it makes system calls and nothing else, and sanitizers stay out, because
// they would take its stack for ours.

#include "spawn.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum {
	SLOT_PROGRAM = 10,
	SLOT_NULL = 11,
	STACK_SIZE = 32 * 1024,
};

#define UNSANITIZED __attribute__((no_sanitize("address", "undefined")))

struct launch {
	char epoch[16], parent[16], uid[16], gid[16], root_fd[16];
	char *argv[8];
	char *environment[1];
	volatile int error; // written by the child, in our memory
};

static bool reserved;

int spawn_init(void)
{
	CLEANUP(close_p) int null_fd = -1;

	do {
		close_p(&null_fd);
		null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (null_fd < 0)
			return -errno;
		// The lowest free number: 0 to 2 stay filled, without close-on-exec.
		if (null_fd <= 2) {
			if (fcntl(null_fd, F_SETFD, 0) < 0)
				return -errno;
			null_fd = -1;
		}
	} while (null_fd < 0);
	for (int slot = SPAWN_TARGET_FIRST; slot <= SPAWN_RESERVED_LAST; slot++)
		if (slot != null_fd && dup3(null_fd, slot, O_CLOEXEC) < 0)
			return -errno;
	if (null_fd <= SPAWN_RESERVED_LAST)
		(void)take_fd(&null_fd);
	reserved = true;
	return 0;
}

void spawn_deinit(void)
{
	for (int slot = SPAWN_TARGET_FIRST; reserved && slot <= SPAWN_RESERVED_LAST; slot++)
		close(slot);
	reserved = false;
}

static bool request_valid(const struct spawn_request *request)
{
	unsigned taken = request->root_fd >= 0 ? 1u << SPAWN_TARGET_ROOT : 0;

	if ((request->uid == (uid_t)-1) != (request->gid == (gid_t)-1))
		return false;
	for (size_t i = 0; i < request->n_fds; i++) {
		const struct spawn_fd *fd = &request->fds[i];

		if (fd->source <= SPAWN_RESERVED_LAST || fd->target < SPAWN_TARGET_FIRST ||
			fd->target > SPAWN_TARGET_LAST || (taken & 1u << fd->target) != 0)
			return false;
		taken |= 1u << fd->target;
	}
	return request->root_fd < 0 || request->root_fd > SPAWN_RESERVED_LAST;
}

// "-1" stands for an id to keep and for no folder, see seal_args_parse().
static void format_optional(char text[16], uint32_t value)
{
	if (value == UINT32_MAX)
		memcpy(text, "-1", sizeof("-1"));
	else
		snprintf(text, 16, "%" PRIu32, value);
}

static void launch_prepare(struct launch *launch, const struct spawn_request *request)
{
	char *argv[] = {(char *)(uintptr_t)request->program->name, launch->epoch, launch->parent,
		launch->uid, launch->gid, launch->root_fd, (char *)(uintptr_t)request->mode, NULL};

	snprintf(launch->epoch, sizeof(launch->epoch), "%" PRIu32, request->epoch);
	snprintf(launch->parent, sizeof(launch->parent), "%d", (int)getpid());
	format_optional(launch->uid, request->uid);
	format_optional(launch->gid, request->gid);
	format_optional(launch->root_fd, request->root_fd >= 0 ? SPAWN_TARGET_ROOT : UINT32_MAX);
	static_assert(sizeof(argv) == sizeof(launch->argv), "one NULL at the end of each");
	memcpy(launch->argv, argv, sizeof(argv));
	launch->environment[0] = NULL;
	launch->error = 0;
}

// Puts the child's descriptors into their numbers, without close-on-exec, and the program too.
static int slots_fill(const struct spawn_request *request)
{
	for (size_t i = 0; i < request->n_fds; i++)
		if (dup2(request->fds[i].source, request->fds[i].target) < 0)
			return -errno;
	if (request->root_fd >= 0 && dup2(request->root_fd, SPAWN_TARGET_ROOT) < 0)
		return -errno;
	if (dup3(request->program->fd, SLOT_PROGRAM, O_CLOEXEC) < 0)
		return -errno;
	return 0;
}

// The slots must not keep the child's ends open: nobody would see it die. Replacing one descriptor
// by another cannot fail.
static void slots_clear(const struct spawn_request *request)
{
	for (size_t i = 0; i < request->n_fds; i++)
		dup3(SLOT_NULL, request->fds[i].target, O_CLOEXEC);
	if (request->root_fd >= 0)
		dup3(SLOT_NULL, SPAWN_TARGET_ROOT, O_CLOEXEC);
	dup3(SLOT_NULL, SLOT_PROGRAM, O_CLOEXEC);
}

// Exec resets handlers by itself but keeps what is ignored; the mask has been full since before the
// clone, so that no handler of ours ever ran in the child.
UNSANITIZED static void child_signals(void)
{
	struct {
		void (*handler)(int);
		unsigned long flags;
		void (*restorer)(void);
		uint64_t mask;
	} action = {SIG_DFL, 0, NULL, 0};
	uint64_t none = 0;

	for (int number = 1; number <= 64; number++)
		syscall(SYS_rt_sigaction, number, &action, NULL, sizeof(action.mask));
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof(none));
}

// What remains after close_range() but was not asked for holds /dev/null with close-on-exec.
UNSANITIZED static int child_run(void *data)
{
	struct launch *launch = data;

	if (syscall(SYS_close_range, SPAWN_RESERVED_LAST + 1, ~0u, CLOSE_RANGE_UNSHARE) == 0 &&
		syscall(SYS_dup3, SLOT_NULL, 0, 0) >= 0 &&
		syscall(SYS_dup3, SLOT_NULL, 1, 0) >= 0) {
		syscall(SYS_setpgid, 0, 0);
		child_signals();
		syscall(SYS_execveat, SLOT_PROGRAM, "", launch->argv, launch->environment,
			AT_EMPTY_PATH);
	}
	launch->error = errno;
	syscall(SYS_exit_group, 127);
	return 127;
}

static int child_clone(struct launch *launch, struct spawn_child *child)
{
	static _Alignas(16) char stack[STACK_SIZE];
	sigset_t all, before;
	int r = 0;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	child->pid = clone(child_run, stack + sizeof(stack),
		CLONE_VM | CLONE_VFORK | CLONE_FILES | CLONE_PIDFD | SIGCHLD, launch,
		&child->pidfd);
	if (child->pid < 0)
		r = -errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	return r;
}

int spawn_child(const struct spawn_request *request, struct spawn_child *child)
{
	struct launch launch;
	struct spawn_child started = {.pid = -1, .pidfd = -1};
	int r;

	assert(reserved);
	if (!request_valid(request))
		return -EINVAL;
	launch_prepare(&launch, request);
	r = slots_fill(request);
	if (r == 0)
		r = child_clone(&launch, &started);
	slots_clear(request);
	if (r < 0)
		return r;
	if (launch.error != 0) {
		while (waitpid(started.pid, NULL, 0) < 0 && errno == EINTR)
			;
		close(started.pidfd);
		return -launch.error;
	}
	*child = started;
	return 0;
}
