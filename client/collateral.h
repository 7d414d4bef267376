// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Collateral: what Intel says about platforms, modules and keys, as one JSON object
// (docs/verify.md has its members). Anything may be missing here; the check that needs it says so.

#pragma once

#include "why.h"

#include <jansson.h>
#include <openssl/x509.h>

enum { COLLATERAL_MAX = 1 << 20 };

// A signed object of Intel's: the exact text that is signed, its signature and who signed.
struct signed_text {
	struct span text;      // into the JSON
	struct span signature; // hex, into the JSON
	STACK_OF(X509) * chain;
};

struct collateral {
	json_t *json;
	struct signed_text tcb_info, qe_identity;
	X509_CRL *pck_crl, *root_crl;
	struct why crl_why; // why one of them is missing
};

// Reads OBJECT, of which a copy is kept.
void collateral_init(struct collateral *collateral, const json_t *object);
void collateral_deinit(struct collateral *collateral);

// The revocation lists for a platform's chain, and for the chain of signed texts; NULL when one is
// missing. The caller frees the stack, which has references of its own.
STACK_OF(X509_CRL) * collateral_pck_crls(const struct collateral *collateral);
STACK_OF(X509_CRL) * collateral_root_crls(const struct collateral *collateral);

// Checks a signed text at the time AT under ROOT and reads it: signed by Intel's TCB signing key,
// issued and not over. Returns the object, which the caller owns, or NULL with *WHY.
json_t *collateral_open(const struct collateral *collateral, const struct signed_text *signed_text,
	X509 *root, int64_t at, struct why *why);
