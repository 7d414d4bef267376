// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// CONFIG: the settings of one tunnel as one canonical string of bytes. The supervisor makes it, the
// relay enforces it, the attestor signs it; all three have the very same bytes. The secret's hash
// is not part of it.

#pragma once

#include "messages.h"
#include "origin.h"
#include "url.h"

enum tunnel_auth { AUTH_BEARER = 1, AUTH_BASIC, AUTH_NONE };
enum tunnel_prefix { PREFIX_STRIP = 1, PREFIX_KEEP };
enum backend_reuse { REUSE_VISITOR = 1, REUSE_SHARED };

enum { TUNNEL_CONFIG_MAX = 1024, TUNNEL_NAME_MAX = 128 };

struct tunnel_config {
	char id[TUNNEL_ID_MAX + 1];
	char name[TUNNEL_NAME_MAX + 1]; // for people, may be empty
	struct url backend;             // scheme 0: none, it is a pull tunnel
	enum tunnel_auth auth;
	enum tunnel_prefix prefix;
	enum backend_reuse reuse;
	enum tunnel_origin origin; // the one that comes first
	uint64_t port;             // its own, 0: none
	uint64_t life_ms;          // from ready to end
	uint64_t max_connections;  // at once
	uint64_t max_requests;     // in all, 0: no limit
	uint64_t max_bytes;    // bodies and relayed bytes of both directions in all, 0: no limit
	uint64_t request_rate; // a second, 0: no limit
};

// Whether the tunnel leads to where its agents are, which connect to us: it has no backend then.
static inline bool tunnel_config_pull(const struct tunnel_config *config)
{
	return config->backend.scheme == 0;
}

// Returns the length of the canonical form in OUT.
size_t tunnel_config_encode(const struct tunnel_config *config, uint8_t out[TUNNEL_CONFIG_MAX]);

// Returns 0 or -EBADMSG for anything encode would not have made.
int tunnel_config_decode(struct tunnel_config *config, const void *bytes, size_t n) WARN_UNUSED;

// "t-" and lower-case base32 only, of the right length.
bool tunnel_id_ok(struct span id);

// Names of the settings as people write them; 0 when TEXT is none of them.
enum tunnel_auth tunnel_auth_parse(struct span text);
enum tunnel_prefix tunnel_prefix_parse(struct span text);
const char *tunnel_auth_name(enum tunnel_auth auth);
const char *tunnel_prefix_name(enum tunnel_prefix prefix);
const char *backend_reuse_name(enum backend_reuse reuse);
