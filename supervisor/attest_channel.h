// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The attestor: told what runs and which settings tunnels have, from here and nowhere else, so that
// no other process has a say in what it signs. The document that certifies its key is kept here for
// API workers, and goes on being served while the attestor is replaced.

#pragma once

#include "certificate.h"
#include "child.h"
#include "code.h"
#include "tunnels.h"

enum {
	TLS_KEYS_TEXT_MAX = 4096,
	ATTEST_RECEIPT_MS = 5000, // longest wait of a tunnel's end for its receipt
	CERTIFICATES_KEPT = 16,   // of attestors that are no more, for receipts not stored yet
};

struct attest {
	struct child child;
	struct certificate *certificate; // the last that was told; NULL: none yet
	struct certificate incoming;
	uint32_t certified_by;         // the attestor (its epoch) that told it
	size_t n_certificates;         // that receipts refer to, and this one
	struct tunnels_cursor signing; // the next tunnel that needs a receipt
	struct log_limit guests;       // connections to the guest service
	struct log_limit quotes;       // for the certificate of our own
	struct log_limit collateral;   // connections to where that is
};

void attest_init(struct attest *attest, struct supervisor *supervisor);
// Starts it, unless attestation = off.
void attest_start(struct attest *attest);

// Asks for a statement about a tunnel that is live, with a NONCE of NONCE_MIN to NONCE_MAX bytes,
// for the API worker of EPOCH; api_statement() follows. Returns CODE_NONE, or why not.
enum code attest_statement(struct attest *attest, const struct tunnel *tunnel, uint32_t epoch,
	uint64_t request, struct span nonce);
// Asks for a quote about NONCE; api_fresh_quote() follows. Returns CODE_NONE, or why not.
enum code attest_fresh(struct attest *attest, uint32_t epoch, uint64_t request, struct span nonce);

// The keys that TLS ends with are others: the instance statement is made and quoted anew.
void attest_keys_changed(struct attest *attest);

// Has receipts signed for tunnels in LIST_SIGNING, once it is known what certifies them;
// tunnel_signed() follows for each.
void attest_tell(struct attest *attest);
