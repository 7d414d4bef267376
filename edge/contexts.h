// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// How visitors are met: an OpenSSL context for each certificate, and the choice among them by the
// name a visitor asks for (SNI, RFC 6066 section 3).
//
// Versions, ciphers and groups are Mozilla's "intermediate" list
// (https://wiki.mozilla.org/Security/Server_Side_TLS).

#pragma once

#include "messages.h"

#include <openssl/ssl.h>

struct contexts {
	SSL_CTX *items[CHAINS_MAX]; // the first is for whoever names no other
	size_t n;
	SSL_CTX *next[CHAINS_MAX]; // being received, to replace them
	size_t n_next;
};

enum { CONTEXTS_COMPLETE = 1, CONTEXTS_INVALID = 2 };

// Takes certificate INDEX of COUNT. The last one replaces all there were, for new connections.
// Returns 0, CONTEXTS_COMPLETE, CONTEXTS_INVALID with *WHY (and all stays as it was), or a negative
// errno: -EBADMSG when it is not the one that was to come next.
int contexts_add(struct contexts *contexts, size_t index, size_t count, struct span chain,
	int key_fd, const char **why);

// A connection of a visitor; NULL without memory or certificates.
SSL *contexts_accept(struct contexts *contexts);
