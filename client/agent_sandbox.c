// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// A program of the user's own, on the user's machine, that strangers reach through a tunnel: what
// it does not need once it serves is given up, so that a mistake in it leads to as little as
// possible. It runs as its user, so files are the thing to take away: it reads what looking up
// names needs, and writes nothing.
//
// Compiled twice: with SANDBOX_TABLE for sandbox_compile, and into the client with what that made.

#include "common/sandbox_rows.h"

#ifdef SANDBOX_TABLE

#include <linux/netlink.h>
#include <linux/sched.h>
#include <sys/ioctl.h>

const char sandbox_role[] = "agent";

#define SOCKET_FLAGS (SOCK_CLOEXEC | SOCK_NONBLOCK)

// clang-format off
const struct sandbox_rule sandbox_rules[] = {
	SANDBOX_ROWS_SOCKETS,
	{"socket", "IPv4: the server, the target, name servers",
		{ARG_INT(0, AF_INET), ARG_INT_WITH(1, SOCK_STREAM, SOCKET_FLAGS)}},
	{"socket", "IPv6: the server, the target, name servers",
		{ARG_INT(0, AF_INET6), ARG_INT_WITH(1, SOCK_STREAM, SOCKET_FLAGS)}},
	{"socket", "IPv4: name servers, and which source address a route would use",
		{ARG_INT(0, AF_INET), ARG_INT_WITH(1, SOCK_DGRAM, SOCKET_FLAGS)}},
	{"socket", "IPv6: name servers, and which source address a route would use",
		{ARG_INT(0, AF_INET6), ARG_INT_WITH(1, SOCK_DGRAM, SOCKET_FLAGS)}},
	{"socket", "local sockets: a target, and services that look up names",
		{ARG_INT(0, AF_UNIX)}},
	{"socket", "netlink: which addresses this machine has",
		{ARG_INT(0, AF_NETLINK), ARG_INT_WITH(1, SOCK_RAW, SOCKET_FLAGS),
			ARG_INT(2, NETLINK_ROUTE)}},
	{"socketpair", "the built-in demo", {ARG_INT(0, AF_UNIX)}},
	{"accept4", "tunnel connect: programs of this machine, at the port it listens on"},
	{"connect", "the server, targets, name servers"},
	{"bind", "netlink: an address for the answer; nothing can listen"},
	{"getsockname", "netlink: that address; and a route's source address"},
	SANDBOX_SETSOCKOPT(IPPROTO_TCP, TCP_NODELAY, "small messages leave at once"),
	SANDBOX_SETSOCKOPT(IPPROTO_TCP, TCP_NOTSENT_LOWAT,
		"an answer does not wait in the kernel behind the bytes of others"),
	SANDBOX_SETSOCKOPT(SOL_SOCKET, SO_KEEPALIVE, "peers that vanish are noticed"),
	SANDBOX_SETSOCKOPT(SOL_SOCKET, SO_OOBINLINE, "urgent bytes stay in the stream"),
	SANDBOX_SETSOCKOPT(IPPROTO_IP, IP_RECVERR, "a name server that refuses is noticed"),
	SANDBOX_SETSOCKOPT(IPPROTO_IPV6, IPV6_RECVERR, "a name server that refuses is noticed"),
	{"sendto", "netlink: the question which addresses there are", {ARG_INT(3, 0)}},
	{"sendmmsg", "questions for IPv4 and IPv6 addresses in one call"},
	{"poll", "waits for name servers; whether lines can be written"},
	{"ppoll", "the same"},
	{"ioctl", "FIONREAD: size of an answer", {ARG_INT(1, FIONREAD)}},
	{"ioctl", "TCGETS: whether a standard stream is a terminal", {ARG_INT(1, TCGETS)}},
	{"ioctl", "TIOCGWINSZ: how wide it is", {ARG_INT(1, TIOCGWINSZ)}},
	{"openat", "reads what looking up names needs; writes nothing",
		{ARG_BITS(2, O_CLOEXEC | O_NONBLOCK | O_DIRECTORY | O_NOFOLLOW | O_LARGEFILE)}},
	{"newfstatat", "files"},
	{"fstat", "files"},
	{"statx", "files"},
	{"access", "files"},
	{"readlink", "files"},
	{"lseek", "files"},
	{"pread64", "files"},
	{"getdents64", "folders"},
	{"fcntl", "F_GETFL, F_SETFL: descriptors of name services", {ARG_INT(1, F_GETFL)}},
	{"fcntl", "F_SETFL", {ARG_INT(1, F_SETFL)}},
	{"fcntl", "F_SETFD", {ARG_INT(1, F_SETFD)}},
	{"mmap", "shared libraries of name services, which are loaded when first asked",
		{ARG_BITS(2, PROT_READ | PROT_EXEC)}},
	{"mprotect", "stacks of threads, relocations; nothing becomes executable",
		{ARG_BITS(2, PROT_READ | PROT_WRITE)}},
	{"clone3", "threads; what it would do cannot be checked, so clone is used", {{0}}, ENOSYS},
	{"clone", "threads that look up names, no processes",
		{{.index = 0, .compare = SANDBOX_MASKED, .value = CLONE_THREAD, .mask = CLONE_THREAD}}},
	{"set_robust_list", "threads"},
	{"rseq", "threads"},
	{"exit", "threads"},
	{"futex", "threads"},
	{"sched_getaffinity", "malloc: how many arenas"},
	{"gettid", "threads"},
	{"getpid", "glibc: question numbers"},
	{"getuid", "name services"},
	{"geteuid", "name services"},
	{"getgid", "name services"},
	{"getegid", "name services"},
	{"uname", "the default search domain is the host name's"},
	{"sysinfo", "glibc: memory for sorting"},
	{"eventfd2", "a look-up says that it is done"},
	{"rt_sigaction", "threads; signals go back to what they do by themselves"},
	{"rt_sigprocmask", "threads; signals go back to what they do by themselves"},
	{"rt_sigreturn", "return from a handler"},
	{"prlimit64", "reads how large stacks are; sets nothing", {ARG_NULL(2)}},
	SANDBOX_ROWS_MEMORY,
	SANDBOX_ROWS_PROCESS,
	SANDBOX_ROWS_SANITIZERS
};
// clang-format on

const size_t sandbox_n_rules = ARRAY_SIZE(sandbox_rules);

#else

#include "agent_sandbox.h"
#include "seal_landlock.h"

#include <agent_filter.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>

// Programs and shared libraries can be read but not run or changed.
static const char *const readable[] = {
	"/etc",
	"/usr/lib",
	"/usr/lib64",
	"/usr/share/zoneinfo",
	"/lib",
	"/lib64",
	"/run/systemd/resolve",
	"/run/resolvconf",
	"/run/NetworkManager",
	"/proc/self",
	"/sys/devices/system/cpu",
	NULL,
};

static int enter_seccomp(void)
{
	const struct sock_fprog program = {
		.len = ARRAY_SIZE(sandbox_filter),
		// The kernel only reads it; its structure has no const.
		.filter = (struct sock_filter *)(uintptr_t)sandbox_filter,
	};
	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0,
		    &(uint32_t){SECCOMP_RET_KILL_PROCESS}) < 0)
		return 0;
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) != 0)
		return -errno;
	return 0;
}

int agent_sandbox_enter(void)
{
	const struct seal_landlock_rules rules = {
		.work_fd = -1, .readable = readable, .connects = true};
	tzset(); // read now what it will need
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	int r = seal_landlock_enter(&rules);
	return r < 0 ? r : enter_seccomp();
}

SANDBOX_SANITIZER_OPTIONS

#endif
