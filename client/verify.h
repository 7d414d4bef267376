// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The verification of a quote and of what lies beside it, step by step: what one of Intel's
// processors signed, whether that processor is known to be sound, what runs on it, and for what the
// quote was made. Every check's outcome goes into the verdict by name.

#pragma once

#include "collateral.h"
#include "evidence.h"
#include "policy.h"
#include "verdict.h"

struct verification {
	// What is asked; all borrowed.
	const struct evidence *evidence;
	X509 *root;                          // trust anchor
	bool root_is_intel;                  // it is the built-in one
	int64_t at;                          // seconds since the epoch
	const struct collateral *collateral; // NULL: there is none
	const struct policy *policy;
	// What report_data has to be, 64 bytes; absent: it is not compared.
	struct span report_data;
	// An instance is verified: event log, app-compose and policy are needed too.
	bool whole;

	// What was found.
	struct verdict verdict;
	bool is_quote; // `quote` is there
	struct quote quote;
	STACK_OF(X509) * pck_chain; // NULL: there is none
	bool has_platform;
	struct sgx_extension platform;
};

void verification_init(struct verification *verification);
void verification_deinit(struct verification *verification);

// Makes all checks of a quote.
void verify_quote(struct verification *verification);

// "rejected", a TCB status or "authentic-no-tcb" is verdict_word(); this is whether it is enough:
// nothing failed, the status is known and the policy accepts it.
bool verification_accepted(const struct verification *verification);
