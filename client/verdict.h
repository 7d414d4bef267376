// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What a verification has come to: every check with its outcome and, where it failed, the reason.
//
// A check that was asked for and could not be made has failed. One that was not asked for, or that
// makes no sense after an earlier failure, is left out by name.

#pragma once

#include "tcb.h"

enum check {
	// What the server says (envelope.h)
	CHECK_TEE,
	CHECK_INSTANCE,
	CHECK_TLS_KEY,
	CHECK_SIGNATURE,
	CHECK_NONCE,
	CHECK_TUNNEL,
	CHECK_RELAY,
	// The quote, in the order of verification
	CHECK_FORMAT,
	CHECK_QUOTE_SIGNATURE,
	CHECK_QE_REPORT_DATA,
	CHECK_QE_NOT_DEBUG,
	CHECK_QE_SIGNER,
	CHECK_PCK_PRESENT,
	CHECK_PCK_CHAIN,
	CHECK_ROOT_IS_INTEL,
	CHECK_SGX_EXTENSION,
	CHECK_QE_REPORT_SIGNATURE,
	CHECK_TCB_INFO,
	CHECK_QE_IDENTITY,
	CHECK_TCB,
	CHECK_TCB_NOT_REVOKED,
	CHECK_TD_NOT_DEBUG,
	CHECK_NO_SERVICE_TD,
	CHECK_TD_ATTRIBUTES,
	CHECK_RTMR3_REPLAY,
	CHECK_BOOT_EVENTS,
	CHECK_COMPOSE_HASH,
	CHECK_REPORT_DATA,
	CHECK_FRESH,
	// What the verifier's own policy accepts (policy.h)
	CHECK_MEASUREMENTS,
	CHECK_APP,
	CHECK_SOCKET_ALONE,
	CHECK_IMAGES,
	CHECK_COMPONENTS,
	CHECK_SOURCE,
	CHECKS
};

enum check_state {
	CHECK_LEFT_OUT = 0,
	CHECK_PASSED,
	CHECK_FAILED,
};

struct verdict {
	struct {
		enum check_state state;
		struct why why;
	} checks[CHECKS];
	bool has_tcb; // the platform's status is known
	struct tcb tcb;
};

void verdict_deinit(struct verdict *verdict);

const char *check_name(enum check check);
// What it shows when it passes.
const char *check_meaning(enum check check);
const char *check_state_name(enum check_state state);

// Notes an outcome: PASSED, or failed because of WHY. Returns PASSED.
bool verdict_set(struct verdict *verdict, enum check check, bool passed, const struct why *why);
// Why it is left out; for people.
void verdict_leave_out(struct verdict *verdict, enum check check, const char *why);
// A failure that needs no more than a text.
void verdict_fail(struct verdict *verdict, enum check check, const char *why);

// Whether any check failed.
bool verdict_rejected(const struct verdict *verdict);
// "rejected"; else the TCB status; else "authentic-no-tcb".
const char *verdict_word(const struct verdict *verdict);
