// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// /_t/<id>/login: where visitors of a tunnel with `auth: bearer` turn its secret into the tunnel
// cookie. A browser gets here by the form of the page that refused it, which a share link fills in
// by itself.

#include "handlers.h"

#include "answer.h"
#include "cookie.h"
#include "entrance.h"
#include "form.h"
#include "worker.h"

enum {
	BODY_MAX = 8192,       // of a login
	SECRET_TEXT_MAX = 256, // one of ours has 52 characters
};

static const struct span no_fields = {NULL, 0};

// ---- answers

static void let_in(struct worker *worker, struct connection *connection,
	const struct tunnel *tunnel, const char *target)
{
	char pair[COOKIE_TEXT_SIZE];
	// Browsers take a name that begins with __Host- by https only.
	cookie_make(pair, tunnel->id, &tunnel->secret_hash, entrance_expiry(worker, tunnel),
		connection->own[0] != '\0' && entrance_is_https(worker, connection));
	entrance_open(worker, connection, tunnel, pair, target);
	explicit_bzero(pair, sizeof pair);
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
	entrance_lead(connection, root); // it asks for itself, or nothing
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
	bool foreign = entrance_is_foreign(worker, request);
	const struct http_field *type = http_head_field(&request->head, HTTP_CONTENT_TYPE);
	bool typed = type != NULL && form_type_ok(type->value);
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

// What the post shows: CODE_NONE when it is the secret of TUNNEL.
static enum code judge(const struct request *request, const struct tunnel *tunnel)
{
	char text[SECRET_TEXT_MAX];
	struct secret_hash hash;
	int r = form_get(buf_span(&request->body), SPAN("secret"), text, sizeof text);
	// Blanks around a secret come from copying it.
	struct span secret = span_trim(span_of(text), " \t\r\n");
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
	char target[ENTRANCE_TARGET_SIZE];
	if (!find_tunnel(worker, connection, request, &tunnel) ||
		!is_login(worker, connection, request, &tunnel))
		return;
	bool known = entrance_find_target(worker, connection, request, tunnel.id, target);
	enum code code = judge(request, &tunnel);
	if (code == CODE_NONE)
		let_in(worker, connection, &tunnel, target);
	else
		turn_away(worker, connection, tunnel.id, code, known ? target : NULL);
}
