// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What tunnel up can and cannot do once it is sealed: each attempt in a process of its own.

#include "agent_sandbox.h"
#include "seal_landlock.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { KILLED = 1000, SEAL_FAILED = 99, FINE = 0 };

// Exit status of ATTEMPT in a sealed child, or KILLED by the filter.
static int sealed(int (*attempt)(void))
{
	pid_t child = fork();
	int status = 0;
	assert_true(child >= 0);
	if (child == 0)
		_exit(agent_sandbox_enter() != 0 ? SEAL_FAILED : attempt());
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFSIGNALED(status)) {
		assert_int_equal(WTERMSIG(status), SIGSYS);
		return KILLED;
	}
	return WEXITSTATUS(status);
}

#define ATTEMPT(name, expression)          \
	static int name(void)              \
	{                                  \
		errno = 0;                 \
		(void)!(long)(expression); \
		return errno;              \
	}

// ---- refused

ATTEMPT(run_program, execl("/bin/true", "true", (char *)NULL))
ATTEMPT(start_process, fork())
ATTEMPT(listen_somewhere, listen(socket(AF_INET, SOCK_STREAM, 0), 1))
ATTEMPT(remove_file, unlink("/nonexistent"))
ATTEMPT(rename_file, rename("/nonexistent", "/nonexistent2"))
ATTEMPT(change_mode, chmod("/nonexistent", 0))
ATTEMPT(make_folder, mkdir("/nonexistent/x", 0700))
ATTEMPT(trace, ptrace(PTRACE_TRACEME, 0, NULL, NULL))
ATTEMPT(send_signal, kill(getppid(), 0))
ATTEMPT(raw_packets, socket(AF_PACKET, SOCK_RAW, 0))
ATTEMPT(raw_ip, socket(AF_INET, SOCK_RAW, 1))
ATTEMPT(writable_code,
	mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))
ATTEMPT(change_user, setuid(1))
ATTEMPT(more_privileges, chroot("/"))
#ifndef TUNNELD_SANITIZERS // which open files to report
ATTEMPT(write_file, open("/nonexistent", O_WRONLY | O_CREAT, 0600))
ATTEMPT(truncate_file, open("/nonexistent", O_RDONLY | O_TRUNC))
ATTEMPT(append_file, open("/nonexistent", O_RDWR | O_APPEND))
#endif

static void refused(void **state)
{
	static const struct {
		const char *name;
		int (*attempt)(void);
	} attempts[] = {
#define ROW(name) {#name, name}
		ROW(run_program),
		ROW(start_process),
		ROW(listen_somewhere),
		ROW(remove_file),
		ROW(rename_file),
		ROW(change_mode),
		ROW(make_folder),
		ROW(trace),
		ROW(send_signal),
		ROW(raw_packets),
		ROW(raw_ip),
		ROW(writable_code),
		ROW(change_user),
		ROW(more_privileges),
#ifndef TUNNELD_SANITIZERS
		ROW(write_file),
		ROW(truncate_file),
		ROW(append_file),
#endif
#undef ROW
	};
	for (size_t i = 0; i < ARRAY_SIZE(attempts); i++) {
		int r = sealed(attempts[i].attempt);
		if (r != KILLED)
			fail_msg("%s: not killed but %d", attempts[i].name, r);
	}
}

// ---- allowed

static int dial(void)
{
	const struct sockaddr_in nowhere = {
		.sin_family = AF_INET, .sin_port = htons(1), .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return fd < 0 || connect(fd, (const struct sockaddr *)&nowhere, sizeof nowhere) == 0 ||
	       errno != ECONNREFUSED;
}

static void *look_up(void *found)
{
	struct addrinfo *all = NULL;
	*(int *)found = getaddrinfo("localhost", "80", NULL, &all);
	return NULL;
}

static int look_up_in_a_thread(void)
{
	pthread_t thread;
	int found = -1;
	return pthread_create(&thread, NULL, look_up, &found) != 0 ||
	       pthread_join(thread, NULL) != 0 || found != 0;
}

static void allowed(void **state)
{
	assert_int_equal(sealed(dial), FINE);
	assert_int_equal(sealed(look_up_in_a_thread), FINE);
}

static int read_system(void)
{
	return open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0;
}

ATTEMPT(read_ours, open("/var", O_RDONLY | O_CLOEXEC))

static void files(void **state)
{
	assert_int_equal(sealed(read_system), FINE);
	if (seal_landlock_abi() == 0)
		skip();
	assert_int_equal(sealed(read_ours), EACCES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refused),
		cmocka_unit_test(allowed),
		cmocka_unit_test(files),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
