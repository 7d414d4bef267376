// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What stands behind the `?` of an address, one parameter after the other. Nothing is decoded: no
// value of ours needs that.

#pragma once

#include "findings.h"

// Takes the next parameter off TEXT. Returns false at the end.
bool query_next(struct span *text, struct span *name, struct span *value);

// A decimal number from 1 to MAX without sign or leading zero; 0 if TEXT is none.
int64_t query_number(struct span text, int64_t max);

// NAME is no parameter here; KNOWN are, as a list in words.
void query_unknown(struct findings *findings, struct span name, const char *known);
