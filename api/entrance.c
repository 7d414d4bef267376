// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "entrance.h"

#include "answer.h"
#include "cookie.h"
#include "form.h"
#include "handlers.h"
#include "worker.h"

#include <inttypes.h>
#include <stdio.h>

enum {
	SLACK_S = 60, // by which the life of a tunnel may begin after its row
	COOKIES_SIZE = 2 * (COOKIE_TEXT_SIZE + 256),
};

// ---- whose request it is

static struct span field_of(const struct request *request, enum http_name name)
{
	const struct http_field *field = http_head_field(&request->head, name);
	return field != NULL ? field->value : (struct span){NULL, 0};
}

// Takes off URL the scheme and authority if they begin like this server's: as the visitor knows it,
// which is what Host says, or as the operator does. What is left is for the caller to judge.
static bool take_own_origin(struct worker *worker, const struct request *request, struct span *url)
{
	static const struct span schemes[] = {SPAN_INIT("http://"), SPAN_INIT("https://")};
	struct span public_url = span_of(worker->settings.origins.url[ORIGIN_PATH]);
	struct span host = request->head.authority;
	size_t n = 0;
	for (size_t i = 0; i < ARRAY_SIZE(schemes) && host.n > 0; i++)
		if (span_starts(*url, schemes[i]) && url->n >= schemes[i].n + host.n &&
			span_eq_nocase((struct span){url->p + schemes[i].n, host.n}, host))
			n = schemes[i].n + host.n;
	if (n == 0 && span_starts(*url, public_url))
		n = public_url.n;
	*url = (struct span){url->p + n, url->n - n};
	return n > 0;
}

// Browsers that do not say so by Sec-Fetch-Site send Origin; programs send neither.
bool entrance_is_foreign(struct worker *worker, const struct request *request)
{
	struct span site = field_of(request, HTTP_SEC_FETCH_SITE);
	struct span origin = field_of(request, HTTP_ORIGIN);
	if (site.p != NULL)
		return !span_eq(site, SPAN("same-origin")) && !span_eq(site, SPAN("none"));
	return origin.p != NULL && (!take_own_origin(worker, request, &origin) || origin.n > 0);
}

// ---- where to go afterwards

// Whether a segment of PATH begins with two dots, as such or as `%2e`, which browsers take for dots
// (WHATWG URL Standard, "double-dot URL path segment").
static bool has_dots(struct span path)
{
	for (size_t i = 0; i < path.n; i++) {
		size_t at = i + 1;
		if (path.p[i] != '/')
			continue;
		for (int dots = 0; dots < 2; dots++) {
			struct span rest = {path.p + at, path.n - at};
			if (span_starts(rest, SPAN(".")))
				at++;
			else if (rest.n >= 3 &&
				 span_eq_nocase((struct span){rest.p, 3}, SPAN("%2e")))
				at += 3;
			else
				break;
			if (dots == 1)
				return true;
		}
	}
	return false;
}

// Whether PATH is an address below ROOT that can stand in a Location field as it is. It begins with
// one slash, has no dot segments and is none of ours: it leads to no other host and to no other
// tunnel.
static bool target_ok(struct span path, const char *root)
{
	static const char marks[] = "-._~!$&'()*+,;=:@/?%";
	if (path.n >= ENTRANCE_TARGET_SIZE || !span_starts(path, span_of(root)) ||
		span_starts(path, SPAN("//")) || origin_path_is_ours(path))
		return false;
	for (size_t i = 0; i < path.n; i++) {
		char c = ascii_lower(path.p[i]);
		bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
		if (!plain && (c == '\0' || strchr(marks, c) == NULL))
			return false;
	}
	return !has_dots(path);
}

bool entrance_find_target(struct worker *worker, const struct connection *connection,
	const struct request *request, const char *id, char out[ENTRANCE_TARGET_SIZE])
{
	char root[HANDLE_ROOT_SIZE];
	handle_format_root(connection, id, root);
	struct span from = field_of(request, HTTP_REFERER);
	if (form_get(buf_span(&request->body), SPAN("to"), out, ENTRANCE_TARGET_SIZE) == 0 &&
		target_ok(span_of(out), root))
		return true;
	if (from.p != NULL && take_own_origin(worker, request, &from) && target_ok(from, root)) {
		memcpy(out, from.p, from.n);
		out[from.n] = '\0';
		return true;
	}
	snprintf(out, ENTRANCE_TARGET_SIZE, "%s", root);
	return false;
}

// ---- answers

static void send_to(struct connection *connection, const char *target, const char *cookies)
{
	char fields[ENTRANCE_TARGET_SIZE + COOKIES_SIZE + 256];
	int n = snprintf(fields, sizeof fields,
		"Location: %s\r\n%sCache-Control: no-store\r\nReferrer-Policy: same-origin\r\n",
		target, cookies);
	answer_empty(connection, 303, (struct span){fields, (size_t)n});
	explicit_bzero(fields, sizeof fields);
}

int64_t entrance_expiry(const struct worker *worker, const struct tunnel *tunnel)
{
	int64_t latest = tunnel->created_at + (int64_t)worker->settings.max_timeout_s;
	return MAX(latest, tunnel->expires_at) + SLACK_S;
}

bool entrance_is_https(const struct worker *worker, const struct connection *connection)
{
	const struct origins *origins = &worker->settings.origins;
	enum tunnel_origin origin = ORIGIN_PATH;
	if (connection->own[0] != '\0')
		origin = connection->facts.use == LISTENER_PORT ? ORIGIN_PORT : ORIGIN_WILDCARD;
	return connection->facts.tls ||
	       span_starts(span_of(origins->url[origin]), SPAN("https://"));
}

void entrance_lead(struct connection *connection, const char *target)
{
	send_to(connection, target, "");
}

void entrance_open(struct worker *worker, struct connection *connection,
	const struct tunnel *tunnel, const char *pair, const char *target)
{
	char attributes[96], fields[COOKIES_SIZE], root[HANDLE_ROOT_SIZE];
	int64_t left = entrance_expiry(worker, tunnel) - wall_now();
	snprintf(attributes, sizeof attributes,
		"; Max-Age=%" PRId64 "; HttpOnly; SameSite=Lax%s\r\n", MAX(left, 1),
		entrance_is_https(worker, connection) ? "; Secure" : "");
	handle_format_root(connection, tunnel->id, root);
	int n = snprintf(
		fields, sizeof fields, "Set-Cookie: %s; Path=%s%s", pair, root, attributes);
	if (connection->own[0] == '\0')
		snprintf(fields + n, sizeof fields - (size_t)n, "Set-Cookie: %s; Path=/_t/%s/%s",
			pair, tunnel->id, attributes);
	send_to(connection, target, fields);
	explicit_bzero(fields, sizeof fields);
}
