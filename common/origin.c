// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "origin.h"

#include "tunnel_config.h"

#include <stdio.h>

static const char *const names[ORIGINS] = {
	[0] = "", [ORIGIN_PATH] = "path", [ORIGIN_PORT] = "port", [ORIGIN_WILDCARD] = "wildcard"};

const char *tunnel_origin_name(enum tunnel_origin origin)
{
	return names[origin];
}

enum tunnel_origin tunnel_origin_parse(struct span text)
{
	for (enum tunnel_origin origin = ORIGIN_PATH; origin < ORIGINS; origin++)
		if (span_eq(span_of(names[origin]), text))
			return origin;
	return 0;
}

void origins_read(struct origins *origins, const struct wire_value *fields)
{
	for (enum tunnel_origin origin = ORIGIN_PATH; origin < ORIGINS; origin++) {
		struct span url = fields[ORIGINS_URLS + origin - ORIGIN_PATH].bytes;
		size_t n = MIN(url.n, (size_t)ORIGIN_TEXT_MAX);
		memcpy(origins->url[origin], url.p, n);
		origins->url[origin][n] = '\0';
	}
}

// ---- URLs

static bool has_it(const struct origins *origins, enum tunnel_origin origin, uint16_t port)
{
	return origins->url[origin][0] != '\0' && (origin != ORIGIN_PORT || port != 0);
}

size_t origin_url(const struct origins *origins, enum tunnel_origin origin, const char *id,
	uint16_t port, char out[ORIGIN_URL_MAX])
{
	const char *url = origins->url[origin];
	char number[8];
	if (!has_it(origins, origin, port))
		return 0;
	if (origin == ORIGIN_PATH)
		return (size_t)snprintf(out, ORIGIN_URL_MAX, "%s/t/%s/", url, id);
	snprintf(number, sizeof number, "%u", port);
	const char *mark = origin == ORIGIN_PORT ? "{port}" : "{id}";
	const char *hole = strstr(url, mark);
	if (hole == NULL)
		return 0;
	return (size_t)snprintf(out, ORIGIN_URL_MAX, "%.*s%s%s/", (int)(hole - url), url,
		origin == ORIGIN_PORT ? number : id, hole + strlen(mark));
}

enum tunnel_origin origin_best(
	const struct origins *origins, enum tunnel_origin wanted, uint16_t port)
{
	if (wanted != 0 && has_it(origins, wanted, port))
		return wanted;
	if (has_it(origins, ORIGIN_WILDCARD, port))
		return ORIGIN_WILDCARD;
	return has_it(origins, ORIGIN_PORT, port) ? ORIGIN_PORT : ORIGIN_PATH;
}

// ---- requests

// What follows the id in the names of tunnels, "." included; absent when there are none.
static struct span domain_of(const char *wildcard_url)
{
	const char *hole = strstr(wildcard_url, "{id}");
	if (hole == NULL)
		return (struct span){NULL, 0};
	hole += strlen("{id}");
	return (struct span){hole, strcspn(hole, ":")};
}

struct span origin_wildcard_id(const char *wildcard_url, struct span authority)
{
	static const struct span none = {NULL, 0};
	struct span domain = domain_of(wildcard_url);
	const char *colon = authority.n > 0 ? memchr(authority.p, ':', authority.n) : NULL;
	if (colon != NULL)
		authority.n = (size_t)(colon - authority.p);
	if (authority.n > 0 && authority.p[authority.n - 1] == '.')
		authority.n--; // the root of all names
	if (domain.n == 0 || authority.n <= domain.n)
		return none;
	struct span id = {authority.p, authority.n - domain.n};
	struct span rest = {authority.p + id.n, domain.n};
	return span_eq_nocase(rest, domain) && tunnel_id_ok(id) ? id : none;
}

bool origin_path_is_ours(struct span path)
{
	static const struct span ours[] = {SPAN_INIT("/_api"), SPAN_INIT("/_t")};
	for (size_t i = 0; i < ARRAY_SIZE(ours); i++) {
		if (!span_starts(path, ours[i]))
			continue;
		char next = path.n > ours[i].n ? path.p[ours[i].n] : '/';
		if (next == '/' || next == '?')
			return true;
	}
	return false;
}
