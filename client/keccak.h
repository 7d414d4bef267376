// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Keccak-256, as Ethereum has it and dstack with that: SHA3-256 of FIPS 202 but for the padding,
// which is that of the submission. OpenSSL 3.0 has only the standard's. It is not fast, and nothing
// secret goes through it.

#pragma once

#include "util.h"

enum { KECCAK256_SIZE = 32 };

void keccak256(uint8_t out[KECCAK256_SIZE], struct span bytes);
