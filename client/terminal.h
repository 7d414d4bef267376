// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What the standard streams are: how wide, and whether colours belong there.

#pragma once

#include "util.h"

#include <stdio.h>

enum terminal_style { STYLE_NONE, STYLE_BOLD, STYLE_DIM, STYLE_GOOD, STYLE_WARN, STYLE_BAD };

bool terminal_is(FILE *stream);

// Columns of the terminal, from 40 on; 80 if it does not say, 0 if it is none.
size_t terminal_width(FILE *stream);

// What begins and what ends STYLE on STREAM; empty when it is no terminal or NO_COLOR is set
// (https://no-color.org).
const char *terminal_on(FILE *stream, enum terminal_style style);
const char *terminal_off(FILE *stream, enum terminal_style style);

// Prints TEXT, which begins at column INDENT, in lines of 79 columns that begin there too.
void terminal_wrap(FILE *out, size_t indent, const char *text);
