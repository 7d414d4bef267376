// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "proxy_header.h"

#include "peer.h"

#include <netinet/in.h>

// ---- version 1: a line of text

enum { LINE_MAX = 107 }; // with CR LF (section 2.1)

// Takes what stands before the next blank, or all there is, off REST.
static struct span next_word(struct span *rest)
{
	const char *blank = rest->n > 0 ? memchr(rest->p, ' ', rest->n) : NULL;
	struct span word = {rest->p, blank != NULL ? (size_t)(blank - rest->p) : rest->n};
	size_t gone = word.n + (blank != NULL);
	*rest = (struct span){rest->p + gone, rest->n - gone};
	return word;
}

// A decimal number without needless zeros, up to 65535.
static bool port_parse(struct span text, uint16_t *port)
{
	uint32_t number = 0;
	if (text.n == 0 || text.n > 5 || (text.n > 1 && text.p[0] == '0'))
		return false;
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] < '0' || text.p[i] > '9')
			return false;
		number = number * 10 + (uint32_t)(text.p[i] - '0');
	}
	*port = (uint16_t)number;
	return number <= UINT16_MAX;
}

// REST is what follows "PROXY ", without CR LF.
static int line_parse(struct span rest, uint8_t peer[PEER_SIZE])
{
	uint8_t source[PEER_SIZE], target[PEER_SIZE];
	uint16_t source_port, target_port;
	struct span kind = next_word(&rest);
	if (span_eq(kind, SPAN("UNKNOWN")))
		return 0; // whatever follows is to be ignored
	int family = span_eq(kind, SPAN("TCP4")) ? AF_INET : AF_INET6;
	if (family == AF_INET6 && !span_eq(kind, SPAN("TCP6")))
		return PROXY_HEADER_BAD;
	if (!peer_parse(source, next_word(&rest), family) ||
		!peer_parse(target, next_word(&rest), family) ||
		!port_parse(next_word(&rest), &source_port) || !port_parse(rest, &target_port))
		return PROXY_HEADER_BAD;
	peer_set_port(source, source_port);
	memcpy(peer, source, PEER_SIZE);
	return 0;
}

static int text_parse(struct span bytes, uint8_t peer[PEER_SIZE], size_t *size)
{
	static const struct span lead = SPAN_INIT("PROXY ");
	size_t most = MIN(bytes.n, (size_t)LINE_MAX);
	const char *end = memmem(bytes.p, most, "\r\n", 2);
	if (!span_starts(bytes, (struct span){lead.p, MIN(lead.n, bytes.n)}))
		return PROXY_HEADER_BAD;
	if (end == NULL)
		return bytes.n >= LINE_MAX ? PROXY_HEADER_BAD : PROXY_HEADER_MORE;
	struct span line = {bytes.p, (size_t)(end - bytes.p)};
	if (line.n < lead.n)
		return PROXY_HEADER_BAD;
	int r = line_parse((struct span){line.p + lead.n, line.n - lead.n}, peer);
	if (r == 0)
		*size = line.n + 2;
	return r;
}

// ---- version 2: binary (section 2.2)

static const char signature[12] = "\r\n\r\n\0\r\nQUIT\n";

enum { FIXED = 16, COMMAND_LOCAL = 0, COMMAND_PROXY = 1, TLV_HEAD = 3 };

// What may be said of a connection: family and transport in one byte, and the bytes both addresses
// take. Datagrams do not come by a stream.
static const struct kind {
	uint8_t byte;
	int family;
	size_t size;
} kinds[] = {
	{0x00, AF_UNSPEC, 0},
	{0x11, AF_INET, 12},
	{0x21, AF_INET6, 36},
	{0x31, AF_UNIX, 216},
};

static const struct kind *kind_find(uint8_t byte)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (kinds[i].byte == byte)
			return &kinds[i];
	return NULL;
}

static size_t big_endian(const uint8_t *p)
{
	return (size_t)p[0] << 8 | p[1];
}

// Whether REST bytes from P on are extensions, each with its length, and nothing else.
static bool extensions_fit(const uint8_t *p, size_t rest)
{
	while (rest >= TLV_HEAD) {
		size_t size = TLV_HEAD + big_endian(p + 1);
		if (size > rest)
			return false;
		p += size;
		rest -= size;
	}
	return rest == 0;
}

// ADDRESS and PORT are as they stand in the header.
static void peer_take(uint8_t peer[PEER_SIZE], int family, const void *address, const void *port)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
	if (family == AF_INET) {
		memcpy(&in.sin_addr, address, sizeof in.sin_addr);
		memcpy(&in.sin_port, port, sizeof in.sin_port);
		peer_encode(peer, (const struct sockaddr *)&in);
	} else {
		memcpy(&in6.sin6_addr, address, sizeof in6.sin6_addr);
		memcpy(&in6.sin6_port, port, sizeof in6.sin6_port);
		peer_encode(peer, (const struct sockaddr *)&in6);
	}
}

// BODY: what follows the fixed part, of length N.
static int addresses_parse(
	const struct kind *kind, const uint8_t *body, size_t n, uint8_t peer[PEER_SIZE])
{
	if (kind == NULL || n < kind->size)
		return PROXY_HEADER_BAD;
	// Of AF_UNSPEC the rest is to be ignored.
	if (kind->family != AF_UNSPEC && !extensions_fit(body + kind->size, n - kind->size))
		return PROXY_HEADER_BAD;
	if (kind->family == AF_UNIX)
		memset(peer, 0, PEER_SIZE);
	else if (kind->family != AF_UNSPEC) // source, target, source port, target port
		peer_take(peer, kind->family, body, body + kind->size - 4);
	return 0;
}

static int binary_parse(struct span bytes, uint8_t peer[PEER_SIZE], size_t *size)
{
	const uint8_t *p = (const uint8_t *)bytes.p;
	if (memcmp(p, signature, MIN(bytes.n, sizeof signature)) != 0)
		return PROXY_HEADER_BAD;
	if (bytes.n < FIXED)
		return PROXY_HEADER_MORE;
	size_t n = big_endian(p + 14);
	uint8_t command = p[12] & 0xf;
	if (p[12] >> 4 != 2 || command > COMMAND_PROXY || FIXED + n > PROXY_HEADER_MAX)
		return PROXY_HEADER_BAD;
	if (bytes.n < FIXED + n)
		return PROXY_HEADER_MORE;
	int r = command == COMMAND_LOCAL ? 0
					 : addresses_parse(kind_find(p[13]), p + FIXED, n, peer);
	if (r == 0)
		*size = FIXED + n;
	return r;
}

int proxy_header_parse(const char *bytes, size_t n, uint8_t peer[PEER_SIZE], size_t *size)
{
	if (n == 0)
		return PROXY_HEADER_MORE;
	struct span all = {bytes, n};
	return bytes[0] == 'P' ? text_parse(all, peer, size) : binary_parse(all, peer, size);
}
