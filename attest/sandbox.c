// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What the attestor may do: speak with the supervisor, and over the connections it is handed with
// the guest service and with the server of `collateral`. It has no call that makes a socket or
// connects one, opens a file, or starts or signals a process. Its key is made before it seals
// itself, from getrandom(); signing needs memory and nothing else.
//
// Compiled twice: with SANDBOX_TABLE for sandbox_compile, and into the role with what that made.

#include "common/sandbox_rows.h"

#ifdef SANDBOX_TABLE

const char sandbox_role[] = "attest";

// clang-format off
const struct sandbox_rule sandbox_rules[] = {
	SANDBOX_ROWS_SOCKETS,
	SANDBOX_ROWS_MEMORY,
	SANDBOX_ROWS_PROCESS,
	SANDBOX_ROWS_SANITIZERS
};
// clang-format on

const size_t sandbox_n_rules = ARRAY_SIZE(sandbox_rules);

#else

#include "attest/sandbox.h"

#include <attest_filter.h>

static const struct seal_limit limits[] = {
	{RLIMIT_CORE, 0, "the key stays out of core files"},
	{RLIMIT_NPROC, 0, "no second process"},
	{RLIMIT_MEMLOCK, 0, "no locked memory"},
	{RLIMIT_NOFILE, 32,
		"standard streams, epoll, channel, a connection to the guest service and one for collateral"},
#if !SANDBOX_SANITIZERS // their shadow memory counts as data, their reports may go to a file
	{RLIMIT_FSIZE, 0, "no file grows"},
	{RLIMIT_DATA, 256ul << 20, "no answer of the guest service can take the machine's memory"},
#endif
};

const struct seal_profile attest_seal_profile = {
	.role = "attest",
	.limits = limits,
	.n_limits = ARRAY_SIZE(limits),
	.filter = sandbox_filter,
	.n_filter = ARRAY_SIZE(sandbox_filter),
};

SANDBOX_SANITIZER_OPTIONS

#endif
