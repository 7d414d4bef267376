// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Servers by their URL.

#include "server.h"

#include <stdio.h>

int server_parse(struct url *server, struct span text, const char **why)
{
	struct url parsed;
	int r = url_parse(&parsed, text, why);

	if (r == 0 && parsed.scheme == URL_TCP) {
		*why = "the URL of a server begins with https:// or http://";
		r = 1;
	}
	if (r == 0)
		*server = parsed;
	return r;
}

bool server_is_local(const struct url *server)
{
	if (server->host_kind == URL_NAME)
		return strcmp(server->host, "localhost") == 0;
	return IN6_IS_ADDR_LOOPBACK(&server->address) ||
	       (IN6_IS_ADDR_V4MAPPED(&server->address) && server->address.s6_addr[12] == 127);
}

void server_authority(const struct url *server, bool full, char out[SERVER_AUTHORITY_MAX])
{
	bool own_port = server->port == (server->scheme == URL_HTTPS ? 443 : 80);
	int n = snprintf(out, SERVER_AUTHORITY_MAX, server->host_kind == URL_IPV6 ? "[%s]" : "%s",
		server->host);

	if (full || !own_port)
		snprintf(out + n, (size_t)(SERVER_AUTHORITY_MAX - n), ":%u", server->port);
}
