// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "visitors.h"

#include "answer.h"
#include "worker.h"

int visitors_on_visitor(struct worker *worker, struct ipc_message *message)
{
	int r = ipc_check_stream(message->fd, false);
	if (r == 0)
		connection_serve(&worker->connections, take_fd(&message->fd),
			(uint8_t)message->fields[1].number, message->fields[2].bytes);
	return r < 0 ? r : 0;
}

// What a browser needs to ask its user, or a program to know what is missing.
static struct span challenge_of(struct worker *worker, struct span id, enum code code)
{
	struct tunnel tunnel;
	if (code_info(code)->status != 401)
		return (struct span){NULL, 0};
	if (store_tunnel_get(worker->store, id, &tunnel) == 0 && tunnel.auth == AUTH_BASIC)
		return SPAN("WWW-Authenticate: Basic realm=\"tunnel\", charset=\"UTF-8\"\r\n");
	return SPAN("WWW-Authenticate: Bearer realm=\"tunnel\"\r\n");
}

void visitors_on_page(struct worker *worker, struct ipc_message *message)
{
	char id[TUNNEL_ID_MAX + 1] = "";
	struct span given = message->fields[0].bytes;
	uint64_t number = message->fields[1].number;
	enum code code = number == CODE_NONE ? CODE_INTERNAL : (enum code)number;
	memcpy(id, given.p, MIN(given.n, sizeof id - 1));
	if (ipc_check_stream(message->fd, false) != 0)
		return;
	struct connection *connection =
		connection_for_page(&worker->connections, take_fd(&message->fd), id);
	if (connection == NULL)
		return;
	connection->form = FORM_HTML;
	connection->to_head = message->fields[2].number != 0;
	answer_refusal(connection, code, (unsigned)message->fields[3].number,
		challenge_of(worker, given, code));
}
