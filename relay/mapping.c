// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "mapping.h"

// A cookie named __Host-x has to have Path=/, which is not the tunnel's alone: it has this name
// between us and the visitor.
#define HOST_COOKIE    "__Host-"
#define RENAMED_COOKIE "tunnel-host-"

// Behind it the tunnel's id and "_", before the name that the backend has given it.
#define OWN_COOKIE "tunneld_"

static struct span rest_of(struct span text, size_t n)
{
	return (struct span){text.p + n, text.n - n};
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool starts_nocase(struct span text, struct span start)
{
	return text.n >= start.n && span_eq_nocase((struct span){text.p, start.n}, start);
}

// ---- addresses

// Whether PATH is below the prefix, as it is.
static bool is_below(const struct mapping *m, struct span path)
{
	if (!span_starts(path, m->prefix))
		return false;
	return path.n == m->prefix.n || memchr("/?#", path.p[m->prefix.n], 3) != NULL;
}

// Takes scheme and authority off URL. Returns the length of both, 0 when it has none. An authority
// alone ("//host") counts.
static size_t origin_of(struct span url, struct span *authority)
{
	static const struct span leads[] = {
		SPAN_INIT("http://"), SPAN_INIT("https://"), SPAN_INIT("//")};
	for (size_t i = 0; i < ARRAY_SIZE(leads); i++) {
		if (!starts_nocase(url, leads[i]))
			continue;
		struct span rest = rest_of(url, leads[i].n);
		size_t n = 0;
		while (n < rest.n && memchr("/?#\\", rest.p[n], 4) == NULL)
			n++;
		*authority = (struct span){rest.p, n};
		return leads[i].n + n;
	}
	return 0;
}

// "//host" in any of the spellings of the WHATWG URL standard, section 4.4. Behind "/." it is a
// path again.
bool mapping_names_a_host(struct span path)
{
	if (path.n > 0 && path.p[0] == '\\')
		return true;
	return path.n > 1 && path.p[0] == '/' && memchr("/\\\t", path.p[1], 3) != NULL;
}

// Writes URL as the backend gave it for visitors.
static void put_url(struct head_out *out, const struct mapping *m, struct span url)
{
	struct span authority;
	size_t n = origin_of(url, &authority);
	if (n > 0 && !span_eq_nocase(authority, m->backend) &&
		!(authority.n > 0 && span_eq_nocase(authority, m->own))) {
		put(out, url); // elsewhere
		return;
	}
	struct span path = rest_of(url, n);
	bool absolute = path.n > 0 && path.p[0] == '/';
	if (m->prefix.n > 0 && !m->keep && (absolute || n > 0) && !is_below(m, path))
		put(out, m->prefix);
	else if (n > 0 && mapping_names_a_host(path))
		put(out, SPAN("/."));
	if (n > 0 && !absolute)
		put(out, SPAN("/"));
	put(out, path);
}

static void put_location(struct head_out *out, const struct mapping *m, struct span value)
{
	put_url(out, m, value);
}

// `5; url=/next` (WHATWG HTML, shared declarative refresh steps): quotes may stand around it.
static void put_refresh(struct head_out *out, const struct mapping *m, struct span value)
{
	size_t n = 0;
	while (n < value.n && value.p[n] != ';' && value.p[n] != ',')
		n++;
	n += n < value.n;
	while (n < value.n && is_blank(value.p[n]))
		n++;
	struct span rest = rest_of(value, n);
	if (starts_nocase(rest, SPAN("url"))) {
		size_t i = 3;
		while (i < rest.n && is_blank(rest.p[i]))
			i++;
		if (i < rest.n && rest.p[i] == '=')
			n += i + 1;
		while (n < value.n && is_blank(value.p[n]))
			n++;
	}
	if (n < value.n && (value.p[n] == '"' || value.p[n] == '\''))
		n++;
	put(out, (struct span){value.p, n});
	put_url(out, m, rest_of(value, n));
}

// `</a>; rel=preload, </b>; title="<c>"` (RFC 8288 section 3).
static void put_link(struct head_out *out, const struct mapping *m, struct span value)
{
	bool quoted = false;
	size_t from = 0;
	for (size_t i = 0; i < value.n; i++) {
		const char *end = NULL;
		if (quoted && value.p[i] == '\\')
			i++;
		else if (value.p[i] == '"')
			quoted = !quoted;
		else if (!quoted && value.p[i] == '<')
			end = memchr(value.p + i, '>', value.n - i);
		if (end == NULL)
			continue;
		put(out, (struct span){value.p + from, i + 1 - from});
		from = (size_t)(end - value.p);
		put_url(out, m, (struct span){value.p + i + 1, from - i - 1});
		i = from;
	}
	put(out, rest_of(value, MIN(from, value.n)));
}

// ---- cookies

static struct span next_piece(struct span *rest)
{
	const char *mark = memchr(rest->p, ';', rest->n);
	struct span piece = {rest->p, mark != NULL ? (size_t)(mark - rest->p) : rest->n};
	*rest = rest_of(*rest, piece.n + (mark != NULL));
	return piece;
}

// One attribute: Path below the prefix, no Domain (the cookie is for this host alone). For what is
// no path browsers take the folder of the request, which is the tunnel's unless it came from
// outside.
static void put_attribute(struct head_out *out, const struct mapping *m, struct span piece)
{
	const char *equals = memchr(piece.p, '=', piece.n);
	size_t n = equals != NULL ? (size_t)(equals - piece.p) : piece.n;
	struct span name = span_trim((struct span){piece.p, n}, " \t");
	struct span value =
		equals != NULL ? span_trim(rest_of(piece, n + 1), " \t") : (struct span){"", 0};
	if (span_eq_nocase(name, SPAN("Domain")) || span_trim(piece, " \t").n == 0)
		return;
	put(out, SPAN(";"));
	if (!span_eq_nocase(name, SPAN("Path")) || m->prefix.n == 0) {
		put(out, piece);
		return;
	}
	put(out, SPAN(" Path="));
	if (value.n == 0 || value.p[0] != '/') {
		put(out, m->outside ? m->prefix : value);
		return;
	}
	if (!is_below(m, value))
		put(out, m->prefix);
	put(out, value);
}

static void put_attributes(struct head_out *out, const struct mapping *m, struct span rest)
{
	if (m->prefix.n > 0 && m->outside) {
		put(out, SPAN("; Path=")); // the last one counts
		put(out, m->prefix);
	}
	while (rest.n > 0)
		put_attribute(out, m, next_piece(&rest));
}

static bool has_attribute(struct span rest, struct span name)
{
	while (rest.n > 0) {
		struct span piece = next_piece(&rest);
		const char *equals = memchr(piece.p, '=', piece.n);
		piece.n = equals != NULL ? (size_t)(equals - piece.p) : piece.n;
		if (span_eq_nocase(span_trim(piece, " \t"), name))
			return true;
	}
	return false;
}

// Takes the part of a cookie's name off that says how strictly browsers keep it, if it has that.
static struct span take_host_only(struct span *pair)
{
	size_t n = span_starts(*pair, SPAN(HOST_COOKIE)) ? sizeof HOST_COOKIE - 1 : 0;
	struct span lead = {pair->p, n};
	*pair = rest_of(*pair, n);
	return lead;
}

// A name that is ours to others (cookie.h), so that it gets to no other backend and none can set
// it.
static void put_own_pair(struct head_out *out, const struct mapping *m, struct span pair)
{
	put(out, take_host_only(&pair));
	put(out, SPAN(OWN_COOKIE));
	put(out, m->id);
	put(out, SPAN("_"));
	put(out, pair);
}

// Takes what put_own_pair() has put in front of PAIR off. Returns false when that is not there.
static bool take_own_lead(const struct mapping *m, struct span *pair, struct span *host_only)
{
	struct span rest = *pair;
	*host_only = take_host_only(&rest);
	if (!span_starts(rest, SPAN(OWN_COOKIE)))
		return false;
	rest = rest_of(rest, sizeof OWN_COOKIE - 1);
	if (!span_starts(rest, m->id) || rest.n == m->id.n || rest.p[m->id.n] != '_')
		return false;
	*pair = rest_of(rest, m->id.n + 1);
	return true;
}

// Browsers send what was set on one port of a host to all of its ports. What no script reads can
// have a name that is the tunnel's alone; of the same name there is one or the other, as before.
static void put_set_cookie_on_port(struct head_out *out, const struct mapping *m, struct span value)
{
	struct span rest = value;
	struct span pair = span_trim(rest.n > 0 ? next_piece(&rest) : rest, " \t");
	if (has_attribute(rest, SPAN("HttpOnly"))) {
		put_own_pair(out, m, pair);
		put_attributes(out, m, rest);
		return;
	}
	put(out, pair);
	put_attributes(out, m, rest);
	const char *equals = memchr(pair.p, '=', pair.n);
	if (equals == NULL)
		return;
	put(out, SPAN("\r\nSet-Cookie: "));
	put_own_pair(out, m, (struct span){pair.p, (size_t)(equals - pair.p) + 1});
	put_attributes(out, m, rest);
	put(out, SPAN("; HttpOnly; Max-Age=0"));
}

static void put_set_cookie(struct head_out *out, const struct mapping *m, struct span value)
{
	struct span rest = value;
	if (m->jar) {
		put_set_cookie_on_port(out, m, value);
		return;
	}
	struct span pair = rest.n > 0 ? next_piece(&rest) : rest;
	struct span name = span_trim(pair, " \t");
	if (m->prefix.n > 0 && starts_nocase(name, SPAN(HOST_COOKIE))) {
		put(out, SPAN(RENAMED_COOKIE));
		pair = rest_of(name, sizeof HOST_COOKIE - 1);
	}
	put(out, pair);
	put_attributes(out, m, rest);
}

bool mapping_renames(const struct mapping *m, struct span value)
{
	return m->prefix.n > 0 &&
	       memmem(value.p, value.n, RENAMED_COOKIE, sizeof RENAMED_COOKIE - 1) != NULL;
}

bool mapping_is_own(const struct mapping *m, struct span piece)
{
	struct span pair = span_trim(piece, " \t"), host_only;
	return m->jar && take_own_lead(m, &pair, &host_only);
}

void mapping_cookie(struct head_out *out, const struct mapping *m, struct span piece)
{
	size_t n = 0;
	while (n < piece.n && is_blank(piece.p[n]))
		n++;
	struct span pair = rest_of(piece, n), lead = {piece.p, 0};
	if (m->prefix.n > 0 && span_starts(pair, SPAN(RENAMED_COOKIE))) {
		pair = rest_of(pair, sizeof RENAMED_COOKIE - 1);
		lead = SPAN(HOST_COOKIE);
	} else if (m->jar) {
		(void)!take_own_lead(m, &pair, &lead);
	}
	put(out, (struct span){piece.p, n});
	put(out, lead);
	put(out, pair);
}

// ---- service workers

// A worker may have no more than the tunnel. What is no plain absolute path could lead out of it,
// by dots that are resolved against the script's address.
static bool scope_ok(struct span value)
{
	if (value.n == 0 || value.p[0] != '/' || memchr(value.p, '\\', value.n) != NULL ||
		memchr(value.p, '%', value.n) != NULL || span_starts(value, SPAN("//")))
		return false;
	return memmem(value.p, value.n, "/.", 2) == NULL;
}

static void put_scope(struct head_out *out, const struct mapping *m, struct span value)
{
	if (!is_below(m, value))
		put(out, m->prefix);
	put(out, value);
}

// ---- answers

bool mapping_response(struct head_out *out, const struct mapping *m, const struct http_field *field)
{
	static const struct {
		struct span name;
		void (*put)(struct head_out *out, const struct mapping *m, struct span value);
	} fields[] = {
		{SPAN_INIT("Location"), put_location},
		{SPAN_INIT("Content-Location"), put_location},
		{SPAN_INIT("Refresh"), put_refresh},
		{SPAN_INIT("Link"), put_link},
		{SPAN_INIT("Set-Cookie"), put_set_cookie},
		{SPAN_INIT("Service-Worker-Allowed"), put_scope},
	};
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		if (!span_eq_nocase(field->name, fields[i].name))
			continue;
		if (fields[i].put == put_scope && !scope_ok(field->value))
			return true; // the folder of the script is what is left
		put(out, field->name);
		put(out, SPAN(": "));
		fields[i].put(out, m, field->value);
		put(out, SPAN("\r\n"));
		return true;
	}
	return false;
}

void mapping_response_end(struct head_out *out, const struct mapping *m)
{
	if (!m->routing || m->prefix.n == 0)
		return;
	put(out, SPAN("Set-Cookie: tunneld_route="));
	put(out, m->id);
	put(out, m->pass.n > 0 ? SPAN(".") : SPAN(""));
	put(out, m->pass);
	put(out, SPAN("; Path=/; HttpOnly; SameSite=Lax"));
	put(out, m->pass.n > 0 && m->https ? SPAN("; Secure\r\n") : SPAN("\r\n"));
	// It is for who has shown the secret, wherever the page may be kept (RFC 9111 5.2.2.7).
	if (m->pass.n > 0)
		put_field(out, SPAN("Cache-Control"), SPAN("private=\"Set-Cookie\""));
}

// ---- requests

static void put_backend_origin(struct head_out *out, const struct mapping *m)
{
	put(out, m->backend_scheme);
	put(out, SPAN("://"));
	put(out, m->backend);
}

// Origin and Referer that are of the host visited are the backend's own then; a page of another
// tunnel beside it is not told of.
bool mapping_request(struct head_out *out, const struct mapping *m, struct span visited,
	const struct http_field *field)
{
	struct span authority;
	if (field->id != HTTP_ORIGIN && field->id != HTTP_REFERER)
		return false;
	size_t n = origin_of(field->value, &authority);
	if (n == 0 || visited.n == 0 || !span_eq_nocase(authority, visited))
		return false;
	struct span path = rest_of(field->value, n);
	if (field->id == HTTP_REFERER && m->prefix.n > 0 && !is_below(m, path))
		return true;
	put(out, field->name);
	put(out, SPAN(": "));
	put_backend_origin(out, m);
	if (field->id == HTTP_REFERER) {
		path = m->keep ? path : rest_of(path, m->prefix.n);
		put(out, path.n > 0 && path.p[0] == '/' ? SPAN("") : SPAN("/"));
		put(out, path);
	}
	put(out, SPAN("\r\n"));
	return true;
}
