// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The proxy of the environment: HTTPS_PROXY, http_proxy and NO_PROXY, as most programs read them. A
// connection through one is made by CONNECT (RFC 9110 section 9.3.6), so it sees names and ports
// and, with https, nothing else.

#pragma once

#include "buf.h"
#include "failure.h"
#include "url.h"

enum { PROXY_CREDENTIALS_MAX = 256 };

struct proxy {
	struct url url;    // host and port
	char *credentials; // value of Proxy-Authorization behind "Basic ", or NULL; secret
};

void proxy_deinit(struct proxy *proxy);

// Parses "[http://][user[:password]@]host[:port][/]"; the port is 80 if there is none, as for every
// http URL. Returns 0, 1 with *WHY (static text), or -ENOMEM. *PROXY is written only on success.
int proxy_parse(struct proxy *proxy, struct span text, const char **why) WARN_UNUSED;

// Whether NO_PROXY's LIST has SERVER: "*", its name or a name it lies below (with or without a dot
// in front), its address; with :port, that port only.
bool proxy_excepts(struct span list, const struct url *server);

// The proxy the environment names for SERVER. *RET_USED is false when there is none. Returns 0,
// EXIT_CODE_USAGE, or a negative errno.
int proxy_find(struct proxy *proxy, bool *ret_used, const struct url *server,
	struct failure *failure) WARN_UNUSED;

// Writes the CONNECT request for SERVER. Returns 0 or a negative errno.
int proxy_request(const struct proxy *proxy, const struct url *server, struct buf *out) WARN_UNUSED;
