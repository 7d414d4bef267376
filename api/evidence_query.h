// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What is asked of an attestation address behind its `?`: nonce and fresh.

#pragma once

#include "findings.h"
#include "messages.h"

struct evidence_query {
	size_t n; // bytes of the nonce, 0: none was sent
	uint8_t nonce[NONCE_MAX];
	bool fresh;
	char summary[FINDINGS_SUMMARY_SIZE]; // FINDINGS_INVALID
};

// Reads TEXT. With NEEDED a nonce has to be there; without, it has to be for fresh=1 and for
// nothing else. Returns FINDINGS_NONE, FINDINGS_INVALID with SAID (empty before), or -ENOMEM.
int evidence_query_parse(
	struct evidence_query *query, struct span text, bool needed, struct buf *said) WARN_UNUSED;
