// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "access.h"

static int find_scoped(struct store *store, const struct secret_hash *hash, struct token *ret)
{
	int r = store_token_find(store, hash, ret);
	if (r < 0)
		return r;
	return r == 0 && token_left_ms(ret) > 0 ? 0 : ACCESS_NONE;
}

int access_find(const struct http_head *head, const struct secret_hash *owner, struct store *store,
	struct token *ret)
{
	struct span text = {NULL, 0};
	unsigned n = 0;
	for (size_t i = 0; i < head->n_fields; i++)
		if (head->fields[i].id == HTTP_AUTHORIZATION) {
			text = secret_of_bearer(head->fields[i].value);
			n++;
		}
	if (n != 1 || text.n == 0)
		return ACCESS_NONE;
	int r = 0;
	struct secret_hash hash;
	secret_hash_make(&hash, text);
	if (secret_hash_equal(&hash, owner))
		*ret = (struct token){.id = TOKEN_OWNER};
	else
		r = find_scoped(store, &hash, ret);
	explicit_bzero(&hash, sizeof hash);
	return r;
}

int access_again(struct store *store, const struct token *token)
{
	struct token now;
	if (token_is_owner(token->id))
		return 0;
	int r = store_token_get(store, span_of(token->id), &now);
	if (r < 0)
		return r;
	return r == 0 && token_left_ms(&now) > 0 ? 0 : ACCESS_NONE;
}
