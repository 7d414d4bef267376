// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "access.h"

bool access_is_owner(const struct http_head *head, const struct secret_hash *owner)
{
	struct span token = {NULL, 0};
	unsigned n = 0;
	for (size_t i = 0; i < head->n_fields; i++)
		if (head->fields[i].id == HTTP_AUTHORIZATION) {
			token = secret_of_bearer(head->fields[i].value);
			n++;
		}
	if (n != 1 || token.n == 0)
		return false;
	struct secret_hash hash;
	secret_hash_make(&hash, token);
	bool equal = secret_hash_equal(&hash, owner);
	explicit_bzero(&hash, sizeof hash);
	return equal;
}
