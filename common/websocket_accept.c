// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "websocket_accept.h"

#include "hex.h"

#include <sha1.h>

bool websocket_nonce_ok(struct span key)
{
	uint8_t nonce[16];
	return base64_decode(nonce, sizeof nonce, key) == sizeof nonce;
}

void websocket_accept(struct span key, char out[WEBSOCKET_ACCEPT_SIZE])
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; // section 1.3
	char text[WEBSOCKET_ACCEPT_SIZE + 1];
	uint8_t digest[SHA1_DIGEST_LENGTH];
	SHA1_CTX sha1;

	SHA1Init(&sha1);
	SHA1Update(&sha1, (const uint8_t *)key.p, key.n);
	SHA1Update(&sha1, (const uint8_t *)guid, sizeof guid - 1);
	SHA1Final(digest, &sha1);
	base64_encode(text, digest, sizeof digest);
	memcpy(out, text, WEBSOCKET_ACCEPT_SIZE);
}
