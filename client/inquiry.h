// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Evidence asked of a server, over a connection of our own that trusts nobody: whether the other
// end is the one the evidence is about is for the evidence to show.

#pragma once

#include "http.h"
#include "tunnel_ref.h"
#include "verify_envelope.h"

enum { NONCE_SIZE = 32 };

struct inquiry {
	struct envelope_question question; // points into this struct
	unsigned status;                   // of the answer
	char *text;                        // its body
	struct span document;
	// Private.
	char nonce[2 * NONCE_SIZE + 1];
	char tunnel[TUNNEL_ID_SIZE];
};

// Asks the server of ROUTE (its trust is not used) about TUNNEL, or about the instance when that is
// absent, with a random nonce; FRESH asks for a quote made for it. Returns 0, an exit code with its
// sentence, or a negative errno. inquiry_deinit() is needed in any case.
int inquiry_make(struct inquiry *inquiry, const struct route *route, struct span tunnel, bool fresh,
	struct failure *failure) WARN_UNUSED;
void inquiry_deinit(struct inquiry *inquiry);

// Verifies the answer.
void inquiry_verify(const struct inquiry *inquiry, struct verification *verification,
	struct envelope *envelope, struct envelope_hold *hold);
