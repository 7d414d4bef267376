// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The document that certifies the instance key, which is also the answer to GET /_api/attestation:
//
//     {"statement":BASE64,"signature":HEX,"instance":{"statement":BASE64,"quote":HEX|null,
//      "quote_state":TEXT,"event_log":[...],"app_compose":TEXT|null,"vm_config":TEXT|null,
//      "guest_version":TEXT|null,"collateral_state":TEXT|null,"collateral":{...}|null},
//      "tee":"tdx"|null}
//
// From its member `instance` on it is the end of every other document too.

#pragma once

#include "collateral.h"
#include "quoter.h"
#include "signer.h"

struct certificate {
	struct buf document;
	size_t tail; // where `"instance":` begins
};

// Makes it anew, of the instance STATEMENT, what QUOTER knows, and COLLATERAL. Returns 0 or a
// negative errno; CERTIFICATE is as it was then.
int certificate_make(struct certificate *certificate, struct span statement,
	const struct signer *signer, const struct quoter *quoter,
	const struct collateral *collateral) WARN_UNUSED;
void certificate_deinit(struct certificate *certificate);

// Appends what a visitor's nonce brought: {"nonce":HEX,"quote":HEX,"event_log":[...]}. Returns 0 or
// a negative errno of buf_add().
int certificate_fresh(struct buf *out, const struct fresh_request *request,
	const struct quote *quote) WARN_UNUSED;
