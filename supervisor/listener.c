// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "listener.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>

enum {
	BACKLOG = 4096, // the kernel caps it at net.core.somaxconn
	KEEPALIVE_IDLE_S = 60,
	KEEPALIVE_INTERVAL_S = 20,
	KEEPALIVE_PROBES = 3,
	DEFER_ACCEPT_S = 1, // longest a connection without bytes is kept back
};

struct option {
	int level, name, value;
};

static int set_all(int fd, const struct option *options, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (setsockopt(fd, options[i].level, options[i].name, &options[i].value,
			    sizeof options[i].value) < 0)
			return -errno;
	return 0;
}

int listener_set_options(int fd)
{
	static const struct option options[] = {
		{IPPROTO_TCP, TCP_NODELAY, 1},
		{SOL_SOCKET, SO_KEEPALIVE, 1},
		// Urgent bytes stay in the stream, as every reader that knows no others expects.
		{SOL_SOCKET, SO_OOBINLINE, 1},
		{IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
		{IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S},
		{IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES},
	};
	const struct linger linger = {.l_onoff = 1, .l_linger = 0};

	if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger) < 0)
		return -errno;
	return set_all(fd, options, ARRAY_SIZE(options));
}

int listener_open(const struct sockaddr *address, bool only_v6)
{
	static const struct option options[] = {
		{SOL_SOCKET, SO_REUSEADDR, 1},
		{IPPROTO_TCP, TCP_DEFER_ACCEPT, DEFER_ACCEPT_S},
	};
	const struct option v6_only = {IPPROTO_IPV6, IPV6_V6ONLY, only_v6};
	CLEANUP(close_p)
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int r;

	if (fd < 0)
		return -errno;
	if ((r = listener_set_options(fd)) < 0 ||
		(r = set_all(fd, options, ARRAY_SIZE(options))) < 0)
		return r;
	// Said explicitly because the machine's default (net.ipv6.bindv6only) may be either.
	if (address->sa_family == AF_INET6 && (r = set_all(fd, &v6_only, 1)) < 0)
		return r;
	if (bind(fd, address, listener_address_size(address)) < 0 || listen(fd, BACKLOG) < 0)
		return -errno;
	return take_fd(&fd);
}

uint16_t listener_port(const struct sockaddr *address)
{
	const struct sockaddr_in *in = (const void *)address;
	const struct sockaddr_in6 *in6 = (const void *)address;

	return ntohs(address->sa_family == AF_INET6 ? in6->sin6_port : in->sin_port);
}

void listener_set_port(struct sockaddr *address, uint16_t port)
{
	struct sockaddr_in *in = (void *)address;
	struct sockaddr_in6 *in6 = (void *)address;

	if (address->sa_family == AF_INET6)
		in6->sin6_port = htons(port);
	else
		in->sin_port = htons(port);
}

bool listener_is_wildcard(const struct sockaddr *address)
{
	const struct sockaddr_in *in = (const void *)address;
	const struct sockaddr_in6 *in6 = (const void *)address;

	return address->sa_family == AF_INET6 ? IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr)
					      : in->sin_addr.s_addr == htonl(INADDR_ANY);
}

bool listener_same_host(const struct sockaddr *a, const struct sockaddr *b)
{
	const struct sockaddr_in *in = (const void *)a, *other = (const void *)b;
	const struct sockaddr_in6 *in6 = (const void *)a, *other6 = (const void *)b;

	if (a->sa_family != b->sa_family)
		return false;
	if (a->sa_family == AF_INET6)
		return memcmp(&in6->sin6_addr, &other6->sin6_addr, sizeof in6->sin6_addr) == 0;
	return in->sin_addr.s_addr == other->sin_addr.s_addr;
}

const char *listener_format(const struct sockaddr *address, char out[LISTENER_TEXT_MAX])
{
	char host[INET6_ADDRSTRLEN];

	if (address->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)address;
		inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
		snprintf(out, LISTENER_TEXT_MAX, "[%s]:%u", host, ntohs(in6->sin6_port));
	} else {
		const struct sockaddr_in *in = (const void *)address;
		inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
		snprintf(out, LISTENER_TEXT_MAX, "%s:%u", host, ntohs(in->sin_port));
	}
	return out;
}
