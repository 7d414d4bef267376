// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "shown.h"

#include "clock.h"
#include "cookie.h"

bool shown_secret(const struct request *request, const struct tunnel *tunnel)
{
	static const enum http_name names[] = {HTTP_AUTHORIZATION, HTTP_X_TUNNEL_AUTHORIZATION};
	char decoded[SECRET_BASIC_MAX];
	bool shown = false;
	for (size_t i = 0; i < ARRAY_SIZE(names) && !shown; i++) {
		const struct http_field *field = http_head_field(&request->head, names[i]);
		if (field != NULL)
			shown = secret_is(&tunnel->secret_hash, secret_of_bearer(field->value)) ||
				secret_is(&tunnel->secret_hash,
					secret_of_basic(field->value, decoded, sizeof decoded));
	}
	explicit_bzero(decoded, sizeof decoded);
	return shown;
}

bool shown_cookie(const struct request *request, const struct tunnel *tunnel)
{
	struct cookie_known known = {0};
	for (size_t i = 0; i < request->head.n_fields; i++) {
		const struct http_field *field = &request->head.fields[i];
		if (field->id == HTTP_COOKIE &&
			cookie_check(field->value, tunnel->id, &tunnel->secret_hash, wall_now(),
				&known) == COOKIE_RIGHT)
			return true;
	}
	return false;
}
