// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// A key, its certificate and those that vouch for it.

#pragma once

#include "util.h"

#include <openssl/x509.h>

struct certificate {
	EVP_PKEY *key;
	X509 *own;
	STACK_OF(X509) * chain; // without the own one
};

enum { CERTIFICATE_INVALID = 1, SPKI_HASH_SIZE = 32 };

// Reads CHAIN (PEM, the own certificate first) and the key in KEY_FD (PEM, from its beginning,
// whatever the descriptor's offset). Returns 0, CERTIFICATE_INVALID with *WHY, or -ENOMEM. To be
// freed with certificate_deinit() whatever it returns.
int certificate_load(
	struct certificate *certificate, struct span chain, int key_fd, const char **why);
void certificate_deinit(struct certificate *certificate);

// SHA-256 of the SubjectPublicKeyInfo. Returns 0 or -ENOMEM.
int certificate_spki(const struct certificate *certificate, uint8_t out[SPKI_HASH_SIZE]);
