// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// HMAC-SHA-256 against the vectors of RFC 4231 section 4.

#include "hmac.h"

#include "hex.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct vector {
	uint8_t key_byte, text_byte; // repeated, where there is no text
	size_t key_n, text_n;
	const char *key, *text;
	const char *mac; // as many digits as the vector has
};

static const struct vector vectors[] = {
	{.key_byte = 0x0b,
		.key_n = 20,
		.text = "Hi There",
		.mac = "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
	{.key = "Jefe",
		.text = "what do ya want for nothing?",
		.mac = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
	{.key_byte = 0xaa,
		.key_n = 20,
		.text_byte = 0xdd,
		.text_n = 50,
		.mac = "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
	{.key = "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15"
		"\x16\x17\x18\x19",
		.text_byte = 0xcd,
		.text_n = 50,
		.mac = "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
	{.key_byte = 0x0c,
		.key_n = 20,
		.text = "Test With Truncation",
		.mac = "a3b6167473100ee06e0c796c2955552b"},
	{.key_byte = 0xaa,
		.key_n = 131,
		.text = "Test Using Larger Than Block-Size Key - Hash Key First",
		.mac = "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
	{.key_byte = 0xaa,
		.key_n = 131,
		.text = "This is a test using a larger than block-size key and a larger than "
			"block-size data. The key needs to be hashed before being used by the HMAC "
			"algorithm.",
		.mac = "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
};

static struct span input(const char *text, uint8_t byte, size_t n, char *out)
{
	if (text != NULL)
		return span_of(text);
	memset(out, byte, n);
	return (struct span){out, n};
}

static void rfc_4231(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		const struct vector *v = &vectors[i];
		char key[256], text[256], digits[2 * HMAC_SHA256_SIZE + 1];
		uint8_t mac[HMAC_SHA256_SIZE];
		hmac_sha256(mac, input(v->key, v->key_byte, v->key_n, key),
			input(v->text, v->text_byte, v->text_n, text));
		hex_encode(digits, mac, sizeof mac);
		digits[strlen(v->mac)] = '\0';
		assert_string_equal(digits, v->mac);
	}
}

static void a_key_of_one_block_and_more(void **state)
{
	// A key longer than a block stands for its hash (RFC 2104 section 2), one of a block for
	// itself.
	uint8_t one[HMAC_SHA256_SIZE], more[HMAC_SHA256_SIZE];
	char key[65];
	memset(key, 'k', sizeof key);
	hmac_sha256(one, (struct span){key, 64}, SPAN("text"));
	hmac_sha256(more, (struct span){key, 65}, SPAN("text"));
	assert_memory_not_equal(one, more, sizeof one);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc_4231),
		cmocka_unit_test(a_key_of_one_block_and_more),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
