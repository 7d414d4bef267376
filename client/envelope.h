// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The document a tunneld server serves as its evidence:
//
//     {"statement": base64, "signature": hex,
//      "instance": {"statement": base64, "quote": hex|null, "event_log": [...], "app_compose":
//      text,
//                   "collateral": {...}|null},
//      "tee": "tdx"|null, "fresh": {"nonce": hex, "quote": hex, "event_log": [...]}}
//
// The instance statement is what the quote is about; it names the key that signs the outer
// statement, which is about a tunnel, an ended tunnel (a receipt), or the instance itself once
// more. Reading believes nothing.

#pragma once

#include "evidence.h"
#include "json_read.h"

enum {
	ENVELOPE_MAX = EVIDENCE_MAX,
	ENVELOPE_STATEMENT_MAX = 64 << 10,
	INSTANCE_KEY_SIZE = 32, // Ed25519
	ENVELOPE_SIGNATURE_SIZE = 64,
	SHA256_SIZE = 32,
};

enum envelope_kind {
	ENVELOPE_INSTANCE,
	ENVELOPE_TUNNEL,
	ENVELOPE_RECEIPT,
};

// The bytes that were signed or quoted, and what they say.
struct envelope_statement {
	char *text;
	struct span bytes;
	json_t *json;
};

struct envelope {
	json_t *json;
	enum envelope_kind kind;
	struct envelope_statement outer, instance;
	uint8_t signature[ENVELOPE_SIGNATURE_SIZE];
	uint8_t key[INSTANCE_KEY_SIZE];
	struct evidence evidence; // of the instance; without a quote when there is none
	bool has_fresh;
	struct evidence fresh;
	const json_t *collateral; // NULL: none
};

// Returns false when it is not such a document. envelope_deinit() is needed in any case.
bool envelope_read(struct envelope *envelope, struct span text, struct why *why);
void envelope_deinit(struct envelope *envelope);

// Whether the instance key signed the outer statement.
bool envelope_signed(const struct envelope *envelope);
// The instance statement's TLS key with that hash of its SPKI, or NULL.
const json_t *envelope_tls_key(
	const struct envelope *envelope, const uint8_t spki_sha256[SHA256_SIZE]);
// Whether a TLS key of the instance statement is the instance's alone. One from a file the operator
// has too, and may have given away.
bool envelope_key_is_own(const json_t *key);
// The hash of a program of the instance, into SHA256. False: it names no such program.
bool envelope_component(
	const struct envelope *envelope, const char *name, uint8_t sha256[SHA256_SIZE]);
