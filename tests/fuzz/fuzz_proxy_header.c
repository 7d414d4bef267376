// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// PROXY headers of any form. However the bytes come, the outcome is that of all of them; what is
// behind a header changes nothing; and an outcome of "more" is never given with the longest there.

#include "check.h"
#include "proxy_header.h"

static int parse(const uint8_t *data, size_t n, uint8_t peer[PEER_SIZE], size_t *size)
{
	memset(peer, 7, PEER_SIZE);
	*size = 0;
	return proxy_header_parse((const char *)data, n, peer, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint8_t whole[PEER_SIZE], part[PEER_SIZE];
	size_t size, part_size, i = 0;
	int r = parse(data, n, whole, &size), s = PROXY_HEADER_MORE;
	while (s == PROXY_HEADER_MORE && i < n)
		s = parse(data, ++i, part, &part_size);
	CHECK(r == s);
	CHECK(r != PROXY_HEADER_MORE || n < PROXY_HEADER_MAX);
	if (r != 0)
		return 0;
	CHECK(size == i && part_size == i && size <= PROXY_HEADER_MAX);
	CHECK(memcmp(whole, part, PEER_SIZE) == 0);
	return 0;
}
