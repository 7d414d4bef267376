// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "token_text.h"

static bool is_token_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("-._~+/=", c) != NULL);
}

int token_text_check(struct span text, const char **why)
{
	for (size_t i = 0; i < text.n; i++) {
		if (!is_token_char(text.p[i])) {
			*why = "a token is made of letters, digits and -._~+/= only";
			return 1;
		}
	}
	if (text.n < TOKEN_TEXT_MIN) {
		*why = "the token is too short: at least 16 characters, better 43 or more random ones";
		return 1;
	}
	if (text.n > TOKEN_TEXT_MAX) {
		*why = "the token is too long: at most 512 characters";
		return 1;
	}
	return 0;
}
