// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Web origins of tunnels. Every tunnel is found below /t/<id>/ on the one origin that all share. It
// can have origins of its own besides: a port of its own (port_pool), and a host name of its own
// (wildcard_domain). There it is at the root, and what it may not use is a few paths of ours.

#pragma once

#include "messages.h"

enum tunnel_origin { ORIGIN_PATH = 1, ORIGIN_PORT, ORIGIN_WILDCARD, ORIGINS };

// "path", "port", "wildcard"; empty for 0. Parsing returns 0 when TEXT is none.
const char *tunnel_origin_name(enum tunnel_origin origin);
enum tunnel_origin tunnel_origin_parse(struct span text);

enum { ORIGIN_TEXT_MAX = 300, ORIGIN_URL_MAX = ORIGIN_TEXT_MAX + TUNNEL_ID_MAX + 8 };

// Where they are, as URLs without a slash at the end. In all but the first, `{id}` stands for the
// tunnel's id and `{port}` for its port; empty: there are none.
struct origins {
	char url[ORIGINS][ORIGIN_TEXT_MAX + 1]; // by enum tunnel_origin
};

// Reads them from the fields of MSG_ORIGINS.
enum { ORIGINS_TRUSTED, ORIGINS_URLS, ORIGINS_CONTROL = ORIGINS_URLS + ORIGINS - 1 };
void origins_read(struct origins *origins, const struct wire_value *fields);

// Writes where tunnel ID, whose own port is PORT (0: it has none), is found on ORIGIN, with the
// slash at its end. Returns the length, or 0 when it is not found there.
size_t origin_url(const struct origins *origins, enum tunnel_origin origin, const char *id,
	uint16_t port, char out[ORIGIN_URL_MAX]);

// The origin that comes first: WANTED (0: no wish) if the tunnel has it, else its host name, its
// port, or the path that every tunnel has.
enum tunnel_origin origin_best(
	const struct origins *origins, enum tunnel_origin wanted, uint16_t port);

// The tunnel whose own host name AUTHORITY (of a Host field) has, whatever its port, inside it;
// WILDCARD_URL is of struct origins. Absent when it is another name. Whether that tunnel lives is
// for others to say.
struct span origin_wildcard_id(const char *wildcard_url, struct span authority);

// Whether PATH is one of ours on every origin: /_api, /_t and what is below them.
bool origin_path_is_ours(struct span path);
