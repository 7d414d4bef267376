// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "visitors.h"

#include "answer.h"
#include "handlers.h"
#include "worker.h"

#include <stdio.h>

int visitors_on_visitor(struct worker *worker, struct ipc_message *message)
{
	struct facts facts = facts_read(message->fields);
	int r = ipc_check_stream(message->fd, false);
	if (r < 0 || r == IPC_STREAM_OVER)
		return r < 0 ? r : 0;
	facts.local = r == IPC_STREAM_LOCAL;
	connection_serve(&worker->connections, take_fd(&message->fd), &facts,
		message->fields[FACTS_OWN].bytes, message->fields[FACTS_BYTES].bytes);
	return 0;
}

// The page a visitor gets who was refused by the relay of connection->tunnel.
static void answer_page(
	struct worker *worker, struct connection *connection, enum code code, unsigned retry_after)
{
	char challenge[80 + TUNNEL_ID_MAX];
	struct span id = span_of(connection->tunnel), none = {NULL, 0};
	struct tunnel tunnel;
	if (code_info(code)->status != 401) {
		answer_refusal(connection, code, retry_after, none);
		return;
	}
	if (code == CODE_AUTH_FAILED && retry_after > 0) // failures came too fast
		code = CODE_RATE_LIMITED;
	bool is_basic =
		store_tunnel_get(worker->store, id, &tunnel) == 0 && tunnel.auth == AUTH_BASIC;
	int n = snprintf(challenge, sizeof challenge, SECRET_BASIC_CHALLENGE, connection->tunnel);
	if (!is_basic)
		answer_login(connection, code, retry_after, connection->tunnel, none);
	else
		answer_refusal(connection, code, retry_after,
			code == CODE_RATE_LIMITED ? none : (struct span){challenge, (size_t)n});
}

void visitors_on_page(struct worker *worker, struct ipc_message *message)
{
	char id[TUNNEL_ID_MAX + 1] = "";
	struct span given = message->fields[0].bytes;
	enum code code = (enum code)message->fields[1].number;
	memcpy(id, given.p, MIN(given.n, sizeof id - 1));
	int r = ipc_check_stream(message->fd, false);
	if (r < 0 || r == IPC_STREAM_OVER)
		return;
	struct connection *connection = connection_for_page(
		&worker->connections, take_fd(&message->fd), r == IPC_STREAM_LOCAL, id);
	if (connection == NULL)
		return;
	connection->form = FORM_HTML;
	connection->to_head = message->fields[2].number != 0;
	if (code == CODE_NONE)
		handle_notice(connection);
	else
		answer_page(worker, connection, code, (unsigned)message->fields[3].number);
}
