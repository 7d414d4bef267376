// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Field names, and the tokens and lists that field values are made of.

#include "http_parse.h"

#include <assert.h>

enum { KNOWN_MAX = 22 }; // the longest known name

const uint8_t http_classes[256] = {
	// clang-format off
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 7, 2, 5, 7, 7, 7, 7, 2, 2, 7, 7, 2, 3, 7, 2, //  !"#$%&'()*+,-./
	3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 2, 2, 2, 2, 2, 2, // 0123456789:;<=>?
	2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, // @ABCDEFGHIJKLMNO
	3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 2, 2, 2, 7, 7, // PQRSTUVWXYZ[\]^_
	7, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, // `abcdefghijklmno
	3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 2, 7, 2, 7, 0, // pqrstuvwxyz{|}~
	// clang-format on
};

// Lower case and of letters, digits and hyphens only: see name_is().
static const char known_names[HTTP_NAMES][KNOWN_MAX + 1] = {
	[HTTP_ACCEPT] = "accept",
	[HTTP_AUTHORIZATION] = "authorization",
	[HTTP_CONNECTION] = "connection",
	[HTTP_CONTENT_LENGTH] = "content-length",
	[HTTP_CONTENT_TYPE] = "content-type",
	[HTTP_COOKIE] = "cookie",
	[HTTP_EXPECT] = "expect",
	[HTTP_FORWARDED] = "forwarded",
	[HTTP_HOST] = "host",
	[HTTP_KEEP_ALIVE] = "keep-alive",
	[HTTP_LAST_EVENT_ID] = "last-event-id",
	[HTTP_LOCATION] = "location",
	[HTTP_ORIGIN] = "origin",
	[HTTP_PROXY_AUTHENTICATE] = "proxy-authenticate",
	[HTTP_PROXY_AUTHORIZATION] = "proxy-authorization",
	[HTTP_PROXY_CONNECTION] = "proxy-connection",
	[HTTP_REFERER] = "referer",
	[HTTP_SEC_FETCH_DEST] = "sec-fetch-dest",
	[HTTP_SEC_FETCH_MODE] = "sec-fetch-mode",
	[HTTP_SEC_FETCH_SITE] = "sec-fetch-site",
	[HTTP_SET_COOKIE] = "set-cookie",
	[HTTP_TE] = "te",
	[HTTP_TRAILER] = "trailer",
	[HTTP_TRANSFER_ENCODING] = "transfer-encoding",
	[HTTP_UPGRADE] = "upgrade",
	[HTTP_VIA] = "via",
	[HTTP_X_FORWARDED_FOR] = "x-forwarded-for",
	[HTTP_X_FORWARDED_HOST] = "x-forwarded-host",
	[HTTP_X_FORWARDED_PORT] = "x-forwarded-port",
	[HTTP_X_FORWARDED_PREFIX] = "x-forwarded-prefix",
	[HTTP_X_FORWARDED_PROTO] = "x-forwarded-proto",
	[HTTP_X_REAL_IP] = "x-real-ip",
	[HTTP_X_TUNNEL_AUTHORIZATION] = "x-tunnel-authorization",
};

// The same by length: at most four share one, and the first letter tells most of them apart.
static const uint8_t names_by_length[KNOWN_MAX + 1][4] = {
	[2] = {HTTP_TE},
	[3] = {HTTP_VIA},
	[4] = {HTTP_HOST},
	[6] = {HTTP_ACCEPT, HTTP_COOKIE, HTTP_ORIGIN, HTTP_EXPECT},
	[7] = {HTTP_REFERER, HTTP_UPGRADE, HTTP_TRAILER},
	[8] = {HTTP_LOCATION},
	[9] = {HTTP_X_REAL_IP, HTTP_FORWARDED},
	[10] = {HTTP_CONNECTION, HTTP_SET_COOKIE, HTTP_KEEP_ALIVE},
	[12] = {HTTP_CONTENT_TYPE},
	[13] = {HTTP_AUTHORIZATION, HTTP_LAST_EVENT_ID},
	[14] = {HTTP_CONTENT_LENGTH, HTTP_SEC_FETCH_DEST, HTTP_SEC_FETCH_MODE, HTTP_SEC_FETCH_SITE},
	[15] = {HTTP_X_FORWARDED_FOR},
	[16] = {HTTP_X_FORWARDED_HOST, HTTP_X_FORWARDED_PORT, HTTP_PROXY_CONNECTION},
	[17] = {HTTP_TRANSFER_ENCODING, HTTP_X_FORWARDED_PROTO},
	[18] = {HTTP_X_FORWARDED_PREFIX, HTTP_PROXY_AUTHENTICATE},
	[19] = {HTTP_PROXY_AUTHORIZATION},
	[22] = {HTTP_X_TUNNEL_AUTHORIZATION},
};

static_assert(HTTP_NAMES <= 64, "sets of names are one word");

// RFC 9110 section 7.6.1, and the older Proxy-* ones, which end at each proxy too.
const uint64_t http_hop_by_hop =
	HTTP_BIT(HTTP_CONNECTION) | HTTP_BIT(HTTP_KEEP_ALIVE) | HTTP_BIT(HTTP_PROXY_AUTHENTICATE) |
	HTTP_BIT(HTTP_PROXY_AUTHORIZATION) | HTTP_BIT(HTTP_PROXY_CONNECTION) | HTTP_BIT(HTTP_TE) |
	HTTP_BIT(HTTP_TRAILER) | HTTP_BIT(HTTP_TRANSFER_ENCODING) | HTTP_BIT(HTTP_UPGRADE);

bool http_is_token(struct span text)
{
	size_t i = 0;

	while (i < text.n && (http_class(text.p[i]) & HTTP_TCHAR) != 0)
		i++;
	return i > 0 && i == text.n;
}

// Of the token characters only letters change under | 0x20 into a letter, digit or hyphen.
static bool name_is(const char *known, const char *name, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((name[i] | 0x20) != known[i])
			return false;
	return true;
}

enum http_name http_name_id(struct span token)
{
	if (token.n > KNOWN_MAX)
		return HTTP_OTHER;
	const uint8_t *ids = names_by_length[token.n];
	for (size_t i = 0; i < ARRAY_SIZE(names_by_length[0]) && ids[i] != HTTP_OTHER; i++)
		if (name_is(known_names[ids[i]], token.p, token.n))
			return (enum http_name)ids[i];
	return HTTP_OTHER;
}

// CGI and its kin show their programs Content-Length and Content_Length, some also Content.Length,
// by one and the same name, CONTENT_LENGTH.
bool http_name_is_lookalike(struct span token)
{
	char hyphens[KNOWN_MAX];

	if (token.n > sizeof(hyphens))
		return false;
	for (size_t i = 0; i < token.n; i++)
		hyphens[i] = (http_class(token.p[i]) & HTTP_MARK) != 0 ? '-' : token.p[i];
	return http_name_id((struct span){hyphens, token.n}) != HTTP_OTHER;
}

bool http_list_next(struct span *list, struct span *element)
{
	while (list->n > 0 && (*list->p == ',' || http_is_blank(*list->p))) {
		list->p++;
		list->n--;
	}
	if (list->n == 0)
		return false;
	const char *comma = memchr(list->p, ',', list->n);
	size_t n = comma != NULL ? (size_t)(comma - list->p) : list->n;
	*element = (struct span){list->p, n};
	*list = (struct span){list->p + n, list->n - n};
	while (http_is_blank(element->p[element->n - 1]))
		element->n--;
	return true;
}

bool http_list_has(struct span list, struct span token)
{
	struct span element;

	while (http_list_next(&list, &element))
		if (span_eq_nocase(element, token))
			return true;
	return false;
}
