// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// HMAC-SHA-256 (RFC 2104, FIPS 198-1) over libmd's SHA-256: the relay links no larger library.

#pragma once

#include "util.h"

enum { HMAC_SHA256_SIZE = 32 };

// The MAC of TEXT under KEY, which may be of any length. Key and state are wiped from the stack.
void hmac_sha256(uint8_t mac[HMAC_SHA256_SIZE], struct span key, struct span text);
