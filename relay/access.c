// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "access.h"

enum { BASIC_MAX = 1024 };

static bool secret_is(const struct secret_hash *wanted, struct span secret)
{
	struct secret_hash hash;
	if (secret.p == NULL)
		return false;
	secret_hash_make(&hash, secret);
	return secret_hash_equal(&hash, wanted);
}

static bool credential_ok(
	enum tunnel_auth auth, const struct secret_hash *secret, struct span credential)
{
	if (auth == AUTH_BEARER)
		return secret_is(secret, secret_of_bearer(credential));
	char decoded[BASIC_MAX];
	bool ok = secret_is(secret, secret_of_basic(credential, decoded, sizeof decoded));
	explicit_bzero(decoded, sizeof decoded);
	return ok;
}

struct access_verdict access_check(
	enum tunnel_auth auth, const struct secret_hash *secret, const struct http_head *request)
{
	if (auth == AUTH_NONE)
		return (struct access_verdict){.authorization = true};
	const struct http_field *own = http_head_field(request, HTTP_X_TUNNEL_AUTHORIZATION);
	const struct http_field *field =
		own != NULL ? own : http_head_field(request, HTTP_AUTHORIZATION);
	if (field == NULL)
		return (struct access_verdict){.refused = CODE_AUTH_REQUIRED};
	if (!credential_ok(auth, secret, field->value))
		return (struct access_verdict){.refused = CODE_AUTH_FAILED};
	return (struct access_verdict){.authorization = own != NULL};
}

struct span access_challenge(enum tunnel_auth auth)
{
	static const struct span lines[] = {
		[AUTH_BEARER] = SPAN_INIT("WWW-Authenticate: Bearer realm=\"tunnel\"\r\n"),
		[AUTH_BASIC] = SPAN_INIT(
			"WWW-Authenticate: Basic realm=\"tunnel\", charset=\"UTF-8\"\r\n"),
		[AUTH_NONE] = SPAN_INIT(""),
	};
	return lines[auth];
}
