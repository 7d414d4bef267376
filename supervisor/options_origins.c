// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Values that say where tunnels have web origins of their own, and whom their visitors turn to.

#include "options_values.h"

#include "url.h"

#include <stdio.h>

#define HOLE "{port}"

// It has to be a URL whichever port there is.
int option_pool_url_set(void *member, const struct option_def *def, struct span value, char *why)
{
	char whole[URL_TEXT_MAX], excerpt[OPTION_EXCERPT_MAX];
	const char *hole = memmem(value.p, value.n, HOLE, sizeof HOLE - 1);
	size_t before = hole != NULL ? (size_t)(hole - value.p) : 0;
	size_t skip = before + sizeof HOLE - 1;
	char *checked = NULL;

	if (hole == NULL)
		return option_invalid(why, "'%s': write " HOLE " where the port is to stand",
			option_excerpt(value, excerpt));
	int n = snprintf(whole, sizeof whole, "%.*s65535%.*s", (int)before, value.p,
		(int)(value.n - skip), value.p + skip);
	if ((size_t)n >= sizeof whole)
		return option_invalid(why, "the URL is too long");
	int r = option_url_set(&checked, def, (struct span){whole, (size_t)n}, why);
	free(checked);
	return r == 0 ? option_text_store(member, value) : r;
}

int option_domain_set(void *member, const struct option_def *def, struct span value, char *why)
{
	char text[URL_TEXT_MAX], excerpt[OPTION_EXCERPT_MAX];
	struct url url;
	const char *wrong = "the domain is too long";
	// In front of it there will be the id of a tunnel.
	int n = snprintf(text, sizeof text, "http://t-aaaaaaaaaaaaaaaaaaaaaaaaaa.%.*s",
		(int)value.n, value.p);

	if ((size_t)n < sizeof text && url_parse(&url, span_of(text), &wrong) == 0) {
		wrong = NULL;
		if (url.host_kind != URL_NAME || memchr(value.p, ':', value.n) != NULL ||
			memchr(value.p, '/', value.n) != NULL)
			wrong = "write a domain alone, as t.example.org";
	}
	if (wrong != NULL)
		return option_invalid(why, "'%s': %s", option_excerpt(value, excerpt), wrong);
	return option_text_store(
		member, span_of(url.host + sizeof "t-aaaaaaaaaaaaaaaaaaaaaaaaaa." - 1));
}

int option_contact_set(void *member, const struct option_def *def, struct span value, char *why)
{
	static const struct span mail = SPAN_INIT("mailto:"), web = SPAN_INIT("https://");
	char excerpt[OPTION_EXCERPT_MAX];
	const char *wrong = NULL;
	bool mailed = span_starts(value, mail);
	struct span rest = {value.p + mail.n, mailed ? value.n - mail.n : 0};

	if (!mailed && (!span_starts(value, web) || value.n == web.n))
		wrong = "write mailto:ADDRESS or https://HOST/PATH";
	else if (mailed && (rest.n < 3 || memchr(rest.p + 1, '@', rest.n - 2) == NULL))
		wrong = "write an address, as mailto:abuse@example.org";
	else if (value.n > OPTIONS_CONTACT_MAX)
		wrong = "it is too long";
	// What has no place in a URL (RFC 3986 section 2) is to be written %xx.
	for (size_t i = 0; i < value.n && wrong == NULL; i++)
		if (value.p[i] <= ' ' || value.p[i] > '~' || strchr("\"<>\\^`{|}", value.p[i]))
			wrong = "a character in it has to be written as % and two digits";
	if (wrong != NULL)
		return option_invalid(why, "'%s': %s", option_excerpt(value, excerpt), wrong);
	return option_text_store(member, value);
}
