// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Bytes as text: lower-case hex, and lower-case base32 without padding (RFC 4648 section 6
// alphabet).

#pragma once

#include "util.h"

// Writes 2 * N digits and a NUL.
void hex_encode(char *out, const void *bytes, size_t n);
// Reads exactly 2 * N digits of either case. Returns 0 or -EINVAL.
int hex_decode(void *out, size_t n, struct span text) WARN_UNUSED;

#define BASE32_SIZE(n) (((n)*8 + 4) / 5 + 1)
// Writes BASE32_SIZE(n) - 1 characters and a NUL.
void base32_encode(char *out, const void *bytes, size_t n);

#define BASE64_SIZE(n) (((n) + 2) / 3 * 4 + 1)
// Writes base64 with padding (RFC 4648 section 4): BASE64_SIZE(n) - 1 characters and a NUL.
void base64_encode(char *out, const void *bytes, size_t n);

// Decodes base64 (RFC 4648 section 4, padding required) into OUT of SIZE bytes. Returns the number
// of bytes, or -EINVAL for anything malformed or too long.
int base64_decode(void *out, size_t size, struct span text) WARN_UNUSED;
