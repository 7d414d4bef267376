// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What a gate may do: accept from listeners it was handed, read a request head, pass the connection
// on. It has no call that makes a socket or connects one, opens a file, or starts or signals a
// process.
//
// Compiled twice: with SANDBOX_TABLE for sandbox_compile, and into the role with what that made.

#include "common/sandbox_rows.h"

#ifdef SANDBOX_TABLE

const char sandbox_role[] = "gate";

// clang-format off
const struct sandbox_rule sandbox_rules[] = {
	SANDBOX_ROWS_SOCKETS,
	{"accept4", "visitors, from the listeners held", {ARG_INT(3, SOCK_NONBLOCK | SOCK_CLOEXEC)}},
	SANDBOX_ROWS_MEMORY,
	SANDBOX_ROWS_PROCESS,
	SANDBOX_ROWS_SANITIZERS
};
// clang-format on

const size_t sandbox_n_rules = ARRAY_SIZE(sandbox_rules);

#else

#include "gate/sandbox.h"

#include <gate_filter.h>

static const struct seal_limit limits[] = {
	{RLIMIT_CORE, 0, "request heads stay out of core files"},
	{RLIMIT_NPROC, 0, "no second process"},
	{RLIMIT_MEMLOCK, 0, "no locked memory"},
	{RLIMIT_NOFILE, SEAL_GATE_DESCRIPTORS,
		"listeners, channels of all tunnels, connections whose head is read"},
#if !SANDBOX_SANITIZERS // their shadow memory counts as data, their reports may go to a file
	{RLIMIT_FSIZE, 0, "no file grows"},
	{RLIMIT_DATA, 1ul << 30, "slow heads cannot take the machine's memory"},
#endif
};

const struct seal_profile gate_seal_profile = {
	.role = "gate",
	.limits = limits,
	.n_limits = ARRAY_SIZE(limits),
	.filter = sandbox_filter,
	.n_filter = ARRAY_SIZE(sandbox_filter),
};

SANDBOX_SANITIZER_OPTIONS

#endif
