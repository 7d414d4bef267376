// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "certificate.h"

#include <openssl/err.h>
#include <openssl/pem.h>

enum { KEY_MAX = 32 * 1024, RSA_LEAST = 2048, EC_LEAST = 256 };

static int no_passphrase(char *buffer, int size, int writing, void *data)
{
	return -1;
}

static int invalid(const char **why, const char *what)
{
	ERR_clear_error();
	*why = what;
	return CERTIFICATE_INVALID;
}

static int load_chain(struct certificate *certificate, struct span text, const char **why)
{
	BIO *bio = BIO_new_mem_buf(text.p, (int)text.n);
	X509 *next = NULL;
	if (bio == NULL)
		return -ENOMEM;
	certificate->own = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);
	while (certificate->own != NULL &&
		(next = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)) != NULL)
		if (!sk_X509_push(certificate->chain, next)) {
			X509_free(next);
			break;
		}
	// It reads until there is no further one, which is an error to it.
	unsigned long error = ERR_peek_last_error();
	bool whole = ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
	ERR_clear_error();
	BIO_free(bio);
	if (certificate->own == NULL)
		return invalid(why, "there is no certificate in it (PEM is expected)");
	return whole ? 0 : invalid(why, "a certificate in it is damaged");
}

EVP_PKEY *certificate_read_key(int fd)
{
	static char text[KEY_MAX];
	EVP_PKEY *key = NULL;
	size_t n = 0;
	ssize_t got;
	while (n < sizeof text && (got = pread(fd, text + n, sizeof text - n, (off_t)n)) > 0)
		n += (size_t)got;
	BIO *bio = n < sizeof text ? BIO_new_mem_buf(text, (int)n) : NULL;
	if (bio != NULL)
		key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	BIO_free(bio);
	explicit_bzero(text, sizeof text);
	return key;
}

static bool strong_enough(const EVP_PKEY *key)
{
	return EVP_PKEY_get_bits(key) >= (EVP_PKEY_is_a(key, "RSA") ? RSA_LEAST : EC_LEAST - 8);
}

int certificate_load(
	struct certificate *certificate, struct span chain, int key_fd, const char **why)
{
	*certificate = (struct certificate){.chain = sk_X509_new_null()};
	if (certificate->chain == NULL)
		return -ENOMEM;
	int r = load_chain(certificate, chain, why);
	if (r != 0)
		return r;
	certificate->key = certificate_read_key(key_fd);
	if (certificate->key == NULL)
		return invalid(
			why, "the key cannot be read (PEM without a passphrase is expected)");
	if (X509_check_private_key(certificate->own, certificate->key) != 1)
		return invalid(why, "the key is not that of the certificate");
	if (!strong_enough(certificate->key))
		return invalid(why, "the key is too short: 2048 bits of RSA or 256 bits of an "
				    "elliptic curve are the least");
	if (X509_cmp_current_time(X509_get0_notAfter(certificate->own)) <= 0)
		return invalid(why, "the certificate has expired");
	return 0;
}

void certificate_deinit(struct certificate *certificate)
{
	EVP_PKEY_free(certificate->key);
	X509_free(certificate->own);
	sk_X509_pop_free(certificate->chain, X509_free);
	*certificate = (struct certificate){0};
}

int certificate_spki(const struct certificate *certificate, uint8_t **der)
{
	*der = NULL;
	int n = i2d_PUBKEY(certificate->key, der);
	return n > 0 ? n : -ENOMEM;
}
