// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Members of JSON objects from outside, each read as exactly what it should be.

#pragma once

#include "util.h"

#include <jansson.h>

static inline void json_p(json_t **json)
{
	json_decref(*json);
}

// TEXT as JSON, no member twice; NULL when it is not JSON or longer than MAX bytes.
json_t *json_read(struct span text, size_t max);

// The member as a text; the absent span when it is none. Lives as long as OBJECT.
struct span json_member_text(const json_t *object, const char *name);
// As hex of exactly N bytes into OUT.
bool json_member_hex(const json_t *object, const char *name, void *out, size_t n);
// As a whole number from 0 to MAX into *OUT.
bool json_member_number(const json_t *object, const char *name, uint64_t max, uint64_t *out);
// As RFC 3339 time into *OUT, seconds since the epoch.
bool json_member_time(const json_t *object, const char *name, int64_t *out);
