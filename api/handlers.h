// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The handlers the table in routes.c names. Each answers, or has somebody answer later.

#pragma once

#include "connection.h"

struct worker;

// handlers_tunnels.c
void handle_create(struct worker *worker, struct connection *connection, struct request *request);
void handle_list(struct worker *worker, struct connection *connection, struct request *request);
void handle_show(struct worker *worker, struct connection *connection, struct request *request);
void handle_change(struct worker *worker, struct connection *connection, struct request *request);
void handle_delete(struct worker *worker, struct connection *connection, struct request *request);

// Reads the tunnel, or answers that there is none, as for one outside SCOPE.
struct tunnel;
bool handle_find_tunnel(struct worker *worker, struct connection *connection, const char *scope,
	struct span id, struct tunnel *tunnel);

// handlers_agent.c
void handle_agent(struct worker *worker, struct connection *connection, struct request *request);
// Its connection has been told 101: passes it on.
void handle_upgraded(struct connection *connection, struct span bytes);

// handlers_audit.c
void handle_audit(struct worker *worker, struct connection *connection, struct request *request);

// handlers_events.c
void handle_events(struct worker *worker, struct connection *connection, struct request *request);

// handlers_tokens.c
void handle_token_create(
	struct worker *worker, struct connection *connection, struct request *request);
void handle_token_list(
	struct worker *worker, struct connection *connection, struct request *request);
void handle_token_show(
	struct worker *worker, struct connection *connection, struct request *request);
void handle_token_delete(
	struct worker *worker, struct connection *connection, struct request *request);

// handlers_service.c
void handle_version(struct worker *worker, struct connection *connection, struct request *request);
void handle_health(struct worker *worker, struct connection *connection, struct request *request);
void handle_ready(struct worker *worker, struct connection *connection, struct request *request);
void handle_openapi(struct worker *worker, struct connection *connection, struct request *request);
void handle_asset(struct worker *worker, struct connection *connection, struct request *request);

// handlers_pages.c
void handle_front(struct worker *worker, struct connection *connection, struct request *request);
void handle_about(struct worker *worker, struct connection *connection, struct request *request);
// What the attestation addresses answer a browser that navigates to them.
void handle_evidence_page(
	struct worker *worker, struct connection *connection, struct request *request);

// handlers_evidence.c
void handle_attestation(
	struct worker *worker, struct connection *connection, struct request *request);
void handle_tunnel_attestation(
	struct worker *worker, struct connection *connection, struct request *request);
void handle_receipt(struct worker *worker, struct connection *connection, struct request *request);

// handlers_notice.c: what people are shown before they get to a service, and their going on.
void handle_notice(struct connection *connection);
void handle_enter(struct worker *worker, struct connection *connection, struct request *request);

// handlers_login.c
void handle_login(struct worker *worker, struct connection *connection, struct request *request);
void handle_login_form(
	struct worker *worker, struct connection *connection, struct request *request);

// handlers_metrics.c
void handle_metrics(struct worker *worker, struct connection *connection, struct request *request);

// handlers_visitor.c: reads tunnel ID if it lives, or answers the visitor what else it is.
bool handle_find_live(struct worker *worker, struct connection *connection, struct span id,
	struct tunnel *tunnel);
// Writes where tunnel ID begins on the origin that CONNECTION has asked on.
enum { HANDLE_ROOT_SIZE = sizeof "/t//" + TUNNEL_ID_MAX };
void handle_format_root(
	const struct connection *connection, const char *id, char root[HANDLE_ROOT_SIZE]);
// What was sent to a tunnel's own origin and no relay serves.
void handle_own(struct worker *worker, struct connection *connection);
// What is not the API's. Answers any request.
void handle_elsewhere(
	struct worker *worker, struct connection *connection, const struct request *request);
