// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Stands in for a child of the supervisor, of any role, and lets a test play it: hands the test its
// control channel and its other descriptors over a Unix socket whose path the test has written into
// its copy of this program (a child has no environment and no files). What the test sends back says
// how to go on:
//
//     lie       look sealed to an inspection from outside: own uid, no_new_privs, a filter that
//               allows everything. Answered with one byte; then wait for the next word
//     unsealed  the same without filter
//     exit N    end with this status
//     crash     end by SIGKILL, which no sanitizer turns into a report
//     be PATH   become the real program at PATH, as if started by the supervisor

#include "seal.h"

#include <err.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

enum { FIRST_FD = 3, LAST_FD = 5, MARK_SIZE = 12 };

// Found by the mark and overwritten in the copy.
static volatile char place[MARK_SIZE + sizeof((struct sockaddr_un *)0)->sun_path] = "LIAR-SOCKET:";

static int reach_test(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	for (size_t i = 0; i < sizeof address.sun_path; i++)
		address.sun_path[i] = place[MARK_SIZE + i];
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
		err(1, "no test at %s", address.sun_path);
	return fd;
}

// Sends "ROLE EPOCH PID" with the descriptors that are there, in order.
static void introduce(int test, const char *role, uint32_t epoch)
{
	char text[128];
	int fds[LAST_FD - FIRST_FD + 1];
	size_t n = 0;
	union {
		char bytes[CMSG_SPACE(sizeof fds)];
		struct cmsghdr align;
	} control = {0};

	for (int fd = FIRST_FD; fd <= LAST_FD; fd++)
		if (fd != test && fcntl(fd, F_GETFD) >= 0)
			fds[n++] = fd;
	struct iovec iov = {
		text, (size_t)snprintf(text, sizeof text, "%s %u %d", role, epoch, (int)getpid())};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = CMSG_SPACE(n * sizeof(int))};
	control.align.cmsg_level = SOL_SOCKET;
	control.align.cmsg_type = SCM_RIGHTS;
	control.align.cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(&control.align), fds, n * sizeof(int));
	if (sendmsg(test, &msg, 0) < 0)
		err(1, "introduction");
}

static void look_sealed(const struct seal_args *args, bool filtered)
{
	struct sock_filter allow = {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
	const struct sock_fprog program = {.len = 1, .filter = &allow};

	if (args->uid != (uid_t)-1 &&
		(setgroups(0, NULL) < 0 || setresgid(args->gid, args->gid, args->gid) < 0 ||
			setresuid(args->uid, args->uid, args->uid) < 0))
		err(1, "ids");
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 ||
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		err(1, "prctl");
	if (filtered && syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
		err(1, "seccomp");
}

static void obey(int test, const struct seal_args *args, const char *word, char **argv)
{
	char *environment[] = {NULL};

	if (strcmp(word, "lie") == 0 || strcmp(word, "unsealed") == 0) {
		// From now on the test's copies are the only ones.
		for (int fd = FIRST_FD; fd <= LAST_FD; fd++)
			if (fd != test)
				close(fd);
		look_sealed(args, word[0] == 'l');
		if (send(test, "", 1, 0) != 1)
			err(1, "answer");
	} else if (strncmp(word, "exit ", 5) == 0) {
		_exit((int)strtol(word + 5, NULL, 10));
	} else if (strcmp(word, "crash") == 0) {
		raise(SIGKILL);
	} else if (strncmp(word, "be ", 3) == 0) {
		execve(word + 3, argv, environment);
		err(1, "%s", word + 3);
	} else {
		errx(1, "told to %s", word);
	}
}

int main(int argc, char **argv)
{
	struct seal_args args;
	char word[512];
	ssize_t n;

	if (seal_args_parse(&args, argc, argv) < 0)
		errx(1, "is started by a test's supervisor");
	int test = reach_test();
	introduce(test, argv[0], args.epoch);
	while ((n = recv(test, word, sizeof word - 1, 0)) > 0) {
		word[n] = '\0';
		obey(test, &args, word, argv);
	}
	return 0;
}
