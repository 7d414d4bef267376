// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What a server needs for TLS: a key, and a certificate that nobody vouches for.

#pragma once

#include "tls.h"

#include <stddef.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

// The caller frees it.
static inline SSL_CTX *tls_server_new(uint8_t spki[TLS_SPKI_SIZE])
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = X509_new();
	X509_set_version(certificate, X509_VERSION_3);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
	assert_true(X509_set_pubkey(certificate, key) == 1);
	assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
	assert_true(SSL_CTX_use_cert_and_key(context, certificate, key, NULL, 1) == 1);
	assert_int_equal(tls_spki(certificate, spki), 0);
	X509_free(certificate);
	EVP_PKEY_free(key);
	return context;
}
