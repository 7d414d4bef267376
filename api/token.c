// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "token.h"

#include "clock.h"
#include "hex.h"

#include <assert.h>

enum { ID_SIZE = 2 + BASE32_SIZE(TOKEN_ID_RANDOM) - 1 };
static_assert((int)ID_SIZE <= (int)TOKEN_ID_MAX, "an id fits");

bool token_id_ok(struct span id)
{
	static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
	if (id.n != ID_SIZE || !span_starts(id, SPAN("k-")))
		return false;
	for (size_t i = 2; i < id.n; i++)
		if (id.p[i] == '\0' || strchr(alphabet, id.p[i]) == NULL)
			return false;
	return true;
}

int64_t token_left_ms(const struct token *token)
{
	if (token_is_owner(token->id))
		return INT64_MAX;
	return MAX(0, token->expires_at * 1000 - wall_now_ms());
}

uint64_t token_left_s(const struct token *token)
{
	if (token_is_owner(token->id))
		return 0;
	return (uint64_t)MAX(1, token_left_ms(token) / 1000);
}
