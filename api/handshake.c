// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "handshake.h"

#include "websocket_accept.h"

// The value of the one field NAME; the absent span when there is none, or more than one.
static struct span only(const struct http_head *head, struct span name)
{
	struct span found = {NULL, 0};
	unsigned n = 0;
	for (size_t i = 0; i < head->n_fields; i++)
		if (span_eq_nocase(head->fields[i].name, name)) {
			found = head->fields[i].value;
			n++;
		}
	return n == 1 ? found : (struct span){NULL, 0};
}

// Whether one of the fields Sec-WebSocket-Protocol, each a list, names ours.
static bool offers_protocol(const struct http_head *head)
{
	for (size_t i = 0; i < head->n_fields; i++) {
		struct span list = head->fields[i].value, element;
		if (!span_eq_nocase(head->fields[i].name, SPAN("Sec-WebSocket-Protocol")))
			continue;
		while (http_list_next(&list, &element))
			if (span_eq(element, SPAN(HANDSHAKE_PROTOCOL)))
				return true;
	}
	return false;
}

int handshake_check(const struct http_head *head, struct span *key, const char **why)
{
	if (head->method != HTTP_GET || !head->upgrade ||
		!http_list_has(head->upgrade_protocols, SPAN("websocket"))) {
		*why = "This address is for agents: a GET with `Connection: upgrade` and `Upgrade: "
		       "websocket`.";
		return HANDSHAKE_UPGRADE;
	}
	if (!span_eq(only(head, SPAN("Sec-WebSocket-Version")), SPAN("13"))) {
		*why = "The WebSocket must be of version 13: send one Sec-WebSocket-Version: 13.";
		return HANDSHAKE_UPGRADE;
	}
	*key = only(head, SPAN("Sec-WebSocket-Key"));
	if (!websocket_nonce_ok(*key)) {
		*why = "There must be one Sec-WebSocket-Key of 16 bytes in base64.";
		return HANDSHAKE_BAD;
	}
	if (!offers_protocol(head)) {
		*why = "Sec-WebSocket-Protocol must name tunneld.v1, the protocol of agents.";
		return HANDSHAKE_BAD;
	}
	return 0;
}
