// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "control_host.h"

#include <arpa/inet.h>

// AUTHORITY without its port. What is in brackets has no other colon behind them.
static struct span host_of(struct span authority)
{
	size_t n = authority.n;
	while (n > 0 && authority.p[n - 1] >= '0' && authority.p[n - 1] <= '9')
		n--;
	bool port = n > 0 && authority.p[n - 1] == ':';
	return (struct span){authority.p, port ? n - 1 : authority.n};
}

static bool is_address(struct span host)
{
	char text[INET_ADDRSTRLEN];
	struct in_addr address;
	if (host.n > 0 && host.p[0] == '[')
		return true; // the parser takes nothing but an address there
	if (host.n >= sizeof text)
		return false;
	memcpy(text, host.p, host.n);
	text[host.n] = '\0';
	return inet_pton(AF_INET, text, &address) == 1;
}

// `localhost` and what is below it lead to the loopback interface (RFC 6761, section 6.3).
static bool is_localhost(struct span host)
{
	static const struct span name = SPAN_INIT("localhost");
	if (host.n < name.n)
		return false;
	struct span end = {host.p + host.n - name.n, name.n};
	return span_eq_nocase(end, name) && (host.n == name.n || end.p[-1] == '.');
}

bool control_host_ok(struct span authority, struct span own)
{
	struct span host = host_of(authority);
	return authority.p == NULL || is_address(host) || is_localhost(host) ||
	       (own.n > 0 && span_eq_nocase(host, own));
}
