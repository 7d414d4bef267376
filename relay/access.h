// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Who may pass: the tunnel's `auth` mode against what a request brings.

#pragma once

#include "code.h"
#include "cookie.h"
#include "http_head.h"
#include "secret.h"
#include "tunnel_config.h"

struct access_verdict {
	enum code refused;  // CODE_NONE: may pass; else CODE_AUTH_REQUIRED or CODE_AUTH_FAILED
	bool authorization; // the Authorization field is not ours: it goes on to the backend
};

// X-Tunnel-Authorization, when present, is the one that counts; Authorization is then the
// backend's. Bearer mode takes `Bearer S`, basic mode `Basic base64(anyone:S)`. The secret is
// compared by its hash, in constant time. In bearer mode the tunnel cookie (cookie.h) will do as
// well, when X-Tunnel-Authorization is absent; an Authorization that is not the secret is then the
// backend's. KNOWN: of cookie_check().
struct access_verdict access_check(const struct tunnel_config *config,
	const struct secret_hash *secret, struct cookie_known *known,
	const struct http_head *request);

enum { ACCESS_CHALLENGE_SIZE = 80 + TUNNEL_ID_MAX };

// Writes the WWW-Authenticate line, with CR LF, that goes with a refusal by this tunnel.
struct span access_challenge(const struct tunnel_config *config, char out[ACCESS_CHALLENGE_SIZE]);
