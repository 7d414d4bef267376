// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What the attestor has signed at the end of a tunnel, as it is stored.

#pragma once

#include "messages.h"
#include "secret.h"

struct receipt {
	struct secret_hash instance; // SHA-256 of the instance statement that certifies the key
	uint8_t signature[64];
	size_t n;
	char statement[STATEMENT_MAX];
};
