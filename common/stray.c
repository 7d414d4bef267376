// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "stray.h"

#include "cookie.h"
#include "origin.h"
#include "tunnel_config.h"

static const struct span none = {NULL, 0};

// PATH without its query.
static struct span bare(struct span path)
{
	const char *mark = path.n > 0 ? memchr(path.p, '?', path.n) : NULL;
	return mark != NULL ? (struct span){path.p, (size_t)(mark - path.p)} : path;
}

static bool is_somebodys(struct span path)
{
	static const struct span own[] = {
		SPAN_INIT("/t"), SPAN_INIT("/healthz"), SPAN_INIT("/readyz")};
	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		if (span_eq(path, own[i]))
			return true;
	return span_starts(path, SPAN("/t/")) || origin_path_is_ours(path);
}

static bool is_worker_script(const struct http_head *request)
{
	for (size_t i = 0; i < request->n_fields; i++)
		if (span_eq_nocase(request->fields[i].name, SPAN("Service-Worker")))
			return true;
	return false;
}

bool stray_is(const struct http_head *request)
{
	struct span path = bare(request->path);
	if (span_eq(path, SPAN("/")))
		return request->upgrade;
	return path.n > 0 && path.p[0] == '/' && !is_somebodys(path) && !is_worker_script(request);
}

// The tunnel below whose prefix PATH is.
static struct span id_of(struct span path)
{
	static const struct span lead = SPAN_INIT("/t/");
	if (!span_starts(path, lead))
		return none;
	struct span id = {path.p + lead.n, 0};
	while (lead.n + id.n < path.n && memchr("/?#", id.p[id.n], 3) == NULL)
		id.n++;
	return tunnel_id_ok(id) ? id : none;
}

struct span stray_by_referer(const struct http_head *request)
{
	static const struct span schemes[] = {SPAN_INIT("http://"), SPAN_INIT("https://")};
	const struct http_field *referer = http_head_field(request, HTTP_REFERER);
	struct span host = request->authority;
	for (size_t i = 0; i < ARRAY_SIZE(schemes) && referer != NULL && host.n > 0; i++) {
		struct span url = referer->value;
		size_t n = schemes[i].n + host.n;
		if (url.n <= n || !span_starts(url, schemes[i]) ||
			!span_eq_nocase((struct span){url.p + schemes[i].n, host.n}, host))
			continue;
		return id_of((struct span){url.p + n, url.n - n});
	}
	return none;
}

// What a routing cookie with this VALUE says; its id is absent if it is malformed.
static struct stray_route route_of(struct span value)
{
	const char *dot = memchr(value.p, '.', value.n);
	struct span id = {value.p, dot != NULL ? (size_t)(dot - value.p) : value.n};
	struct stray_route route = {.id = tunnel_id_ok(id) ? id : none};
	if (dot != NULL)
		route.pass = (struct span){dot + 1, value.n - id.n - 1};
	return route;
}

struct stray_route stray_by_cookie(const struct http_head *request)
{
	static const struct span name = SPAN_INIT("tunneld_route=");
	for (size_t i = 0; i < request->n_fields; i++) {
		struct span rest = request->fields[i].value, piece;
		while (request->fields[i].id == HTTP_COOKIE && cookie_next(&rest, &piece)) {
			while (piece.n > 0 && piece.p[0] == ' ')
				piece = (struct span){piece.p + 1, piece.n - 1};
			if (!span_starts(piece, name))
				continue;
			struct stray_route route =
				route_of((struct span){piece.p + name.n, piece.n - name.n});
			if (route.id.n > 0)
				return route;
		}
	}
	return (struct stray_route){.id = none};
}
