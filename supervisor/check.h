// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// `tunneld --check`: what this machine offers to the sandbox, and what is lost without it.

#pragma once

#include "util.h"

#include <stdio.h>
#include <sys/types.h>

struct check_wishes {
	uid_t uid_base;       // relay_uid_base
	uint32_t n_relays;    // at once, as the configuration allows
	uint64_t descriptors; // RLIMIT_NOFILE that the configuration may use
};

// Tries each thing where that is possible, in processes of its own, and prints a line for each:
// "ok|missing|degraded", what, consequence. `missing` is what `sandbox = require` refuses to run
// without, `degraded` what it runs without. Returns 0 when nothing is missing, else 1.
int check_print(FILE *out, const struct check_wishes *wishes) WARN_UNUSED;
