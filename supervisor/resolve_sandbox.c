// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What the resolver may do: everything getaddrinfo() needs, for the few seconds of one name. It is
// the one role with socket() and connect(), so it holds nothing: no listener, no channel but its
// own, no folder, and an own uid where there are any. It cannot start, trace or signal a process,
// and local sockets (AF_UNIX) stay out of its reach.
//
// The rows were found by tracing glibc 2.36 with the look-up set to "files dns" by
// __nss_configure_lookup(): that keeps it from loading further modules, which would need executable
// mappings, and from asking nscd for the name. When a name has several addresses it asks nscd all
// the same, whether the machine's own have changed, if that has IPv6 addresses beyond the loopback:
// AF_UNIX is refused with an error, after which it does without.
//
// Compiled twice: with SANDBOX_TABLE for sandbox_compile, and into the role with what that made.

#include "sandbox_rows.h"

#ifdef SANDBOX_TABLE

#include <linux/netlink.h>
#include <sys/ioctl.h>

const char sandbox_role[] = "resolve";

#define SOCKET_FLAGS (SOCK_CLOEXEC | SOCK_NONBLOCK)

// clang-format off
const struct sandbox_rule sandbox_rules[] = {
	{"socket", "IPv4: name servers, and which source address a route would use",
		{ARG_INT(0, AF_INET), ARG_INT_WITH(1, SOCK_DGRAM, SOCKET_FLAGS)}},
	{"socket", "IPv4: a name server's long answer",
		{ARG_INT(0, AF_INET), ARG_INT_WITH(1, SOCK_STREAM, SOCKET_FLAGS)}},
	{"socket", "IPv6: name servers, and which source address a route would use",
		{ARG_INT(0, AF_INET6), ARG_INT_WITH(1, SOCK_DGRAM, SOCKET_FLAGS)}},
	{"socket", "IPv6: a name server's long answer",
		{ARG_INT(0, AF_INET6), ARG_INT_WITH(1, SOCK_STREAM, SOCKET_FLAGS)}},
	{"socket", "netlink: which addresses this machine has",
		{ARG_INT(0, AF_NETLINK), ARG_INT_WITH(1, SOCK_RAW, SOCKET_FLAGS),
			ARG_INT(2, NETLINK_ROUTE)}},
	{"socket", "local sockets: glibc looks for nscd, and goes on without it",
		{ARG_INT(0, AF_UNIX)}, EAFNOSUPPORT},
	{"bind", "netlink: an address for the answer"},
	{"getsockname", "netlink: that address; and a route's source address"},
	{"connect", "to name servers; datagram sockets to candidates, for the route alone"},
	SANDBOX_SETSOCKOPT(IPPROTO_IP, IP_RECVERR, "a name server that refuses is noticed"),
	SANDBOX_SETSOCKOPT(IPPROTO_IPV6, IPV6_RECVERR, "a name server that refuses is noticed"),
	{"sendto", "questions"},
	{"sendmsg", "questions; the result"},
	{"sendmmsg", "questions for IPv4 and IPv6 addresses in one call"},
	{"recvfrom", "answers"},
	{"recvmsg", "answers; the supervisor's request"},
	{"poll", "waits for an answer"},
	{"epoll_wait", "event loop"},
	{"epoll_ctl", "event loop"},
	{"epoll_create1", "event loop, made once", {ARG_INT(0, EPOLL_CLOEXEC)}},
	{"read", "files; a name server's long answer"},
	{"write", "the same, questions"},
	{"writev", "the same, questions"},
	{"close", "end of a question"},
	{"lseek", "files, from the start again"},
	{"uname", "the default search domain is the host name's"},
	{"openat", "resolv.conf, hosts, host.conf, gai.conf; Landlock names them"},
	{"newfstatat", "whether resolv.conf has changed; size of files"},
	{"ioctl", "FIONREAD: size of an answer", {ARG_INT(1, FIONREAD)}},
	{"futex", "glibc's initialisation"},
	{"getpid", "glibc before 2.37: question numbers"},
	SANDBOX_ROWS_MEMORY,
	SANDBOX_ROWS_PROCESS,
	SANDBOX_ROWS_SANITIZERS
};
// clang-format on

const size_t sandbox_n_rules = ARRAY_SIZE(sandbox_rules);

#else

#include "resolve_sandbox.h"

#include <resolve_filter.h>

static const struct seal_limit limits[] = {
	{RLIMIT_CORE, 0, "no core file"},
	{RLIMIT_NPROC, 0, "no second process"},
	{RLIMIT_MEMLOCK, 0, "no locked memory"},
	{RLIMIT_NOFILE, 32, "one question at a time"},
	{RLIMIT_CPU, 5, "one name"},
#if !SANDBOX_SANITIZERS // their shadow memory counts as data, their reports may go to a file
	{RLIMIT_FSIZE, 0, "no file grows"},
	{RLIMIT_DATA, 64ul << 20, "one name's answers"},
#endif
};

// The folders are those resolv.conf is usually a symbolic link into.
static const char *const readable[] = {
	"/etc/resolv.conf",
	"/etc/hosts",
	"/etc/host.conf",
	"/etc/gai.conf",
	"/run/systemd/resolve",
	"/run/resolvconf",
	"/run/NetworkManager",
	NULL,
};

const struct seal_profile resolve_seal_profile = {
	.role = "resolve",
	.limits = limits,
	.n_limits = ARRAY_SIZE(limits),
	.readable = readable,
	.connects = true,
	.filter = sandbox_filter,
	.n_filter = ARRAY_SIZE(sandbox_filter),
};

SANDBOX_SANITIZER_OPTIONS

#endif
