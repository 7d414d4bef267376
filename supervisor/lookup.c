// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "lookup.h"

#include <netdb.h>
#include <sys/socket.h>

// Of glibc's <nss.h>, which declares it for its own modules.
extern int __nss_configure_lookup(const char *database, const char *services);

void lookup_init(void)
{
	__nss_configure_lookup("hosts", "files dns");
}

static struct in6_addr address_of(const struct addrinfo *info)
{
	struct in6_addr address = {{{[10] = 0xff, [11] = 0xff}}};

	if (info->ai_family == AF_INET6)
		return ((const struct sockaddr_in6 *)(const void *)info->ai_addr)->sin6_addr;
	memcpy(address.s6_addr + 12,
		&((const struct sockaddr_in *)(const void *)info->ai_addr)->sin_addr, 4);
	return address;
}

static bool holds(const struct in6_addr *addresses, size_t n, const struct in6_addr *address)
{
	for (size_t i = 0; i < n; i++)
		if (IN6_ARE_ADDR_EQUAL(&addresses[i], address))
			return true;
	return false;
}

size_t lookup_name(const char *name, struct in6_addr addresses[ADDRESSES_MAX], const char **why)
{
	const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL;
	size_t n = 0;
	int r = getaddrinfo(name, NULL, &hints, &list);

	if (r != 0) {
		*why = r == EAI_SYSTEM ? strerror(errno) : gai_strerror(r);
		return 0;
	}
	for (const struct addrinfo *i = list; i != NULL && n < ADDRESSES_MAX; i = i->ai_next) {
		if (i->ai_family != AF_INET && i->ai_family != AF_INET6)
			continue;
		struct in6_addr address = address_of(i);
		if (!holds(addresses, n, &address))
			addresses[n++] = address;
	}
	freeaddrinfo(list);
	*why = "it has no IP address";
	return n;
}
