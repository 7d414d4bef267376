// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

void peer_encode(uint8_t peer[PEER_SIZE], const struct sockaddr *address)
{
	memset(peer, 0, PEER_SIZE);
	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)address;
		memcpy(peer, mapped, sizeof mapped);
		memcpy(peer + 12, &in->sin_addr, 4);
		memcpy(peer + 16, &in->sin_port, 2);
	} else if (address->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)address;
		memcpy(peer, &in6->sin6_addr, 16);
		memcpy(peer + 16, &in6->sin6_port, 2);
	}
}

static bool parse(struct span text, int family, void *address)
{
	char terminated[INET6_ADDRSTRLEN];
	if (text.n == 0 || text.n >= sizeof terminated)
		return false;
	memcpy(terminated, text.p, text.n);
	terminated[text.n] = '\0';
	return strlen(terminated) == text.n && inet_pton(family, terminated, address) == 1;
}

bool peer_parse(uint8_t peer[PEER_SIZE], struct span text, int family)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
	if (family != AF_INET6 && parse(text, AF_INET, &in.sin_addr))
		peer_encode(peer, (const struct sockaddr *)&in);
	else if (family != AF_INET && parse(text, AF_INET6, &in6.sin6_addr))
		peer_encode(peer, (const struct sockaddr *)&in6);
	else
		return false;
	return true;
}

void peer_set_port(uint8_t peer[PEER_SIZE], uint16_t port)
{
	peer[16] = (uint8_t)(port >> 8);
	peer[17] = (uint8_t)port;
}

struct span peer_format(const uint8_t peer[PEER_SIZE], char text[PEER_TEXT_SIZE])
{
	static const uint8_t unknown[16];
	if (memcmp(peer, unknown, sizeof unknown) == 0)
		return SPAN("unknown");
	if (memcmp(peer, mapped, sizeof mapped) != 0)
		return span_of(inet_ntop(AF_INET6, peer, text, PEER_TEXT_SIZE));
	// By hand: this is done for every request.
	char *p = text;
	for (int i = 12; i < 16; i++) {
		uint8_t n = peer[i];
		if (n >= 100)
			*p++ = (char)('0' + n / 100);
		if (n >= 10)
			*p++ = (char)('0' + n / 10 % 10);
		*p++ = (char)('0' + n % 10);
		*p++ = '.';
	}
	p[-1] = '\0';
	return (struct span){text, (size_t)(p - 1 - text)};
}
