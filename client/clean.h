// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Text of strangers on a terminal: whatever could move the cursor, change colours or turn the
// direction of writing is shown as an escape and never acts.

#pragma once

#include "buf.h"

#include <stdio.h>

// Writes TEXT with control characters (C0, DEL, C1), bytes that are no UTF-8, and the marks that
// turn the direction of writing as \xNN or \u{NNNN}. Returns 0 or a negative errno.
int clean_add(struct buf *out, struct span text) WARN_UNUSED;
void clean_print(FILE *out, struct span text);

// The same in exactly WIDTH columns: cut, with "..." at its end, or filled with blanks.
void clean_print_cell(FILE *out, struct span text, size_t width);

// Columns TEXT takes, cleaned: one for each character (wide ones count once).
size_t clean_width(struct span text);
