// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "certificates.h"

#include "crypto.h"

#include <openssl/pem.h>
#include <openssl/x509_vfy.h>

static const char root_name[] = "Intel SGX Root CA";

void certificates_free_p(STACK_OF(X509) * *list)
{
	sk_X509_pop_free(*list, X509_free);
}

void crls_free_p(STACK_OF(X509_CRL) * *list)
{
	sk_X509_CRL_pop_free(*list, X509_CRL_free);
}

STACK_OF(X509) * certificates_read(struct span pem, int max, struct why *why)
{
	BIO *bio = pem.n <= 64 << 10 ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
	STACK_OF(X509) *list = sk_X509_new_null();
	X509 *next;
	while (bio != NULL && list != NULL &&
		(next = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
		if (sk_X509_num(list) == max || sk_X509_push(list, next) == 0) {
			X509_free(next);
			sk_X509_pop_free(list, X509_free);
			list = NULL;
		}
	BIO_free(bio);
	if (list == NULL || bio == NULL || sk_X509_num(list) == 0) {
		why_not(why, list == NULL ? "more than %d certificates" : "no certificates", max);
		sk_X509_pop_free(list, X509_free);
		return NULL;
	}
	return list;
}

bool certificate_is(const X509 *a, const X509 *b)
{
	uint8_t *first = NULL, *second = NULL;
	int n = i2d_X509(a, &first), m = i2d_X509(b, &second);
	bool same = n > 0 && n == m && memcmp(first, second, (size_t)n) == 0;
	OPENSSL_free(first);
	OPENSSL_free(second);
	return same;
}

static bool common_name(const X509 *certificate, char *out, int size)
{
	return X509_NAME_get_text_by_NID(
		       X509_get_subject_name(certificate), NID_commonName, out, size) > 0;
}

bool certificate_named(const X509 *certificate, const char *part)
{
	char name[128];
	return common_name(certificate, name, sizeof name) && strstr(name, part) != NULL;
}

static bool names_fit(STACK_OF(X509) * list, const char *leaf, struct why *why)
{
	char name[128] = "";
	X509 *root = sk_X509_value(list, sk_X509_num(list) - 1);
	if (!certificate_named(sk_X509_value(list, 0), leaf))
		return why_not(why, "the first certificate is no \"%s\"", leaf);
	if (!common_name(root, name, sizeof name) || strcmp(name, root_name) != 0)
		return why_not(why, "the last certificate is no \"%s\"", root_name);
	return true;
}

static bool algorithms_fit(STACK_OF(X509) * list, struct why *why)
{
	for (int i = 0; i < sk_X509_num(list); i++) {
		X509 *certificate = sk_X509_value(list, i);
		EVP_PKEY *key = X509_get0_pubkey(certificate);
		if (key == NULL || !p256_is(key))
			return why_not(why, "the key of certificate %d is not of P-256", i);
		if (X509_get_signature_nid(certificate) != NID_ecdsa_with_SHA256)
			return why_not(why, "certificate %d is not signed with SHA-256", i);
	}
	return true;
}

static bool say_error(X509_STORE_CTX *context, struct why *why)
{
	int error = X509_STORE_CTX_get_error(context);
	char name[128] = "a certificate";
	X509 *certificate = X509_STORE_CTX_get_current_cert(context);
	if (certificate != NULL)
		common_name(certificate, name, sizeof name);
	return why_not(why, "%s: %s", name, X509_verify_cert_error_string(error));
}

// What OpenSSL built is what was given, so that nothing else can have been used.
static bool chain_is(STACK_OF(X509) * built, STACK_OF(X509) * list, struct why *why)
{
	if (sk_X509_num(built) != sk_X509_num(list))
		return why_not(why, "the certificates are no chain");
	for (int i = 0; i < sk_X509_num(list); i++)
		if (!certificate_is(sk_X509_value(built, i), sk_X509_value(list, i)))
			return why_not(
				why, "certificate %d is not the issuer of the one before", i);
	return true;
}

static bool verify(X509_STORE_CTX *context, X509_STORE *store, STACK_OF(X509) * list,
	STACK_OF(X509_CRL) * crls, int64_t at, struct why *why)
{
	if (X509_STORE_CTX_init(context, store, sk_X509_value(list, 0), list) != 1)
		return why_not(why, "out of memory");
	X509_VERIFY_PARAM *parameters = X509_STORE_CTX_get0_param(context);
	X509_VERIFY_PARAM_set_time(parameters, (time_t)at);
	X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_X509_STRICT);
	if (crls != NULL) {
		X509_VERIFY_PARAM_set_flags(
			parameters, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
		X509_STORE_CTX_set0_crls(context, crls);
	}
	if (X509_verify_cert(context) != 1)
		return say_error(context, why);
	return chain_is(X509_STORE_CTX_get0_chain(context), list, why);
}

bool certificates_check(STACK_OF(X509) * list, X509 *root, STACK_OF(X509_CRL) * crls,
	const char *leaf_name, int64_t at, struct why *why)
{
	if (!names_fit(list, leaf_name, why) || !algorithms_fit(list, why))
		return false;
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *context = X509_STORE_CTX_new();
	bool good = false;
	if (store == NULL || context == NULL || X509_STORE_add_cert(store, root) != 1)
		why_not(why, "out of memory");
	else
		good = verify(context, store, list, crls, at, why);
	X509_STORE_CTX_free(context);
	X509_STORE_free(store);
	return good;
}
