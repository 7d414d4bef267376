// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// A role's system calls as a table with a reason for each. Read by people, and at build time by
// sandbox_compile.c, which turns the table into BPF with libseccomp, so that no role links it.

#pragma once

#include "util.h"

enum sandbox_compare {
	SANDBOX_ANY = 0,
	SANDBOX_EQ,     // argument == value
	SANDBOX_MASKED, // (argument & mask) == value
};

// Up to three conditions on arguments, all of which must hold. Several rows for one call: any may
// match.
struct sandbox_arg {
	unsigned index; // 0-based argument
	enum sandbox_compare compare;
	uint64_t value;
	uint64_t mask;
};

struct sandbox_rule {
	const char *call; // name of the system call
	const char *why;  // shown to auditors
	struct sandbox_arg args[3];
	// 0: allowed. Else the call is not made and fails with this errno: for what a library tries
	// and can do without.
	int error;
};

// Every role defines these in its sandbox.c. Whatever no row allows kills the process.
extern const struct sandbox_rule sandbox_rules[];
extern const size_t sandbox_n_rules;
extern const char sandbox_role[];
