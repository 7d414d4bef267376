// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Who may call the API: whoever sends a valid token, the owner's or a scoped one.

#pragma once

#include "http_head.h"
#include "store.h"

enum access_outcome {
	ACCESS_NONE = 1, // no token, none that is known, or more than one Authorization field
};

// Finds the token that HEAD carries as a bearer: that with hash OWNER, or one of STORE that is not
// over. The owner's is known without a look at the store, and takes the same time to refuse
// whatever it is compared with. Returns 0, ACCESS_NONE, or the store's error.
int access_find(const struct http_head *head, const struct secret_hash *owner, struct store *store,
	struct token *ret) WARN_UNUSED;

// Whether TOKEN, found some time ago, is valid yet. Returns as above.
int access_again(struct store *store, const struct token *token);
