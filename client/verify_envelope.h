// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The verification of a served document: that its quote certifies the instance key, and that this
// key speaks about what was asked.

#pragma once

#include "envelope.h"
#include "verify.h"

// What the document is to be an answer to. What is not there cannot be compared, and that is a
// failure.
struct envelope_question {
	bool connected; // asked over a connection of our own...
	bool has_spki;  // ...which is TLS, and ended at a key with this hash
	uint8_t spki_sha256[SHA256_SIZE];
	struct span nonce;  // hex, as asked; absent: none
	struct span tunnel; // id; absent: the instance is asked for
	bool fresh;         // a fresh quote was asked for
};

// Makes all checks of the document TEXT, whose parts stay in ENVELOPE. VERIFICATION has its root,
// time, policy and, if the user gave one, collateral. HOLD keeps what VERIFICATION points to.
struct envelope_hold {
	uint8_t report_data[REPORT_DATA_SIZE];
	struct collateral collateral;
	bool has_collateral;
};
void verify_envelope(struct verification *verification, struct envelope *envelope,
	struct envelope_hold *hold, struct span text, const struct envelope_question *question);
void envelope_hold_deinit(struct envelope_hold *hold);
