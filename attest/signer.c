// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "signer.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

int signer_init(struct signer *signer)
{
	uint8_t signature[SIGNER_SIGNATURE_SIZE];
	size_t n = SIGNER_KEY_SIZE;

	// Nobody's configuration file has a say in this, and what OpenSSL would tidy up at the end
	// needs more system calls than there are.
	const uint64_t options = OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT;

	if (OPENSSL_init_crypto(options, NULL) != 1)
		return -EIO;
	*signer = (struct signer){.key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")};
	if (signer->key == NULL ||
		EVP_PKEY_get_raw_public_key(signer->key, signer->public_key, &n) != 1 ||
		n != SIGNER_KEY_SIZE)
		return -EIO;
	return signer_sign(signer, "tunneld-nothing/1", SPAN(""), signature);
}

// Ed25519 takes a message whole.
static size_t join(uint8_t *out, size_t size, const char *type, struct span bytes)
{
	size_t n = strlen(type);
	if (n + 1 + bytes.n > size)
		return 0;
	memcpy(out, type, n);
	out[n++] = ':';
	if (bytes.n > 0)
		memcpy(out + n, bytes.p, bytes.n);
	return n + bytes.n;
}

int signer_sign(const struct signer *signer, const char *type, struct span bytes,
	uint8_t signature[SIGNER_SIGNATURE_SIZE])
{
	static uint8_t message[SIGNER_BYTES_MAX + 64];
	size_t size = SIGNER_SIGNATURE_SIZE, n = 0;
	if (bytes.n <= SIGNER_BYTES_MAX)
		n = join(message, sizeof message, type, bytes);
	if (n == 0)
		return -EMSGSIZE;
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool ok = context != NULL &&
		  EVP_DigestSignInit(context, NULL, NULL, NULL, signer->key) == 1 &&
		  EVP_DigestSign(context, signature, &size, message, n) == 1 &&
		  size == SIGNER_SIGNATURE_SIZE;
	EVP_MD_CTX_free(context);
	return ok ? 0 : -EIO;
}
