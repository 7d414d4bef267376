// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Raw keys and signatures: the example of RFC 6979 A.2.5 (P-256, SHA-256, "sample"), what is no
// point of the curve, and the built-in root.

#include "crypto.h"

#include "certificates.h"
#include "hex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define KEY                                                                \
	"60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6" \
	"7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
#define SIGNATURE                                                          \
	"efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716" \
	"f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"

static void test_signature(void **state)
{
	char key_bytes[P256_SIZE], signature[P256_SIZE];
	assert_int_equal(hex_decode(key_bytes, P256_SIZE, SPAN(KEY)), 0);
	assert_int_equal(hex_decode(signature, P256_SIZE, SPAN(SIGNATURE)), 0);
	EVP_PKEY *key = p256_key((struct span){key_bytes, P256_SIZE});
	assert_non_null(key);
	const struct span bytes = {signature, P256_SIZE};
	assert_true(p256_verify(key, bytes, SPAN("sample")));
	assert_false(p256_verify(key, bytes, SPAN("test")));
	for (size_t i = 0; i < P256_SIZE; i += 7) {
		signature[i] ^= 1;
		assert_false(p256_verify(key, bytes, SPAN("sample")));
		signature[i] ^= 1;
	}
	assert_false(p256_verify(key, (struct span){signature, P256_SIZE - 1}, SPAN("sample")));
	memset(signature, 0, sizeof signature);
	assert_false(p256_verify(key, bytes, SPAN("sample")));
	memset(signature, 0xff, sizeof signature);
	assert_false(p256_verify(key, bytes, SPAN("sample")));
	EVP_PKEY_free(key);
}

static void test_no_point(void **state)
{
	char bytes[P256_SIZE];
	assert_int_equal(hex_decode(bytes, P256_SIZE, SPAN(KEY)), 0);
	assert_null(p256_key((struct span){bytes, P256_SIZE - 1}));
	bytes[P256_SIZE - 1] ^= 1;
	assert_null(p256_key((struct span){bytes, P256_SIZE}));
	memset(bytes, 0, sizeof bytes);
	assert_null(p256_key((struct span){bytes, P256_SIZE}));
	memset(bytes, 0xff, sizeof bytes);
	assert_null(p256_key((struct span){bytes, P256_SIZE}));
}

static void test_built_in_root(void **state)
{
	uint8_t hash[EVP_MAX_MD_SIZE];
	char hex[2 * EVP_MAX_MD_SIZE + 1];
	unsigned n;
	X509 *root = intel_root();
	assert_non_null(root);
	assert_int_equal(X509_digest(root, EVP_sha256(), hash, &n), 1);
	hex_encode(hex, hash, n);
	assert_string_equal(
		hex, "44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3");
	assert_true(certificate_named(root, "Intel SGX Root CA"));
	X509_free(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_signature),
		cmocka_unit_test(test_no_point),
		cmocka_unit_test(test_built_in_root),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
