// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The gate before every byte of the user's: whoever serves or connects asks for the evidence of the
// server first, and from then on has connections only to a key of the instance that was verified.
//
// A key, not a connection, is what the evidence speaks of: it never leaves the instance. So the
// evidence may come over a connection of its own; every other one is let through by its key, which
// the handshake proves before anything is sent (TLS_CHECK_KEYS). Whoever uses the gate opens
// connections by ->route and no other way.

#pragma once

#include "settings.h"
#include "verify_inputs.h"

enum attest_mode {
	ATTEST_REQUIRE, // no evidence, no connection
	ATTEST_WARN,    // say what is missing and go on
	ATTEST_OFF,     // do not ask
};

struct attest_gate {
	enum attest_mode mode;
	struct route route; // to be used from attest_gate_open() on
	// Private.
	const struct settings *settings;
	struct verify_inputs inputs;
	struct tls_trust *trust;
};

// By what SETTINGS, made from INVOCATION, says of --attest, --policy and --collateral, and by
// --root-ca; if nothing says otherwise, evidence is required of every server that is not on this
// machine. SETTINGS has to live on. Returns 0, EXIT_CODE_USAGE
// with its sentence, or a negative errno; attest_gate_deinit() is needed in any case.
int attest_gate_init(struct attest_gate *gate, const struct invocation *invocation,
	const struct settings *settings, struct failure *failure) WARN_UNUSED;
void attest_gate_deinit(struct attest_gate *gate);

// Asks for evidence about the instance, or about TUNNEL (an id) when that is not absent, and
// verifies it; waits for the answer, 30 s at most. To be called before the first connection, again
// for a tunnel that has just been made, and when a connection fails because the key has changed.
// Returns 0, EXIT_CODE_NOT_ATTESTED, EXIT_CODE_UNREACHABLE, or a negative errno. Connections by the
// old ->route may live on; openings have to be over.
int attest_gate_open(
	struct attest_gate *gate, struct span tunnel, struct failure *failure) WARN_UNUSED;

// The options of commands that have a gate.
#define OPTIONS_ATTEST \
	(OPTION_BIT(ATTEST) | OPTION_BIT(POLICY) | OPTION_BIT(COLLATERAL) | OPTION_BIT(ROOT_CA))
