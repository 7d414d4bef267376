// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// TLS as a client does it: versions 1.2 and 1.3, whom to trust, and whose name has to be in the
// certificate.

#pragma once

#include "failure.h"
#include "url.h"

#include <openssl/ssl.h>

// Whom to trust, and the session that may be resumed. One for each server.
struct tls_trust;

enum tls_check {
	TLS_CHECK_ROOTS, // a chain to the roots, for the server's name or address
	TLS_CHECK_NONE,  // any certificate: somebody else judges it (evidence), or nobody wants to
	TLS_CHECK_KEYS,  // a key of tls_trust_set_keys(), whatever else its certificate says
};

enum { TLS_SPKI_SIZE = 32, TLS_KEYS_MAX = 64 }; // SHA-256 of a SubjectPublicKeyInfo

// Roots are those of the system or, if CA_FILE is not NULL, those in that file (PEM) alone. All
// files are read here. Returns 0, EXIT_CODE_USAGE when the file is no good, or a negative errno.
int tls_trust_new(struct tls_trust **ret, enum tls_check check, const char *ca_file,
	struct failure *failure) WARN_UNUSED;
// Connections made with it have to be gone. Accepts NULL, returns NULL.
struct tls_trust *tls_trust_free(struct tls_trust *trust);

// From now on trusts the keys with these hashes of their SPKI and no others; connections that are
// there live on. Returns 0, or -ENOBUFS for more than TLS_KEYS_MAX.
int tls_trust_set_keys(
	struct tls_trust *trust, uint8_t keys[][TLS_SPKI_SIZE], size_t n) WARN_UNUSED;

// That hash, of the key of a certificate. Returns 0 or -ENOMEM.
int tls_spki(const X509 *certificate, uint8_t hash[TLS_SPKI_SIZE]) WARN_UNUSED;

// The client's side of TLS with SERVER over FD (borrowed, non-blocking), before its handshake.
// Returns 0 or -ENOMEM.
int tls_client_new(
	SSL **ret, struct tls_trust *trust, const struct url *server, int fd) WARN_UNUSED;

// Why the last call for SSL failed, in a few words (static, or valid until the next call).
const char *tls_why(const SSL *ssl);
