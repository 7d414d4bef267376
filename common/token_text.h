// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What the text of an API token may look like: what RFC 6750 lets stand after "Bearer ".

#pragma once

#include "util.h"

enum { TOKEN_TEXT_MIN = 16, TOKEN_TEXT_MAX = 512 };

// Whether TEXT can be a token: TOKEN_TEXT_MIN to TOKEN_TEXT_MAX letters, digits and -._~+/=.
// Returns 0, or 1 with *WHY set (static text that does not repeat the token).
int token_text_check(struct span text, const char **why) WARN_UNUSED;
