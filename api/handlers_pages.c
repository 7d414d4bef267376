// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Pages that say what is here: the server, what runs on it, and a tunnel. A stranger who knows the
// address of a tunnel is told no more than its public evidence says; who shows its secret or is
// logged in, when it ends, too.

#include "handlers.h"

#include "answer.h"
#include "shown.h"
#include "worker.h"

#include <stdio.h>

static const struct span absent = {NULL, 0};

enum { COMMAND_SIZE = ORIGIN_TEXT_MAX + TUNNEL_ID_MAX + 128 };

// ---- the server

void handle_front(struct worker *worker, struct connection *connection, struct request *request)
{
	bool evidence = worker->settings.attestation != WORKER_ATTESTATION_OFF;
	const struct template_value values[] = {
		{"title", SPAN("tunneld")}, {"evidence", evidence ? SPAN("") : absent}};
	bool control = connection->facts.use == LISTENER_CONTROL;
	if (connection->form == FORM_HTML)
		answer_filled(connection, control ? &page_dashboard : &page_front, values,
			ARRAY_SIZE(values));
	else
		handle_version(worker, connection, request);
}

// Answers with a page of KIND: N VALUES and what the evidence says. Without evidence that is the
// little there is.
static void answer_with_evidence(struct worker *worker, struct connection *connection,
	const struct page_kind *kind, const struct template_value *values, size_t n)
{
	struct template_value all[PAGE_VALUES_MAX];
	const struct evidence_view *view = certificate_look(worker->evidence.certificate);
	CLEANUP(buf_reset) struct buf keys;
	CLEANUP(buf_reset) struct buf programs;
	buf_init(&keys, 16 * 1024);
	buf_init(&programs, 32 * 1024);
	int r = 0;
	size_t used = n;
	memcpy(all, values, n * sizeof values[0]);
	if (worker->settings.attestation == WORKER_ATTESTATION_OFF) {
		all[used++] = (struct template_value){"silent", SPAN("")};
	} else if (view == NULL) {
		answer_refusal(connection, CODE_DRAINING, 0, absent);
		return;
	} else {
		r = evidence_view_values(all + n, view, worker->evidence.certificate->quoted,
			!connection->facts.tls, &keys, &programs);
		used += EVIDENCE_VALUES;
	}
	if (r == 0)
		answer_filled(connection, kind, all, used);
	else
		answer_problem(connection, CODE_INTERNAL, "Out of memory.");
}

void handle_evidence_page(
	struct worker *worker, struct connection *connection, struct request *request)
{
	const char *url = worker->settings.origins.url[ORIGIN_PATH];
	char curl[COMMAND_SIZE];
	snprintf(curl, sizeof curl, "curl %s/_api/attestation", url);
	const struct template_value values[] = {
		{"title", SPAN("What runs here")},
		{"url", span_of(url)},
		{"curl", span_of(curl)},
	};
	answer_with_evidence(worker, connection, &page_evidence, values, ARRAY_SIZE(values));
}

// ---- a tunnel

static struct span access_words(enum tunnel_auth auth)
{
	switch (auth) {
	case AUTH_BEARER:
		return SPAN("who has its secret, by the whole link that was shared, or by entering "
			    "it");
	case AUTH_BASIC: return SPAN("who has its password");
	case AUTH_NONE: return SPAN("everybody who has its address");
	}
	return absent;
}

static struct span mode_words(const struct tunnel *tunnel)
{
	return tunnel_is_pull(tunnel) ? SPAN("a service on a machine that connects to this server")
				      : SPAN("a service that this server connects to");
}

// MS in its two greatest units.
enum { LIFE_SIZE = 64 };
static void format_life(uint64_t ms, char out[LIFE_SIZE])
{
	static const struct {
		uint64_t seconds;
		const char *name;
	} units[] = {{86400, "day"}, {3600, "hour"}, {60, "minute"}, {1, "second"}};
	uint64_t left = ms / 1000;
	size_t i = 0;
	while (i + 1 < ARRAY_SIZE(units) && left < units[i].seconds)
		i++;
	int n = 0;
	for (size_t last = i + 1; i <= last && i < ARRAY_SIZE(units); i++) {
		uint64_t count = left / units[i].seconds;
		left %= units[i].seconds;
		if (count > 0 || n == 0)
			n += snprintf(out + n, LIFE_SIZE - (size_t)n, "%s%llu %s%s",
				n > 0 ? " " : "", (unsigned long long)count, units[i].name,
				count == 1 ? "" : "s");
	}
}

// Where TUNNEL is for who looks at the page: on the same origin, where a login is known.
static void format_place(const struct worker *worker, const struct connection *connection,
	const struct tunnel *tunnel, char place[ORIGIN_URL_MAX], char url[ORIGIN_URL_MAX])
{
	const struct origins *origins = &worker->settings.origins;
	enum tunnel_origin best = origin_best(origins, tunnel->origin, tunnel->port);
	char root[HANDLE_ROOT_SIZE];
	origin_url(origins, best, tunnel->id, tunnel->port, url);
	handle_format_root(connection, tunnel->id, root);
	bool elsewhere = connection->facts.use == LISTENER_CONTROL;
	snprintf(place, ORIGIN_URL_MAX, "%s", elsewhere ? url : root);
}

static void answer_about(struct worker *worker, struct connection *connection,
	const struct tunnel *tunnel, bool admitted)
{
	bool told = admitted || worker->settings.attestation != WORKER_ATTESTATION_OFF;
	char ends[RFC3339_SIZE], life[LIFE_SIZE], place[ORIGIN_URL_MAX], url[ORIGIN_URL_MAX];
	char curl[COMMAND_SIZE];
	rfc3339_format(tunnel->expires_at, ends);
	format_life(tunnel->life_ms, life);
	format_place(worker, connection, tunnel, place, url);
	snprintf(curl, sizeof curl,
		"curl \"%s/_api/tunnels/%s/attestation?nonce=$(openssl rand -hex 16)\"",
		worker->settings.origins.url[ORIGIN_PATH], tunnel->id);
	const struct template_value values[] = {
		{"title", SPAN("About this tunnel")},
		{"tunnel", SPAN("")},
		{"name", told && tunnel->name[0] != '\0' ? span_of(tunnel->name) : absent},
		{"ends", admitted ? span_of(ends) : absent},
		{"life", told && !admitted ? span_of(life) : absent},
		{"access", access_words(tunnel->auth)},
		{"mode", told ? mode_words(tunnel) : absent},
		{"place", span_of(place)},
		{"url", span_of(url)},
		{"curl", span_of(curl)},
		{"contactless", connection->set->abuse.n == 0 ? SPAN("") : absent},
	};
	answer_with_evidence(worker, connection, &page_tunnel, values, ARRAY_SIZE(values));
}

void handle_about(struct worker *worker, struct connection *connection, struct request *request)
{
	struct tunnel tunnel;
	if (!handle_find_live(worker, connection, request->id, &tunnel))
		return;
	bool admitted = tunnel.auth == AUTH_NONE || shown_secret(request, &tunnel) ||
			(tunnel.auth == AUTH_BEARER && shown_cookie(request, &tunnel));
	answer_about(worker, connection, &tunnel, admitted);
}
