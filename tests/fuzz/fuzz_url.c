// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The input is taken as a backend address and as an authority. An address, once written in its
// canonical form, stays as it is, and a literal is the address it says.

#include "check.h"
#include "url.h"

#include <arpa/inet.h>

static const char name_bytes[] = "abcdefghijklmnopqrstuvwxyz0123456789-_.";

static void check_host(const struct url *url)
{
	struct in6_addr address = {0};
	struct in_addr v4;
	size_t n = strnlen(url->host, sizeof(url->host));

	CHECK(n > 0 && n <= URL_HOST_MAX);
	switch (url->host_kind) {
	case URL_NAME:
		CHECK(strspn(url->host, name_bytes) == n && url->host[n - 1] != '.');
		CHECK(inet_pton(AF_INET6, url->host, &address) == 0);
		CHECK(inet_aton(url->host, &v4) == 0); // in no spelling
		CHECK(IN6_IS_ADDR_UNSPECIFIED(&url->address));
		break;
	case URL_IPV4:
		CHECK(inet_pton(AF_INET, url->host, &v4) == 1);
		CHECK(IN6_IS_ADDR_V4MAPPED(&url->address));
		CHECK(memcmp(&url->address.s6_addr[12], &v4, sizeof(v4)) == 0);
		break;
	case URL_IPV6:
		CHECK(inet_pton(AF_INET6, url->host, &address) == 1);
		CHECK(memcmp(&url->address, &address, sizeof(address)) == 0);
		break;
	default: abort();
	}
}

static void check_url(const struct url *url)
{
	struct url again;
	const char *why;
	char text[URL_TEXT_MAX];
	char twice[URL_TEXT_MAX];

	check_host(url);
	CHECK(url->port != 0 && url_scheme_name(url->scheme) != NULL);
	size_t n = url_format(url, text, sizeof(text));
	CHECK(n < sizeof(text) && n == strlen(text));
	CHECK(url_parse_backend(&again, (struct span){text, n}, &why) == 0);
	CHECK(memcmp(url, &again, sizeof(again)) == 0);
	CHECK(url_format(&again, twice, sizeof(twice)) == n && strcmp(text, twice) == 0);
	size_t scheme = (size_t)(strstr(text, "://") - text) + 3;
	CHECK(url_authority_ok((struct span){text + scheme, n - scheme}));
}

static void check_authority(struct span text)
{
	CHECK(text.p != NULL && text.n > 0 && text.n <= URL_HOST_MAX + 1 + 6);
	for (size_t i = 0; i < text.n; i++) {
		char c = ascii_lower(text.p[i]);
		CHECK(c != '\0' && (strchr(name_bytes, c) != NULL || strchr("[]:", c) != NULL));
	}
	// One reading only: a colon outside brackets is the port's.
	const char *colon = memrchr(text.p, ':', text.n);
	if (text.p[0] != '[' && colon != NULL)
		CHECK(memchr(text.p, ':', text.n) == colon && colon != text.p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span text = {(const char *)data, n};
	struct url url;
	const char *why = NULL;
	struct url checked;
	int r = url_parse_backend(&url, text, &why);

	CHECK(r == 0 || r == 1);
	CHECK((url_parse(&checked, text, &(const char *){NULL}) == 0) ==
		(r == 0 && !url.unchecked));
	CHECK((r == 0) == (why == NULL));
	if (r == 0)
		check_url(&url);
	if (url_authority_ok(text))
		check_authority(text);
	return 0;
}
