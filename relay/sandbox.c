// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What a relay may do: move bytes between the descriptors it was handed, and nothing else. It has
// no call that makes a socket, opens a file, starts or signals a process, or maps executable
// memory.
//
// Compiled twice: with SANDBOX_TABLE for sandbox_compile, and into the role with what that made.

#include "common/sandbox_rows.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>

#ifdef SANDBOX_TABLE

const char sandbox_role[] = "relay";

// clang-format off
const struct sandbox_rule sandbox_rules[] = {
	SANDBOX_ROWS_SOCKETS,
	{"splice", "bodies move between sockets without being copied"},
	{"pipe2", "what splice moves bodies through", {ARG_INT(1, O_NONBLOCK | O_CLOEXEC)}},
	{"fcntl", "F_SETPIPE_SZ: a pipe is enlarged for a bulk transfer", {ARG_INT(1, F_SETPIPE_SZ)}},
	{"ioctl", "SIOCOUTQ: whether the last answer has left before its connection ends in order",
		{ARG_INT(1, SIOCOUTQ)}},
	SANDBOX_SETSOCKOPT(IPPROTO_TCP, TCP_NOTSENT_LOWAT,
		"a stream of an agent does not wait in the kernel behind the bytes of others"),
	{"prlimit64", "reads how many descriptors it may hold; sets nothing",
		{ARG_INT(0, 0), ARG_NULL(2)}},
	SANDBOX_ROWS_MEMORY,
	SANDBOX_ROWS_PROCESS,
	SANDBOX_ROWS_SANITIZERS
};
// clang-format on

const size_t sandbox_n_rules = ARRAY_SIZE(sandbox_rules);

#else

#include "relay/sandbox.h"

#include <relay_filter.h>

static const struct seal_limit limits[] = {
	{RLIMIT_CORE, 0, "visitors' bytes stay out of core files"},
	{RLIMIT_NPROC, 0, "no second process"},
	{RLIMIT_MEMLOCK, 0, "no locked memory"},
	{RLIMIT_NOFILE, 16384, "visitors, backends and pipes of one tunnel"},
#if !SANDBOX_SANITIZERS // their shadow memory counts as data, their reports may go to a file
	{RLIMIT_FSIZE, 0, "no file grows"},
	{RLIMIT_DATA, 512ul << 20, "one tunnel cannot take the machine's memory"},
#endif
};

const struct seal_profile relay_seal_profile = {
	.role = "relay",
	.limits = limits,
	.n_limits = ARRAY_SIZE(limits),
	.filter = sandbox_filter,
	.n_filter = ARRAY_SIZE(sandbox_filter),
};

SANDBOX_SANITIZER_OPTIONS

#endif
