// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Secrets and tokens: only their SHA-256 is kept, compared in constant time.

#pragma once

#include "util.h"

enum { SECRET_HASH_SIZE = 32 };

struct secret_hash {
	uint8_t bytes[SECRET_HASH_SIZE];
};

// SHA-256 of SECRET. The hash state is wiped.
void secret_hash_make(struct secret_hash *hash, struct span secret);

// Takes the same time for any two values.
bool secret_hash_equal(const struct secret_hash *a, const struct secret_hash *b);

// Whether SECRET is the one HASH was made of; the absent span is nobody's.
bool secret_is(const struct secret_hash *hash, struct span secret);

// The secret an Authorization value carries, pointing into VALUE: of `Bearer S` all of S.
// Returns the absent span when it is not of that scheme.
struct span secret_of_bearer(struct span value);

enum { SECRET_BASIC_MAX = 1024 }; // bytes of user and password that are worth decoding
// Of `Basic base64(user:S)`: decodes into OUT (wipe it afterwards) and returns S inside it; the
// absent span when it is not Basic, malformed or longer than SIZE.
struct span secret_of_basic(struct span value, char *out, size_t size);

// The line that asks for it, for a tunnel's id. Every tunnel has a realm of its own: browsers send
// what was entered for one to whoever of the same web origin asks in the same words.
#define SECRET_BASIC_CHALLENGE "WWW-Authenticate: Basic realm=\"tunnel %s\", charset=\"UTF-8\"\r\n"
