// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What an edge may do: accept from listeners it was handed, speak TLS, move the decrypted bytes
// over socket pairs it makes. It has no call that makes any other socket or connects one, opens a
// file, or starts or signals a process.
//
// Compiled twice: with SANDBOX_TABLE for sandbox_compile, and into the role with what that made.

#include "common/sandbox_rows.h"

#ifdef SANDBOX_TABLE

#include <linux/futex.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

const char sandbox_role[] = "edge";

// clang-format off
const struct sandbox_rule sandbox_rules[] = {
	SANDBOX_ROWS_SOCKETS,
	{"accept4", "visitors, from the listeners held", {ARG_INT(3, SOCK_NONBLOCK | SOCK_CLOEXEC)}},
	{"socketpair", "the way of a decrypted stream to a gate; unnamed, so it reaches nobody else",
		{ARG_INT(0, AF_UNIX), ARG_INT(1, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC), ARG_INT(2, 0)}},
	{"ioctl", "SIOCOUTQ: whether the last bytes have left before a connection ends in order",
		{ARG_INT(1, SIOCOUTQ)}},
	SANDBOX_SETSOCKOPT(IPPROTO_TCP, TCP_USER_TIMEOUT,
		"a visitor who takes nothing of a last answer is let go"),
	{"pread64", "the keys that were handed to it"},
	{"getpid", "OpenSSL asks for it before each use of its random numbers"},
	{"futex", "FUTEX_WAKE: OpenSSL does something for the first time, and tells threads there are none of",
		{ARG_INT(1, FUTEX_WAKE_PRIVATE)}},
	SANDBOX_ROWS_MEMORY,
	SANDBOX_ROWS_PROCESS,
	SANDBOX_ROWS_SANITIZERS
};
// clang-format on

const size_t sandbox_n_rules = ARRAY_SIZE(sandbox_rules);

#else

#include "edge/sandbox.h"

#include <edge_filter.h>

static const struct seal_limit limits[] = {
	{RLIMIT_CORE, 0, "the key and visitors' bytes stay out of core files"},
	{RLIMIT_NPROC, 0, "no second process"},
	{RLIMIT_MEMLOCK, 0, "no locked memory"},
	{RLIMIT_NOFILE, SEAL_EDGE_DESCRIPTORS, "two for each visitor"},
#if !SANDBOX_SANITIZERS // their shadow memory counts as data, their reports may go to a file
	{RLIMIT_FSIZE, SEAL_KEY_SIZE, "no file grows, but the memory file of a new key"},
	{RLIMIT_DATA, 2ul << 30, "visitors cannot take the machine's memory"},
#endif
};

const struct seal_profile edge_seal_profile = {
	.role = "edge",
	.limits = limits,
	.n_limits = ARRAY_SIZE(limits),
	.filter = sandbox_filter,
	.n_filter = ARRAY_SIZE(sandbox_filter),
};

SANDBOX_SANITIZER_OPTIONS

#endif
