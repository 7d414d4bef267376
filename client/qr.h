// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// A QR code for a terminal: two modules a character, with half blocks.

#pragma once

#include "buf.h"

enum qr_outcome { QR_TOO_WIDE = 1, QR_TOO_LONG = 2 };

// Appends the code of TEXT to OUT, with the quiet zone of four modules that readers need. COLOUR:
// black on white is asked for explicitly; else modules are drawn for a dark background, light where
// the code is light. Returns 0, QR_TOO_WIDE when it has more than COLUMNS columns, QR_TOO_LONG when
// no code holds so much, or a negative errno.
int qr_draw(struct buf *out, const char *text, unsigned columns, bool colour) WARN_UNUSED;
