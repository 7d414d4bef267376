// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// API tokens. The owner's comes from the configuration and may do everything; scoped ones are rows
// of the database, for somebody who may make some tunnels for some time and sees no others.

#pragma once

#include "tunnel.h"

enum {
	TOKEN_ID_RANDOM = 16, // bytes; "k-" and base32 of them
	TOKEN_RANDOM = 32,
	TOKEN_QUOTA_DEFAULT = 10,
	TOKEN_LIFE_DEFAULT_S = 30 * 86400,
	TOKEN_LIFE_MAX_S = 365 * 86400,
};

struct token {
	char id[TOKEN_ID_MAX + 1]; // TOKEN_OWNER: nothing below but `name` has a meaning
	char name[TUNNEL_NAME_MAX + 1];
	struct secret_hash hash;
	uint64_t quota; // tunnels that may be starting or active at once
	int64_t created_at, expires_at;
};

bool token_id_ok(struct span id);

// How long TOKEN is valid yet, in milliseconds, by the wall clock; 0 when it is over. INT64_MAX for
// the owner's.
int64_t token_left_ms(const struct token *token);

// The same in whole seconds, at least 1; 0 for the owner's: no end.
uint64_t token_left_s(const struct token *token);
