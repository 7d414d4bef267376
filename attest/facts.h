// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What the supervisor says about this instance, and the instance statement that is made of it:
//
//     {"type":"tunneld-instance/1","instance_key":HEX,
//      "tls":[{"listener":TEXT,"spki_sha256":HEX,"from_file":true}],
//      "components":[{"name":TEXT,"sha256":HEX,"seccomp_sha256":HEX|null}],
//      "source":{"version":TEXT,"commit":TEXT,"tree_sha256":HEX},"config_sha256":HEX,
//      "started_at":TIME}
//
// Compact, members in this order; no from_file where the key was made here. docs/attestation.md
// says what each means.

#pragma once

#include "buf.h"
#include "clock.h"
#include "signer.h"
#include "wire.h"

#define INSTANCE_TYPE "tunneld-instance/1"

enum { FACTS_COMPONENTS_MAX = 64, FACTS_TLS_MAX = 64, FACTS_NAME_MAX = 64, DIGEST_SIZE = 32 };

struct facts {
	char version[65], commit[81], tree_sha256[65];
	uint8_t config_sha256[DIGEST_SIZE];
	int64_t started_at;        // seconds since the epoch
	struct instant started_on; // the same moment
	struct fact_component {
		char name[FACTS_NAME_MAX + 1];
		uint8_t sha256[DIGEST_SIZE];
		bool filtered; // has a filter
		uint8_t seccomp_sha256[DIGEST_SIZE];
	} components[FACTS_COMPONENTS_MAX];
	size_t n_components;
	struct fact_tls {
		char listener[FACTS_NAME_MAX + 1];
		uint8_t spki_sha256[DIGEST_SIZE];
		bool from_file; // others may have it
	} tls[FACTS_TLS_MAX];
	size_t n_tls;
};

// Read ATTEST_SETUP and TLS_KEYS into FACTS. Return 0 or -EBADMSG.
int facts_read(struct facts *facts, const struct wire_value *fields) WARN_UNUSED;
int facts_read_tls(struct facts *facts, struct span keys) WARN_UNUSED;

// The component of that name, or NULL.
const struct fact_component *facts_component(const struct facts *facts, const char *name);

// Appends the instance statement. Returns 0 or a negative errno of buf_add().
int facts_statement(
	struct buf *out, const struct facts *facts, const uint8_t key[SIGNER_KEY_SIZE]) WARN_UNUSED;
