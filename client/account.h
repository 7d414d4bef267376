// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// A server, the user's token for it, and the way there, which leads through the gate of
// attest_gate.h: the token is shown to nobody who has not passed.

#pragma once

#include "attest_gate.h"

struct account {
	struct settings settings; // as they were read: its route leads to the evidence
	struct attest_gate gate;
	struct settings verified; // the same by the gate's route, for all else; borrows from both
};

// Reads the settings, a token among them, and what the gate needs. Returns 0, EXIT_CODE_USAGE with
// its sentence, or a negative errno; account_close() is needed in any case.
int account_read(struct account *account, const struct invocation *invocation,
	struct failure *failure) WARN_UNUSED;
// Asks for the server's evidence, about TUNNEL (an id) when that is not absent. Returns as
// attest_gate_open() does; only after 0 ->verified may be used.
int account_verify(
	struct account *account, struct span tunnel, struct failure *failure) WARN_UNUSED;
// Both.
int account_open(struct account *account, const struct invocation *invocation,
	struct failure *failure) WARN_UNUSED;
void account_close(struct account *account);
