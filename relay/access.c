// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "access.h"

#include "clock.h"

#include <stdio.h>

static bool credential_ok(
	enum tunnel_auth auth, const struct secret_hash *secret, struct span credential)
{
	if (auth == AUTH_BEARER)
		return secret_is(secret, secret_of_bearer(credential));
	char decoded[SECRET_BASIC_MAX];
	bool ok = secret_is(secret, secret_of_basic(credential, decoded, sizeof decoded));
	explicit_bzero(decoded, sizeof decoded);
	return ok;
}

// What the Cookie fields of REQUEST say.
static enum cookie_verdict cookies_check(const struct tunnel_config *config,
	const struct secret_hash *secret, struct cookie_known *known,
	const struct http_head *request)
{
	enum cookie_verdict verdict = COOKIE_ABSENT;
	for (size_t i = 0; i < request->n_fields && verdict != COOKIE_RIGHT; i++) {
		const struct http_field *field = &request->fields[i];
		if (field->id != HTTP_COOKIE || !cookie_maybe_ours(field->value))
			continue;
		enum cookie_verdict said =
			cookie_check(field->value, config->id, secret, wall_now(), known);
		verdict = MAX(verdict, said);
	}
	return verdict;
}

static const struct access_verdict failed = {.refused = CODE_AUTH_FAILED};

struct access_verdict access_check(const struct tunnel_config *config,
	const struct secret_hash *secret, struct cookie_known *known,
	const struct http_head *request)
{
	if (config->auth == AUTH_NONE)
		return (struct access_verdict){.authorization = true};
	const struct http_field *own = http_head_field(request, HTTP_X_TUNNEL_AUTHORIZATION);
	if (own != NULL && !credential_ok(config->auth, secret, own->value))
		return failed;
	if (own != NULL)
		return (struct access_verdict){.authorization = true};
	const struct http_field *field = http_head_field(request, HTTP_AUTHORIZATION);
	if (field != NULL && credential_ok(config->auth, secret, field->value))
		return (struct access_verdict){.authorization = false};
	enum cookie_verdict cookie = COOKIE_ABSENT;
	if (config->auth == AUTH_BEARER)
		cookie = cookies_check(config, secret, known, request);
	if (cookie == COOKIE_RIGHT)
		return (struct access_verdict){.authorization = true};
	if (field != NULL || cookie == COOKIE_WRONG)
		return failed;
	return (struct access_verdict){.refused = CODE_AUTH_REQUIRED};
}

struct span access_challenge(const struct tunnel_config *config, char out[ACCESS_CHALLENGE_SIZE])
{
	if (config->auth != AUTH_BASIC)
		return SPAN("WWW-Authenticate: Bearer realm=\"tunnel\"\r\n");
	int n = snprintf(out, ACCESS_CHALLENGE_SIZE, SECRET_BASIC_CHALLENGE, config->id);
	return (struct span){out, (size_t)n};
}
