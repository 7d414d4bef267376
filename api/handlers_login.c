// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// /_t/<id>/login: where visitors of a tunnel with `auth: bearer` turn its secret into the tunnel
// cookie. A browser gets here by the form of the page that refused it, which a share link fills in
// by itself.

#include "handlers.h"

#include "answer.h"
#include "cookie.h"
#include "form.h"
#include "worker.h"

#include <inttypes.h>
#include <stdio.h>

enum {
	BODY_MAX = 8192,       // of a login
	SECRET_TEXT_MAX = 256, // one of ours has 52 characters
	TARGET_MAX = 2048,     // of an address to go to afterwards
	SLACK_S = 60,          // by which the life of a tunnel may begin after its row
	COOKIES_SIZE = 2 * (COOKIE_TEXT_SIZE + 256),
};

static const struct span no_fields = {NULL, 0};

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

// Whether a page of another site sent this post. Browsers that do not say so by Sec-Fetch-Site send
// Origin; programs send neither.
static bool is_foreign(struct worker *worker, const struct request *request)
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
	if (path.n > TARGET_MAX || !span_starts(path, span_of(root)) ||
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

// Writes where this login leads: what the form says in `to`, else the page it was sent from, else
// ROOT. False: the last.
static bool find_target(struct worker *worker, const struct request *request, const char *root,
	char out[TARGET_MAX + 1])
{
	struct span from = field_of(request, HTTP_REFERER);
	if (form_get(buf_span(&request->body), SPAN("to"), out, TARGET_MAX + 1) == 0 &&
		target_ok(span_of(out), root))
		return true;
	if (from.p != NULL && take_own_origin(worker, request, &from) && target_ok(from, root)) {
		memcpy(out, from.p, from.n);
		out[from.n] = '\0';
		return true;
	}
	snprintf(out, TARGET_MAX + 1, "%s", root);
	return false;
}

// ---- answers

static void send_to(struct connection *connection, const char *target, const char *cookies)
{
	char fields[TARGET_MAX + COOKIES_SIZE + 256];
	int n = snprintf(fields, sizeof fields,
		"Location: %s\r\n%sCache-Control: no-store\r\nReferrer-Policy: same-origin\r\n",
		target, cookies);
	answer_empty(connection, 303, (struct span){fields, (size_t)n});
	explicit_bzero(fields, sizeof fields);
}

// The latest end that the tunnel can be given: a longer life does not log anybody out.
static int64_t cookie_expiry(const struct worker *worker, const struct tunnel *tunnel)
{
	int64_t latest = tunnel->created_at + (int64_t)worker->settings.max_timeout_s;
	return MAX(latest, tunnel->expires_at) + SLACK_S;
}

// Whether the origin this was asked on is https: as it came, or as the operator says.
static bool is_https(const struct worker *worker, const struct connection *connection)
{
	const struct origins *origins = &worker->settings.origins;
	enum tunnel_origin origin = ORIGIN_PATH;
	if (connection->own[0] != '\0')
		origin = connection->facts.use == LISTENER_PORT ? ORIGIN_PORT : ORIGIN_WILDCARD;
	return connection->facts.tls ||
	       span_starts(span_of(origins->url[origin]), SPAN("https://"));
}

// Below the shared origin the page about the tunnel is told as well who has logged in: the cookie
// for /t/ID/ is not sent to it.
static void format_cookies(char *fields, size_t size, const struct connection *connection,
	const char *id, const char *pair, const char *attributes)
{
	char root[HANDLE_ROOT_SIZE];
	handle_format_root(connection, id, root);
	int n = snprintf(fields, size, "Set-Cookie: %s; Path=%s%s", pair, root, attributes);
	if (connection->own[0] == '\0')
		snprintf(fields + n, size - (size_t)n, "Set-Cookie: %s; Path=/_t/%s/%s", pair, id,
			attributes);
}

static void let_in(struct worker *worker, struct connection *connection,
	const struct tunnel *tunnel, const char *target)
{
	char pair[COOKIE_TEXT_SIZE], attributes[96], fields[COOKIES_SIZE];
	bool https = is_https(worker, connection);
	int64_t expiry = cookie_expiry(worker, tunnel), left = expiry - wall_now();
	// Browsers take a name that begins with __Host- by https only.
	cookie_make(pair, tunnel->id, &tunnel->secret_hash, expiry,
		https && connection->own[0] != '\0');
	snprintf(attributes, sizeof attributes,
		"; Max-Age=%" PRId64 "; HttpOnly; SameSite=Lax%s\r\n", MAX(left, 1),
		https ? "; Secure" : "");
	format_cookies(fields, sizeof fields, connection, tunnel->id, pair, attributes);
	send_to(connection, target, fields);
	explicit_bzero(pair, sizeof pair);
	explicit_bzero(fields, sizeof fields);
}

static void turn_away(struct worker *worker, struct connection *connection, const char *id,
	enum code code, const char *target)
{
	unsigned wait_s = 0;
	if (code == CODE_AUTH_FAILED)
		wait_s = failures_note(&worker->failures, connection->facts.peer, worker->loop.now);
	answer_login(
		connection, wait_s > 0 ? CODE_RATE_LIMITED : code, wait_s, id, span_of(target));
}

// ---- requests

// Reads the tunnel if one can log in to it now, or answers.
static bool find_tunnel(struct worker *worker, struct connection *connection,
	const struct request *request, struct tunnel *tunnel)
{
	char root[HANDLE_ROOT_SIZE];
	if (!handle_find_live(worker, connection, request->id, tunnel))
		return false;
	if (tunnel->auth == AUTH_BEARER)
		return true;
	handle_format_root(connection, tunnel->id, root);
	send_to(connection, root, ""); // it asks for itself, or nothing
	return false;
}

void handle_login_form(
	struct worker *worker, struct connection *connection, struct request *request)
{
	struct tunnel tunnel;
	if (!find_tunnel(worker, connection, request, &tunnel))
		return;
	connection->form = FORM_HTML;
	answer_login(connection, CODE_NONE, 0, tunnel.id, no_fields);
}

// Whether the post has the form it must have; it has been answered if not. People get our own form.
static bool is_login(struct worker *worker, struct connection *connection,
	const struct request *request, const struct tunnel *tunnel)
{
	bool foreign = is_foreign(worker, request);
	bool typed = form_type_ok(field_of(request, HTTP_CONTENT_TYPE));
	if ((foreign || !typed) && connection->form == FORM_HTML)
		answer_login(connection, CODE_AUTH_REQUIRED, 0, tunnel->id, no_fields);
	else if (foreign)
		answer_problem(connection, CODE_BAD_REQUEST,
			"A login is taken from this server's own pages, and from programs.");
	else if (!typed)
		answer_problem(connection, CODE_BAD_REQUEST,
			"Send `secret=SECRET` as application/x-www-form-urlencoded.");
	else if (buf_len(&request->body) > BODY_MAX)
		answer_problem(
			connection, CODE_TOO_LARGE, "A login may have %d bytes at most.", BODY_MAX);
	else
		return true;
	return false;
}

// Blanks around a secret come from copying it.
static struct span trim(const char *text)
{
	static const char blanks[] = " \t\r\n";
	text += strspn(text, blanks);
	size_t n = strlen(text);
	while (n > 0 && strchr(blanks, text[n - 1]) != NULL)
		n--;
	return (struct span){text, n};
}

// What the post shows: CODE_NONE when it is the secret of TUNNEL.
static enum code judge(const struct request *request, const struct tunnel *tunnel)
{
	char text[SECRET_TEXT_MAX];
	struct secret_hash hash;
	int r = form_get(buf_span(&request->body), SPAN("secret"), text, sizeof text);
	struct span secret = trim(text);
	enum code code = CODE_AUTH_FAILED;
	secret_hash_make(&hash, secret);
	if (r == FORM_ABSENT || (r == 0 && secret.n == 0))
		code = CODE_AUTH_REQUIRED;
	else if (r == 0 && secret_hash_equal(&hash, &tunnel->secret_hash))
		code = CODE_NONE;
	explicit_bzero(&hash, sizeof hash);
	explicit_bzero(text, sizeof text);
	return code;
}

void handle_login(struct worker *worker, struct connection *connection, struct request *request)
{
	struct tunnel tunnel;
	char target[TARGET_MAX + 1], root[HANDLE_ROOT_SIZE];
	if (!find_tunnel(worker, connection, request, &tunnel) ||
		!is_login(worker, connection, request, &tunnel))
		return;
	handle_format_root(connection, tunnel.id, root);
	bool known = find_target(worker, request, root, target);
	enum code code = judge(request, &tunnel);
	if (code == CODE_NONE)
		let_in(worker, connection, &tunnel, target);
	else
		turn_away(worker, connection, tunnel.id, code, known ? target : NULL);
}
