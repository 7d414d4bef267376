// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The instance key: Ed25519 (RFC 8032), made when the process starts, never written anywhere and
// gone with it. A signature is over "<type>:" and the exact bytes of the statement, so that a
// statement of one type cannot pass for one of another.

#pragma once

#include "util.h"

#include <openssl/types.h>

enum { SIGNER_KEY_SIZE = 32, SIGNER_SIGNATURE_SIZE = 64, SIGNER_BYTES_MAX = 64 * 1024 };

struct signer {
	EVP_PKEY *key;
	uint8_t public_key[SIGNER_KEY_SIZE];
};

// Makes a key and signs once with it: afterwards signing needs no call of the kernel but for
// memory. To be called before the sandbox. The key lasts as long
// as the process. Returns 0 or -EIO.
int signer_init(struct signer *signer);

// Returns 0, -EMSGSIZE for more than SIGNER_BYTES_MAX, or -EIO.
int signer_sign(const struct signer *signer, const char *type, struct span bytes,
	uint8_t signature[SIGNER_SIGNATURE_SIZE]) WARN_UNUSED;
