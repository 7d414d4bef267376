// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "networks.h"

enum { MAPPED_BITS = 96 };

int networks_keep(struct span *kept, struct span given)
{
	if (given.n == 0)
		return 0;
	if (kept->p != NULL)
		return -EBADMSG;
	char *copy = malloc(given.n);
	if (copy == NULL)
		return -ENOMEM;
	memcpy(copy, given.p, given.n);
	*kept = (struct span){copy, given.n};
	return 0;
}

static bool is_mapped(const uint8_t *address)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	return memcmp(address, mapped, sizeof mapped) == 0;
}

static bool has(const uint8_t *network, const uint8_t *address)
{
	unsigned bits = network[16], whole = bits / 8, rest = bits % 8;
	if (bits > 128 || (bits < MAPPED_BITS && is_mapped(address)))
		return false;
	if (memcmp(network, address, whole) != 0)
		return false;
	return rest == 0 || (network[whole] ^ address[whole]) >> (8 - rest) == 0;
}

bool networks_have(struct span networks, const uint8_t peer[PEER_SIZE])
{
	const uint8_t *p = (const uint8_t *)networks.p;
	for (size_t i = 0; i + NETWORK_SIZE <= networks.n; i += NETWORK_SIZE)
		if (has(p + i, peer))
			return true;
	return false;
}
