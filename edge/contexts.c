// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "contexts.h"

#include "certificate.h"
#include "tickets.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

static const char tls13_ciphers[] =
	"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
static const char tls12_ciphers[] =
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
	"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
	"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
	"DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:DHE-RSA-CHACHA20-POLY1305";
// Not const: SSL_CTX_set1_groups_list() is a macro that casts.
static char groups[] = "X25519:P-256:P-384";

// ---- choices during a handshake

// Only HTTP/1.1 is spoken here. Who offers ALPN without it is refused (RFC 7301 section 3.2).
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *n_out,
	const unsigned char *offered, unsigned n_offered, void *data)
{
	static const unsigned char ours[] = "\x08http/1.1";
	unsigned char *chosen;
	if (SSL_select_next_proto(&chosen, n_out, ours, sizeof ours - 1, offered, n_offered) !=
		OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

// A name nobody here has gets the first certificate: whether that will do is the visitor's to say.
static int on_name(SSL *ssl, int *alert, void *data)
{
	const struct contexts *contexts = data;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	for (size_t i = 0; name != NULL && i < contexts->n; i++) {
		X509 *own = SSL_CTX_get0_certificate(contexts->items[i]);
		if (X509_check_host(own, name, 0, 0, NULL) == 1) {
			SSL_set_SSL_CTX(ssl, contexts->items[i]);
			break;
		}
	}
	return SSL_TLSEXT_ERR_OK;
}

// ---- making one

static bool configure(SSL_CTX *context, struct contexts *contexts)
{
	// A session keeps to what its context was made with; renegotiation and compression have
	// been the way into it (CVE-2009-3555, CVE-2012-4929).
	SSL_CTX_set_options(context,
		SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
	// Buffers are there only while bytes are in them: most connections are idle.
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_read_ahead(context, 1); // one read for a record, not two
	SSL_CTX_set_dh_auto(context, 1);
	SSL_CTX_set_alpn_select_cb(context, on_alpn, NULL);
	SSL_CTX_set_tlsext_servername_callback(context, on_name);
	SSL_CTX_set_tlsext_servername_arg(context, contexts);
	return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
	       SSL_CTX_set_ciphersuites(context, tls13_ciphers) == 1 &&
	       SSL_CTX_set_cipher_list(context, tls12_ciphers) == 1 &&
	       SSL_CTX_set1_groups_list(context, groups) == 1 && tickets_use(context);
}

static SSL_CTX *context_new(struct contexts *contexts, const struct certificate *certificate)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	if (context != NULL && configure(context, contexts) &&
		SSL_CTX_use_cert_and_key(
			context, certificate->own, certificate->key, certificate->chain, 1) == 1)
		return context;
	SSL_CTX_free(context);
	ERR_clear_error();
	return NULL;
}

// ---- the set

static void free_all(SSL_CTX **items, size_t *n)
{
	while (*n > 0)
		SSL_CTX_free(items[--*n]); // connections that use it keep it
}

static void replace(struct contexts *contexts)
{
	free_all(contexts->items, &contexts->n);
	memcpy(contexts->items, contexts->next, sizeof contexts->items);
	contexts->n = contexts->n_next;
	contexts->n_next = 0;
}

int contexts_add(struct contexts *contexts, size_t index, size_t count, struct span chain,
	int key_fd, const char **why)
{
	struct certificate certificate;
	if (index == 0)
		free_all(contexts->next, &contexts->n_next);
	if (index != contexts->n_next || index >= count)
		return -EBADMSG;
	int r = certificate_load(&certificate, chain, key_fd, why);
	SSL_CTX *context = r == 0 ? context_new(contexts, &certificate) : NULL;
	certificate_deinit(&certificate);
	if (r != 0 || context == NULL)
		return r == CERTIFICATE_INVALID ? CONTEXTS_INVALID : -ENOMEM;
	contexts->next[contexts->n_next++] = context;
	if (contexts->n_next < count)
		return 0;
	replace(contexts);
	return CONTEXTS_COMPLETE;
}

SSL *contexts_accept(struct contexts *contexts)
{
	SSL *ssl = contexts->n > 0 ? SSL_new(contexts->items[0]) : NULL;
	if (ssl != NULL)
		SSL_set_accept_state(ssl);
	return ssl;
}
