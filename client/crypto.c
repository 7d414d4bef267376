// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "crypto.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/params.h>

enum { HALF = 32 };

EVP_PKEY *p256_key(struct span bytes)
{
	uint8_t point[1 + P256_SIZE] = {4}; // uncompressed (SEC 1 section 2.3.3)
	EVP_PKEY *key = NULL;
	if (bytes.n != P256_SIZE)
		return NULL;
	memcpy(point + 1, bytes.p, P256_SIZE);
	OSSL_PARAM parameters[] = {
		OSSL_PARAM_construct_utf8_string(
			OSSL_PKEY_PARAM_GROUP_NAME, (char[]){"prime256v1"}, 0),
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point),
		OSSL_PARAM_construct_end(),
	};
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	if (context == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
		EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, parameters) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(context);
	context = key != NULL ? EVP_PKEY_CTX_new(key, NULL) : NULL;
	if (context == NULL || EVP_PKEY_public_check(context) != 1) {
		EVP_PKEY_free(key);
		key = NULL;
	}
	EVP_PKEY_CTX_free(context);
	return key;
}

bool p256_is(EVP_PKEY *key)
{
	char group[32];
	size_t n;
	return EVP_PKEY_is_a(key, "EC") &&
	       EVP_PKEY_get_group_name(key, group, sizeof group, &n) == 1 &&
	       strcmp(group, "prime256v1") == 0;
}

// The DER form that OpenSSL verifies; NULL for lack of memory.
static uint8_t *signature_der(struct span signature, int *n)
{
	const unsigned char *p = (const unsigned char *)signature.p;
	ECDSA_SIG *pair = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(p, HALF, NULL), *s = BN_bin2bn(p + HALF, HALF, NULL);
	uint8_t *der = NULL;
	if (pair == NULL || r == NULL || s == NULL || ECDSA_SIG_set0(pair, r, s) != 1) {
		BN_free(r);
		BN_free(s);
	} else {
		*n = i2d_ECDSA_SIG(pair, &der);
	}
	ECDSA_SIG_free(pair);
	return der;
}

bool p256_verify(EVP_PKEY *key, struct span signature, struct span message)
{
	int n = 0;
	if (signature.n != P256_SIZE || !p256_is(key))
		return false;
	uint8_t *der = signature_der(signature, &n);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool good = der != NULL && n > 0 && context != NULL &&
		    EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
		    EVP_DigestVerify(context, der, (size_t)n, (const unsigned char *)message.p,
			    message.n) == 1;
	EVP_MD_CTX_free(context);
	OPENSSL_free(der);
	return good;
}

bool digest_make(const EVP_MD *md, const struct digest_input *input, uint8_t *out)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool good = context != NULL && EVP_DigestInit_ex(context, md, NULL) == 1;
	for (size_t i = 0; i < ARRAY_SIZE(input->parts); i++)
		good = good && EVP_DigestUpdate(context, input->parts[i].p, input->parts[i].n) == 1;
	good = good && EVP_DigestFinal_ex(context, out, NULL) == 1;
	EVP_MD_CTX_free(context);
	return good;
}
