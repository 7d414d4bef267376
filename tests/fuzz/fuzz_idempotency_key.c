// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The input is the value of an Idempotency-Key. What is taken bare is also taken in quotes, as the
// same key; and what is taken in quotes is one of the keys that quoting can write.

#include "check.h"
#include "idempotency.h"

#include <stdlib.h>

static int read_value(struct idempotency_key *key, struct span value)
{
	struct http_head head = {.n_fields = 1};
	head.fields[0] = (struct http_field){.name = SPAN("Idempotency-Key"), .value = value};
	return idempotency_key_read(key, &head, SPAN("{}"), "owner");
}

// Writes VALUE as a string of RFC 8941. Returns its length.
static size_t quote(struct span value, char *out)
{
	size_t n = 0;
	out[n++] = '"';
	for (size_t i = 0; i < value.n; i++) {
		if (value.p[i] == '"' || value.p[i] == '\\')
			out[n++] = '\\';
		out[n++] = value.p[i];
	}
	out[n++] = '"';
	return n;
}

static void check_bare(const struct idempotency_key *key, struct span value)
{
	char quoted[2 * IDEMPOTENCY_KEY_MAX + 2];
	struct idempotency_key again;

	CHECK(value.n >= 1 && value.n <= IDEMPOTENCY_KEY_MAX);
	for (size_t i = 0; i < value.n; i++)
		CHECK(value.p[i] > ' ' && value.p[i] <= '~');
	size_t n = quote(value, quoted);
	CHECK(read_value(&again, (struct span){quoted, n}) == 0);
	CHECK(secret_hash_equal(&again.id, &key->id));
}

static void check_quoted(const struct idempotency_key *key, struct span value)
{
	char plain[IDEMPOTENCY_KEY_MAX], quoted[2 * IDEMPOTENCY_KEY_MAX + 2];
	struct idempotency_key again;
	size_t n = 0;

	CHECK(value.n >= 3 && value.p[value.n - 1] == '"');
	for (size_t i = 1; i < value.n - 1; i++) {
		i += value.p[i] == '\\';
		CHECK(n < sizeof plain && i < value.n - 1);
		plain[n++] = value.p[i];
	}
	CHECK(quote((struct span){plain, n}, quoted) == value.n);
	CHECK(memcmp(quoted, value.p, value.n) == 0); // there is one way to write it
	CHECK(read_value(&again, value) == 0);
	CHECK(secret_hash_equal(&again.id, &key->id));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct idempotency_key key;
	struct span value = {(const char *)data, n};
	int r = read_value(&key, value);

	CHECK(r == 0 || r == IDEMPOTENCY_BAD_KEY);
	if (r == 0 && value.p[0] == '"')
		check_quoted(&key, value);
	else if (r == 0)
		check_bare(&key, value);
	return 0;
}
