// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "hmac.h"

#include <sha2.h>

enum { INNER = 0x36, OUTER = 0x5c };

// One of the two nested hashes, begun: the key as one block, each byte xored with PAD.
static void begin(SHA2_CTX *context, const uint8_t block[SHA256_BLOCK_LENGTH], uint8_t pad)
{
	uint8_t padded[SHA256_BLOCK_LENGTH];
	for (size_t i = 0; i < sizeof padded; i++)
		padded[i] = block[i] ^ pad;
	SHA256Init(context);
	SHA256Update(context, padded, sizeof padded);
	explicit_bzero(padded, sizeof padded);
}

static void key_block(uint8_t block[SHA256_BLOCK_LENGTH], SHA2_CTX *context, struct span key)
{
	memset(block, 0, SHA256_BLOCK_LENGTH);
	if (key.n <= SHA256_BLOCK_LENGTH) {
		memcpy(block, key.p, key.n);
		return;
	}
	SHA256Init(context);
	SHA256Update(context, (const uint8_t *)key.p, key.n);
	SHA256Final(block, context);
}

void hmac_sha256(uint8_t mac[HMAC_SHA256_SIZE], struct span key, struct span text)
{
	uint8_t block[SHA256_BLOCK_LENGTH];
	SHA2_CTX context;
	key_block(block, &context, key);
	begin(&context, block, INNER);
	SHA256Update(&context, (const uint8_t *)text.p, text.n);
	SHA256Final(mac, &context);
	begin(&context, block, OUTER);
	SHA256Update(&context, mac, HMAC_SHA256_SIZE);
	SHA256Final(mac, &context);
	explicit_bzero(block, sizeof block);
	explicit_bzero(&context, sizeof context);
}
