// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Digests and raw P-256 signatures, as quotes and collateral have them: r || s and x || y, each 32
// bytes big endian (FIPS 186-4), over OpenSSL.

#pragma once

#include "util.h"

#include <openssl/evp.h>

enum { P256_SIZE = 64 }; // of a key and of a signature

static inline void pkey_free_p(EVP_PKEY **key)
{
	EVP_PKEY_free(*key);
}

// The key at these 64 bytes, or NULL: they are no point of the curve, or there is no memory.
EVP_PKEY *p256_key(struct span bytes);
// Whether SIGNATURE (64 bytes) is KEY's ECDSA signature over SHA-256 of MESSAGE. KEY has to be one
// of P-256.
bool p256_verify(EVP_PKEY *key, struct span signature, struct span message);
bool p256_is(EVP_PKEY *key);

// The digest of up to four parts joined (the rest absent); false for lack of memory.
struct digest_input {
	struct span parts[4];
};
bool digest_make(const EVP_MD *md, const struct digest_input *input, uint8_t *out);
