// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "roots.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

static bool add_roots(X509_STORE *store, const char *text, size_t n)
{
	BIO *bio = BIO_new_mem_buf(text, (int)n);
	X509 *x509;
	while (bio != NULL && (x509 = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		X509_STORE_add_cert(store, x509);
		X509_free(x509);
	}
	ERR_clear_error(); // there is no further one
	BIO_free(bio);
	return bio != NULL;
}

static bool read_roots(SSL_CTX *context, int fd)
{
	CLEANUP(free_p) char *text = malloc(ROOTS_MAX);
	size_t n = 0;
	ssize_t got;
	if (text == NULL)
		return false;
	while (n < ROOTS_MAX && (got = pread(fd, text + n, ROOTS_MAX - n, (off_t)n)) > 0)
		n += (size_t)got;
	return add_roots(SSL_CTX_get_cert_store(context), text, n);
}

static SSL_CTX *context_new(int roots_fd)
{
	static const unsigned char alpn[] = "\x08http/1.1";
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	if (context == NULL)
		return NULL;
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_read_ahead(context, 1);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
		SSL_CTX_set_alpn_protos(context, alpn, sizeof alpn - 1) == 0 &&
		read_roots(context, roots_fd))
		return context;
	SSL_CTX_free(context);
	return NULL;
}

// SNI is for names only (RFC 6066 section 3). HOST is not changed, though OpenSSL's macro says it
// might.
static bool expect_host(SSL *ssl, char *host)
{
	struct in6_addr address;
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
	bool literal =
		inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (literal)
		return X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1;
	return X509_VERIFY_PARAM_set1_host(param, host, 0) == 1 &&
	       SSL_set_tlsext_host_name(ssl, host) == 1;
}

SSL *roots_connect(int roots_fd, char *host, bool unchecked)
{
	static SSL_CTX *context;
	if (context == NULL)
		context = context_new(roots_fd);
	SSL *ssl = context != NULL ? SSL_new(context) : NULL;
	if (ssl == NULL)
		return NULL;
	SSL_set_connect_state(ssl);
	if (unchecked)
		SSL_set_verify(ssl, SSL_VERIFY_NONE, NULL);
	if (expect_host(ssl, host))
		return ssl;
	SSL_free(ssl);
	return NULL;
}
