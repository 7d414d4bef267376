// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// A relay that has been taken over: it seals itself as the real one does, then makes the system
// call it is asked for. Never installed; driven by test_hostile_relay.c.
//
// On descriptor 3 it is asked {number of the try, pid of a neighbour}, answers with the name of the
// try, beginning with '!' if the sandbox must kill it for that and with '=' if it must not, and
// tries. Having survived it answers "survived". A number past the last try is answered "end".

#include "relay/sandbox.h"
#include "sandbox_rows.h"

#include <arpa/inet.h>
#include <linux/bpf.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>

enum { CONTROL = 3 };

struct request {
	uint32_t number;
	int32_t neighbour;
};

// The neighbour's memory at this address is the same program's.
static char secret[] = "a visitor's bytes";

static const struct sockaddr_in loopback = {
	.sin_family = AF_INET,
	.sin_port = 0x0100, // 1 in network order
	.sin_addr = {0x0100007f},
};

// Harmless arguments wherever they do not matter; the filter sees only numbers.
#define PLAIN(name, ...)                          \
	static void try_##name(pid_t neighbour)   \
	{                                         \
		syscall(SYS_##name, __VA_ARGS__); \
	}

PLAIN(open, "/etc/passwd", O_RDONLY)
PLAIN(openat, AT_FDCWD, "/etc/passwd", O_RDONLY)
PLAIN(openat2, AT_FDCWD, "/etc/passwd", NULL, 0)
PLAIN(creat, "/tmp/hostile", 0600)
PLAIN(name_to_handle_at, AT_FDCWD, "/", NULL, NULL, 0)
PLAIN(unlink, "/tmp/hostile")
PLAIN(mkdir, "/tmp/hostile", 0700)
PLAIN(chroot, ".")
PLAIN(mount, NULL, "/", NULL, 0, NULL)
PLAIN(memfd_create, "hostile", 0)
PLAIN(socket, AF_INET, SOCK_STREAM, 0)
PLAIN(socketpair, AF_UNIX, SOCK_STREAM, 0, NULL)
PLAIN(connect, CONTROL, &loopback, sizeof loopback)
PLAIN(bind, CONTROL, &loopback, sizeof loopback)
PLAIN(listen, CONTROL, 1)
PLAIN(accept, CONTROL, NULL, NULL)
PLAIN(accept4, CONTROL, NULL, NULL, 0)
PLAIN(sendmmsg, CONTROL, NULL, 0, 0)
PLAIN(execve, "/bin/true", NULL, NULL)
PLAIN(execveat, AT_FDCWD, "/bin/true", NULL, NULL, 0)
PLAIN(fork, 0)
PLAIN(vfork, 0)
PLAIN(clone, SIGCHLD, NULL, NULL, NULL, NULL)
PLAIN(clone3, NULL, 0)
PLAIN(unshare, 0)
PLAIN(setns, CONTROL, 0)
PLAIN(ptrace, PTRACE_ATTACH, neighbour, NULL, NULL)
PLAIN(kill, neighbour, SIGKILL)
PLAIN(tkill, neighbour, SIGKILL)
PLAIN(tgkill, neighbour, neighbour, SIGKILL)
PLAIN(rt_sigqueueinfo, neighbour, SIGKILL, NULL)
PLAIN(pidfd_open, neighbour, 0)
PLAIN(pidfd_send_signal, CONTROL, SIGKILL, NULL, 0)
PLAIN(pidfd_getfd, CONTROL, CONTROL, 0)
PLAIN(kcmp, neighbour, neighbour, 0, 0, 0)
PLAIN(prctl, 0, 0, 0, 0, 0)
PLAIN(prlimit64, neighbour, RLIMIT_CPU, NULL, NULL)
PLAIN(setpriority, 0, 0, 19)
PLAIN(setuid, 0)
PLAIN(setresuid, 0, 0, 0)
PLAIN(capset, NULL, NULL)
PLAIN(seccomp, 0, 0, NULL)
PLAIN(bpf, BPF_PROG_LOAD, NULL, 0)
PLAIN(perf_event_open, NULL, 0, -1, -1, 0)
PLAIN(userfaultfd, 0)
PLAIN(io_uring_setup, 1, NULL)
PLAIN(keyctl, 0, 0, 0, 0, 0)
PLAIN(shmget, 0, 4096, 0600)
PLAIN(ioctl, CONTROL, FIONREAD, NULL)
PLAIN(dup, CONTROL)
PLAIN(dup2, CONTROL, 2)
PLAIN(poll, NULL, 0, 0)
PLAIN(getdents64, CONTROL, NULL, 0)
PLAIN(pkey_mprotect, NULL, 0, PROT_READ, -1)
PLAIN(process_madvise, CONTROL, NULL, 0, 0, 0)
PLAIN(vmsplice, CONTROL, NULL, 0, 0)

static void try_process_vm_readv(pid_t neighbour)
{
	char copy[sizeof secret];
	struct iovec to = {copy, sizeof copy}, from = {secret, sizeof secret};

	syscall(SYS_process_vm_readv, neighbour, &to, 1, &from, 1, 0);
}

static void try_process_vm_writev(pid_t neighbour)
{
	struct iovec from = {secret, sizeof secret}, to = from;

	syscall(SYS_process_vm_writev, neighbour, &from, 1, &to, 1, 0);
}

static void try_mmap_exec(pid_t neighbour)
{
	syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void try_mprotect_exec(pid_t neighbour)
{
	syscall(SYS_mprotect, (uintptr_t)secret & ~4095ul, 4096, PROT_READ | PROT_EXEC);
}

static void try_madvise_other(pid_t neighbour)
{
	syscall(SYS_madvise, NULL, 0, MADV_MERGEABLE);
}

// A stream socket that is not connected is not to be had here; the filter does not know.
static void try_sendto_address(pid_t neighbour)
{
	syscall(SYS_sendto, CONTROL, "x", 1, 0, &loopback, sizeof loopback);
}

static void try_sendto_fastopen(pid_t neighbour)
{
	syscall(SYS_sendto, CONTROL, "x", 1, MSG_FASTOPEN, NULL, 0);
}

static void try_sendmsg_fastopen(pid_t neighbour)
{
	struct msghdr message = {0};

	syscall(SYS_sendmsg, CONTROL, &message, MSG_FASTOPEN | MSG_NOSIGNAL);
}

static void try_setsockopt_other(pid_t neighbour)
{
	int value = 1;

	syscall(SYS_setsockopt, CONTROL, SOL_SOCKET, SO_SNDBUFFORCE, &value, sizeof value);
}

static void try_setsockopt_fastopen(pid_t neighbour)
{
	int value = 1;

	syscall(SYS_setsockopt, CONTROL, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &value, sizeof value);
}

static void try_getsockopt_other(pid_t neighbour)
{
	syscall(SYS_getsockopt, CONTROL, SOL_SOCKET, SO_PEERCRED, NULL, NULL);
}

// Harmless, but nobody needs it.
static void try_readv(pid_t neighbour)
{
	syscall(SYS_readv, CONTROL, NULL, 0);
}

static void try_setsockopt_nodelay(pid_t neighbour)
{
	syscall(SYS_setsockopt, CONTROL, IPPROTO_TCP, TCP_NODELAY, NULL, 0);
}

static void try_fcntl_setown(pid_t neighbour)
{
	syscall(SYS_fcntl, CONTROL, F_SETOWN, neighbour);
}

static void try_fcntl_async(pid_t neighbour)
{
	syscall(SYS_fcntl, CONTROL, F_SETFL, O_ASYNC);
}

// Whoever holds the same connection would wait in its next call.
static void try_fcntl_block(pid_t neighbour)
{
	syscall(SYS_fcntl, CONTROL, F_SETFL, O_RDWR);
}

static void try_pipe2_direct(pid_t neighbour)
{
	syscall(SYS_pipe2, NULL, O_DIRECT | O_NONBLOCK | O_CLOEXEC);
}

#ifdef __x86_64__
// The 32-bit entry: number 20 is getpid there, writev here.
static void try_int80(pid_t neighbour)
{
	long number = 20;

	__asm__ volatile("int $0x80" : "+a"(number) : : "memory", "r8", "r9", "r10", "r11");
}

// The same numbers with the x32 bit.
static void try_x32_read(pid_t neighbour)
{
	syscall(0x40000000l | SYS_read, CONTROL, NULL, 0);
}
#endif

static void try_nothing(pid_t neighbour) {}

// What a relay lives on. Results do not matter, nor does the kernel's opinion of the descriptor.
static void try_memory(pid_t neighbour)
{
	char *small = malloc(1000), *large = malloc(10 << 20), *larger;

	if (large != NULL)
		memset(large, 1, 10 << 20);
	larger = realloc(large, 20 << 20);
	free(small);
	free(larger != NULL ? larger : large);
}

static void try_pipes(pid_t neighbour)
{
	int pair[2];

	if (pipe2(pair, O_NONBLOCK | O_CLOEXEC) < 0)
		return;
	fcntl(pair[0], F_SETPIPE_SZ, 256 * 1024);
	splice(pair[0], NULL, CONTROL, NULL, 1, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	close(pair[0]);
	close(pair[1]);
}

static void try_socket_calls(pid_t neighbour)
{
	struct sockaddr_storage peer;
	struct linger linger = {1, 0};
	struct msghdr message = {0};
	socklen_t n = sizeof peer;
	int value = 1;

	getpeername(CONTROL, (struct sockaddr *)&peer, &n);
	n = sizeof value;
	getsockopt(CONTROL, SOL_SOCKET, SO_TYPE, &value, &n);
	getsockopt(CONTROL, SOL_SOCKET, SO_ERROR, &value, &n);
	setsockopt(CONTROL, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
	fcntl(CONTROL, F_GETFL);
	recv(CONTROL, &value, sizeof value, MSG_DONTWAIT | MSG_PEEK);
	recvmsg(CONTROL, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	send(-1, "x", 1, MSG_NOSIGNAL | MSG_MORE);
	sendmsg(-1, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	shutdown(-1, SHUT_WR);
}

static void try_waiting(pid_t neighbour)
{
	struct epoll_event event = {.events = EPOLLOUT};
	struct timespec now;
	int fd = epoll_create1(EPOLL_CLOEXEC);

	epoll_ctl(fd, EPOLL_CTL_ADD, CONTROL, &event);
	epoll_wait(fd, &event, 1, 1);
	clock_gettime(CLOCK_BOOTTIME, &now);
	syscall(SYS_clock_gettime, CLOCK_BOOTTIME, &now);
	close(fd);
}

static const struct hostile_try {
	const char *name; // with '!' or '=' in front
	void (*attempt)(pid_t neighbour);
} tries[] = {
#define DIES(name)                    \
	{                             \
		"!" #name, try_##name \
	}
#define LIVES(name)                   \
	{                             \
		"=" #name, try_##name \
	}
// Sanitizer builds have rows for these, see sandbox_rows.h.
#if SANDBOX_SANITIZERS
#define DIES_UNLESS_SANITIZED(name) LIVES(name)
#else
#define DIES_UNLESS_SANITIZED(name) DIES(name)
#endif
	LIVES(nothing),
	LIVES(memory),
	LIVES(pipes),
	LIVES(socket_calls),
	LIVES(waiting),
	DIES_UNLESS_SANITIZED(open),
	DIES_UNLESS_SANITIZED(openat),
	DIES_UNLESS_SANITIZED(dup),
	DIES_UNLESS_SANITIZED(ioctl),
	DIES_UNLESS_SANITIZED(prlimit64),
	DIES_UNLESS_SANITIZED(madvise_other),
	DIES(openat2),
	DIES(creat),
	DIES(name_to_handle_at),
	DIES(unlink),
	DIES(mkdir),
	DIES(chroot),
	DIES(mount),
	DIES(memfd_create),
	DIES(getdents64),
	DIES(socket),
	DIES(socketpair),
	DIES(connect),
	DIES(bind),
	DIES(listen),
	DIES(accept),
	DIES(accept4),
	DIES(sendto_address),
	DIES(sendto_fastopen),
	DIES(sendmsg_fastopen),
	DIES(sendmmsg),
	DIES(setsockopt_other),
	DIES(setsockopt_fastopen),
	DIES(setsockopt_nodelay),
	DIES(readv),
	DIES(getsockopt_other),
	DIES(execve),
	DIES(execveat),
	DIES(fork),
	DIES(vfork),
	DIES(clone),
	DIES(clone3),
	DIES(unshare),
	DIES(setns),
	DIES(ptrace),
	DIES(kill),
	DIES(tkill),
	DIES(tgkill),
	DIES(rt_sigqueueinfo),
	DIES(pidfd_open),
	DIES(pidfd_send_signal),
	DIES(pidfd_getfd),
	DIES(kcmp),
	DIES(process_vm_readv),
	DIES(process_vm_writev),
	DIES(process_madvise),
	DIES(mmap_exec),
	DIES(mprotect_exec),
	DIES(pkey_mprotect),
	DIES(prctl),
	DIES(setpriority),
	DIES(setuid),
	DIES(setresuid),
	DIES(capset),
	DIES(seccomp),
	DIES(bpf),
	DIES(perf_event_open),
	DIES(userfaultfd),
	DIES(io_uring_setup),
	DIES(keyctl),
	DIES(shmget),
	DIES(dup2),
	DIES(poll),
	DIES(vmsplice),
	DIES(fcntl_setown),
	DIES(fcntl_async),
	DIES(fcntl_block),
	DIES_UNLESS_SANITIZED(pipe2_direct),
#ifdef __x86_64__
	DIES(int80),
	DIES(x32_read),
#endif
};

static bool say(const char *text)
{
	return send(CONTROL, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text);
}

static int serve(void)
{
	struct request request;

	while (read(CONTROL, &request, sizeof request) == sizeof request) {
		if (request.number >= ARRAY_SIZE(tries)) {
			if (!say("end"))
				return 1;
			continue;
		}
		if (!say(tries[request.number].name))
			return 1;
		tries[request.number].attempt(request.neighbour);
		if (!say("survived"))
			return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct seal_args args;
	const char *where = "";
	unsigned reached;
	int r;

	if (seal_args_parse(&args, argc, argv) < 0)
		return 2;
	r = seal_enter(&relay_seal_profile, &args, &reached, &where);
	if (r < 0) {
		fprintf(stderr, "hostile_relay: %s: %s\n", where, strerror(-r));
		return 2;
	}
	return serve();
}
