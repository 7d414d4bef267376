// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The input is the head of a request. What is taken for an agent's handshake is a GET that asks for
// an upgrade, with a key of 16 bytes that lies within the head; whatever is refused is told why.

#include "check.h"
#include "handshake.h"
#include "websocket_accept.h"

static void check_taken(const struct http_head *head, struct span key, const char *bytes)
{
	CHECK(head->method == HTTP_GET && head->upgrade && head->minor == 1);
	CHECK(key.p >= bytes && key.p + key.n <= bytes + head->size);
	CHECK(websocket_nonce_ok(key));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *bytes = (const char *)data, *why = NULL;
	size_t scanned = 0, n = 0;
	struct http_head head;
	struct span key = {NULL, 0};

	if (http_head_find(bytes, size, true, &scanned, &n) != HTTP_OK ||
		http_request_parse(&head, bytes, n, &why) != HTTP_OK)
		return 0;
	int outcome = handshake_check(&head, &key, &why);
	if (outcome == 0)
		check_taken(&head, key, bytes);
	else
		CHECK((outcome == HANDSHAKE_UPGRADE || outcome == HANDSHAKE_BAD) && why != NULL);
	return 0;
}
