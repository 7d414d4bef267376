// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "secret.h"

#include "hex.h"

#include <sha2.h>

void secret_hash_make(struct secret_hash *hash, struct span secret)
{
	SHA2_CTX context;
	SHA256Init(&context);
	SHA256Update(&context, (const uint8_t *)secret.p, secret.n);
	SHA256Final(hash->bytes, &context);
	explicit_bzero(&context, sizeof context);
}

bool secret_hash_equal(const struct secret_hash *a, const struct secret_hash *b)
{
	uint8_t differ = 0;
	for (size_t i = 0; i < SECRET_HASH_SIZE; i++)
		differ |= (uint8_t)(a->bytes[i] ^ b->bytes[i]);
	return differ == 0;
}

bool secret_is(const struct secret_hash *hash, struct span secret)
{
	struct secret_hash shown;
	if (secret.p == NULL)
		return false;
	secret_hash_make(&shown, secret);
	bool same = secret_hash_equal(&shown, hash);
	explicit_bzero(&shown, sizeof shown);
	return same;
}

// What follows "SCHEME " in VALUE (RFC 9110 section 11.4: the scheme's case does not matter, one or
// more spaces follow).
static struct span after_scheme(struct span value, struct span scheme)
{
	if (value.n <= scheme.n || value.p[scheme.n] != ' ' ||
		!span_eq_nocase((struct span){value.p, scheme.n}, scheme))
		return (struct span){NULL, 0};
	size_t i = scheme.n;
	while (i < value.n && value.p[i] == ' ')
		i++;
	return (struct span){value.p + i, value.n - i};
}

struct span secret_of_bearer(struct span value)
{
	return after_scheme(value, SPAN("bearer"));
}

struct span secret_of_basic(struct span value, char *out, size_t size)
{
	struct span encoded = after_scheme(value, SPAN("basic"));
	if (encoded.p == NULL)
		return encoded;
	int n = base64_decode(out, size, encoded);
	const char *colon = n > 0 ? memchr(out, ':', (size_t)n) : NULL;
	if (colon == NULL)
		return (struct span){NULL, 0};
	return (struct span){colon + 1, (size_t)(out + n - colon - 1)};
}
