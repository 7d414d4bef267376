// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What happens to a relay that has been taken over: started like a real one, with an own uid and
// without, it tries each system call that hostile_relay.c knows. Those a relay has no row for must
// kill it with SIGSYS and leave its neighbour alone; those it lives on must not.
//
//   test_hostile_relay [folder of hostile_relay]     default: where this program is

#include "inspect.h"
#include "program.h"
#include "spawn.h"
#include "void_dir.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "root_only.h"
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { OWN_ID = 65123, NOBODY = 65534, TRIES_LEAST = 60 };

struct request {
	uint32_t number;
	int32_t neighbour;
};

struct hostile {
	struct spawn_child child;
	int channel;
};

static struct program program;
static const char *folder;

// The kernel's own uids differ per relay under root: the neighbour gets the next one.
static void start(struct hostile *hostile, bool own_ids, uid_t offset)
{
	CLEANUP(close_p) int root_fd = void_dir_open();
	int pair[2];
	struct spawn_request request = {
		.program = &program,
		.epoch = 1,
		.uid = own_ids ? OWN_ID + offset : (uid_t)-1,
		.gid = own_ids ? OWN_ID + offset : (gid_t)-1,
		.root_fd = root_fd,
		.n_fds = 1,
	};

	assert_true(root_fd >= 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	request.fds = &(struct spawn_fd){.source = pair[1], .target = 3};
	assert_int_equal(spawn_child(&request, &hostile->child), 0);
	close(pair[1]);
	hostile->channel = pair[0];
}

// Its exit status; it is ended first if it is still there.
static int finish(struct hostile *hostile)
{
	int status;

	close(hostile->channel);
	assert_int_equal(waitpid(hostile->child.pid, &status, 0), hostile->child.pid);
	close(hostile->child.pidfd);
	return status;
}

// Asks for a try. Returns false when there is none of that number; NAME gets its name.
static bool ask(struct hostile *hostile, uint32_t number, pid_t neighbour, char name[64])
{
	struct request request = {number, neighbour};
	ssize_t n;

	assert_int_equal(
		send(hostile->channel, &request, sizeof request, MSG_NOSIGNAL), sizeof request);
	n = recv(hostile->channel, name, 63, 0);
	assert_true(n > 0);
	name[n] = '\0';
	return strcmp(name, "end") != 0;
}

static bool survived(struct hostile *hostile)
{
	char text[64];

	return recv(hostile->channel, text, sizeof text, 0) > 0;
}

// One try in a relay of its own. Returns false after the last.
static bool try_one(uint32_t number, bool own_ids, struct hostile *neighbour, char name[64])
{
	struct hostile hostile;
	bool lives, there;
	int status;

	start(&hostile, own_ids, 0);
	there = ask(&hostile, number, neighbour->child.pid, name);
	lives = there && survived(&hostile);
	status = finish(&hostile);
	if (!there)
		return false;
	if (name[0] == '=' && (!lives || status != 0))
		fail_msg("%s: a relay needs it but ended with status %#x", name + 1, status);
	if (name[0] == '!' && (lives || !WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS))
		fail_msg("%s: %s, status %#x", name + 1, lives ? "survived" : "died otherwise",
			status);
	return true;
}

static bool is_required(const char *name)
{
	static const char *const required[] = {"!socket", "!connect", "!execve", "!fork", "!ptrace",
		"!kill", "!process_vm_readv", "!mmap_exec", "!openat2"};

	for (size_t i = 0; i < ARRAY_SIZE(required); i++)
		if (strcmp(name, required[i]) == 0)
			return true;
	return false;
}

static void try_all(bool own_ids)
{
	struct hostile neighbour;
	unsigned n_required = 0;
	uint32_t number = 0;
	char name[64];

	start(&neighbour, own_ids, 1);
	for (; try_one(number, own_ids, &neighbour, name); number++)
		n_required += is_required(name);
	assert_in_range(number, TRIES_LEAST, UINT32_MAX);
	assert_int_equal(n_required, 9);
	// Number 0 does nothing: the neighbour is as well as before.
	assert_true(ask(&neighbour, 0, 0, name) && survived(&neighbour));
	assert_int_equal(finish(&neighbour), 0);
}

static void test_with_own_ids(void **state)
{
	try_all(true);
}

static void test_with_the_ids_of_the_supervisor(void **state)
{
	try_all(false);
}

// In a child that has given up root: failures show as its exit status, with cmocka's text.
static void test_without_root(void **state)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_with_the_ids_of_the_supervisor)};
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
			setresuid(NOBODY, NOBODY, NOBODY) < 0)
			_exit(1);
		_exit(cmocka_run_group_tests_name("without root", tests, NULL, NULL) == 0 ? 0 : 1);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static int set_up(void **state)
{
	CLEANUP(close_p) int dir = -1;

	if (spawn_init() < 0)
		return -1;
	dir = program_dir_open(folder);
	return dir < 0 ? -1 : program_load(&program, dir, "hostile_relay");
}

static int tear_down(void **state)
{
	program_deinit(&program);
	spawn_deinit();
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		root_unit_test(test_with_own_ids),
		cmocka_unit_test(test_with_the_ids_of_the_supervisor),
		root_unit_test(test_without_root),
	};

	folder = argc > 1 ? argv[1] : NULL;
	alarm(120); // a relay that neither dies nor answers would be waited for without end
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
