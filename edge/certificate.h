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

enum { CERTIFICATE_INVALID = 1 };

// Reads CHAIN (PEM, the own certificate first) and the key in KEY_FD (PEM, from its beginning,
// whatever the descriptor's offset). Returns 0, CERTIFICATE_INVALID with *WHY, or -ENOMEM. To be
// freed with certificate_deinit() whatever it returns.
int certificate_load(
	struct certificate *certificate, struct span chain, int key_fd, const char **why);
void certificate_deinit(struct certificate *certificate);

// The key in FD as above, to be freed; NULL when it cannot be read.
EVP_PKEY *certificate_read_key(int fd);

// The SubjectPublicKeyInfo as DER, to be freed with OPENSSL_free(). Returns its length or -ENOMEM.
int certificate_spki(const struct certificate *certificate, uint8_t **der);
