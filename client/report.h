// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// A verification as its reader wants it: one line a check, or a JSON object.

#pragma once

#include "verify.h"

#include <stdio.h>

// One line for every check that was made or is missing, the facts a person compares, and the
// verdict in the last line.
void report_print(FILE *out, const struct verification *verification);

// The same for programs, with all fields of the quote (docs/verify.md lists the members). The
// caller owns it; NULL for lack of memory.
json_t *report_json(const struct verification *verification);
