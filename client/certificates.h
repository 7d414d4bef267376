// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Certificate chains as the evidence carries them, checked against one pinned root and nothing
// else: the system's store has no say. OpenSSL does the work; what it leaves open is asked here:
// how many certificates, which keys, which signatures, and that the root is the pinned one.

#pragma once

#include "why.h"

#include <openssl/x509.h>

static inline void x509_free_p(X509 **certificate)
{
	X509_free(*certificate);
}

void certificates_free_p(STACK_OF(X509) * *list);
void crls_free_p(STACK_OF(X509_CRL) * *list);

// Reads at most MAX certificates of PEM text; more are a refusal. NULL with *WHY.
STACK_OF(X509) * certificates_read(struct span pem, int max, struct why *why);

// Whether LIST is [leaf, issuers..., ROOT], linked by names, signatures and CA flags, all of P-256
// and SHA-256, valid AT that time (seconds since the epoch), with LEAF_NAME in the common name of
// the leaf and "Intel SGX Root CA" as the root's. With CRLS (may be NULL: revocation is not looked
// at) no certificate but the root is revoked, each by a current list of its own issuer.
bool certificates_check(STACK_OF(X509) * list, X509 *root, STACK_OF(X509_CRL) * crls,
	const char *leaf_name, int64_t at, struct why *why);

// Whether these are the same certificate, byte for byte.
bool certificate_is(const X509 *a, const X509 *b);

// Whether one text is in the common name.
bool certificate_named(const X509 *certificate, const char *part);

// Intel's SGX root, the default trust anchor; NULL for lack of memory. The caller frees it.
X509 *intel_root(void);
