// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Use of OpenSSL's contexts.

#include "tls.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

struct tls_trust {
	SSL_CTX *context;
	SSL_SESSION *session; // of the latest connection, or NULL
	uint8_t keys[TLS_KEYS_MAX][TLS_SPKI_SIZE];
	size_t n_keys;
	bool by_keys; // TLS_CHECK_KEYS
};

int tls_spki(const X509 *certificate, uint8_t hash[TLS_SPKI_SIZE])
{
	unsigned char *bytes = NULL;
	int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &bytes);
	int r = 0;

	if (n < 0 || EVP_Digest(bytes, (size_t)n, hash, NULL, EVP_sha256(), NULL) != 1)
		r = -ENOMEM;
	OPENSSL_free(bytes);
	return r;
}

static bool has_key(const struct tls_trust *trust, const X509 *certificate)
{
	uint8_t spki[TLS_SPKI_SIZE];

	if (certificate != NULL && tls_spki(certificate, spki) == 0)
		for (size_t i = 0; i < trust->n_keys; i++)
			if (memcmp(trust->keys[i], spki, sizeof spki) == 0)
				return true;
	return false;
}

// OpenSSL hands over a session whenever the server sends a ticket, also on a connection from before
// its key was trusted no more; when it is resumed nobody looks at keys again.
static int keep_session(SSL *ssl, SSL_SESSION *session)
{
	struct tls_trust *trust = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	if (trust->by_keys && !has_key(trust, SSL_SESSION_get0_peer(session)))
		return 0;
	SSL_SESSION_free(trust->session);
	trust->session = session;
	return 1; // it is ours now
}

static int load_roots(SSL_CTX *context, const char *ca_file, struct failure *failure)
{
	if (ca_file == NULL) {
		SSL_CTX_set_default_verify_paths(context);
		return 0;
	}
	if (SSL_CTX_load_verify_file(context, ca_file) == 1)
		return 0;
	return failure_set(failure, EXIT_CODE_USAGE,
		"the certificates in %s cannot be read: it has to be a file in PEM form", ca_file);
}

int tls_trust_set_keys(struct tls_trust *trust, uint8_t keys[][TLS_SPKI_SIZE], size_t n)
{
	if (n > TLS_KEYS_MAX)
		return -ENOBUFS;
	memcpy(trust->keys, keys, n * sizeof *keys);
	trust->n_keys = n;
	SSL_SESSION_free(trust->session); // of a key that may be trusted no more
	trust->session = NULL;
	return 0;
}

// Takes the place of OpenSSL's judging of chains.
static int check_key(X509_STORE_CTX *store, void *argument)
{
	if (has_key(argument, X509_STORE_CTX_get0_cert(store)))
		return 1;
	X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_UNTRUSTED);
	return 0;
}

int tls_trust_new(
	struct tls_trust **ret, enum tls_check check, const char *ca_file, struct failure *failure)
{
	static const unsigned char protocols[] = "\x08http/1.1";
	struct tls_trust *trust = calloc(1, sizeof *trust);
	int r = 0;

	if (trust == NULL)
		return -ENOMEM;
	trust->context = SSL_CTX_new(TLS_client_method());
	if (trust->context == NULL) {
		free(trust);
		return -ENOMEM;
	}
	SSL_CTX_set_app_data(trust->context, trust);
	SSL_CTX_set_min_proto_version(trust->context, TLS1_2_VERSION);
	SSL_CTX_set_options(trust->context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(trust->context, SSL_MODE_ENABLE_PARTIAL_WRITE |
						 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
						 SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_alpn_protos(trust->context, protocols, sizeof protocols - 1);
	SSL_CTX_set_session_cache_mode(
		trust->context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(trust->context, keep_session);
	if (check == TLS_CHECK_ROOTS) {
		SSL_CTX_set_verify(trust->context, SSL_VERIFY_PEER, NULL);
		r = load_roots(trust->context, ca_file, failure);
	} else if (check == TLS_CHECK_KEYS) {
		trust->by_keys = true;
		SSL_CTX_set_verify(trust->context, SSL_VERIFY_PEER, NULL);
		SSL_CTX_set_cert_verify_callback(trust->context, check_key, trust);
	}
	if (r != 0)
		tls_trust_free(trust);
	else
		*ret = trust;
	return r;
}

struct tls_trust *tls_trust_free(struct tls_trust *trust)
{
	if (trust != NULL) {
		SSL_SESSION_free(trust->session);
		SSL_CTX_free(trust->context);
		free(trust);
	}
	return NULL;
}

// The name in the certificate is what was written in the URL, never what a name server said.
static bool expect_name(SSL *ssl, const struct url *server)
{
	if (server->host_kind != URL_NAME)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), server->host) == 1;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	// SNI, for names only. The macro for it casts const away where clang says so.
	return SSL_set1_host(ssl, server->host) == 1 &&
	       SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
		       (void *)(uintptr_t)server->host) == 1;
}

int tls_client_new(SSL **ret, struct tls_trust *trust, const struct url *server, int fd)
{
	SSL *ssl = SSL_new(trust->context);

	if (ssl == NULL)
		return -ENOMEM;
	if (!expect_name(ssl, server) || SSL_set_fd(ssl, fd) != 1) {
		SSL_free(ssl);
		return -ENOMEM;
	}
	if (trust->session != NULL)
		SSL_set_session(ssl, trust->session);
	SSL_set_connect_state(ssl);
	*ret = ssl;
	return 0;
}

const char *tls_why(const SSL *ssl)
{
	long verdict = SSL_get_verify_result(ssl);
	unsigned long error = ERR_peek_last_error();
	const char *reason = error != 0 ? ERR_reason_error_string(error) : NULL;

	if (verdict != X509_V_OK && SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE)
		return X509_verify_cert_error_string(verdict);
	return reason != NULL ? reason : "the connection was cut";
}
