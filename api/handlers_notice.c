// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The notice that people are shown before they get to a service, where the operator wants it. The
// tunnel's relay decides who is to see it (relay/notice.h); who goes on gets a cookie that says so.

#include "handlers.h"

#include "answer.h"
#include "cookie.h"
#include "entrance.h"
#include "worker.h"

#include <stdio.h>

static void answer_notice(struct connection *connection, struct span id)
{
	const struct template_value values[] = {
		{"title", SPAN("You are about to enter a tunnel")}, {"id", id}};
	answer_filled(connection, &page_notice, values, ARRAY_SIZE(values));
}

void handle_notice(struct connection *connection)
{
	answer_notice(connection, span_of(connection->tunnel));
}

void handle_enter(struct worker *worker, struct connection *connection, struct request *request)
{
	struct tunnel tunnel;
	char target[ENTRANCE_TARGET_SIZE], pair[sizeof COOKIE_SEEN "=1" + TUNNEL_ID_MAX];
	if (!handle_find_live(worker, connection, request->id, &tunnel))
		return;
	bool foreign = entrance_is_foreign(worker, request);
	if (foreign && connection->form == FORM_HTML) {
		answer_notice(connection, request->id);
		return;
	}
	if (foreign) {
		answer_problem(connection, CODE_BAD_REQUEST,
			"This is for people who go on from this server's own page.");
		return;
	}
	entrance_find_target(worker, connection, request, tunnel.id, target);
	snprintf(pair, sizeof pair, COOKIE_SEEN "%s=1", tunnel.id);
	entrance_open(worker, connection, &tunnel, pair, target);
}
