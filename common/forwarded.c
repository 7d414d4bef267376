// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "forwarded.h"

#include "networks.h"
#include "peer.h"

// Takes brackets and a port off, which some proxies write. Ports are not looked at: the address is
// what counts.
static struct span bare_address(struct span text)
{
	const char *end = text.n > 0 && text.p[0] == '[' ? memchr(text.p, ']', text.n) : NULL;
	if (end != NULL)
		return (struct span){text.p + 1, (size_t)(end - text.p) - 1};
	const char *colon = text.n > 0 ? memchr(text.p, ':', text.n) : NULL;
	if (colon != NULL && memrchr(text.p, ':', text.n) == colon) // one alone: IPv4
		text.n = (size_t)(colon - text.p);
	return text;
}

// Takes the last element that is not blank off a comma-separated list.
static bool last_element(struct span *list, struct span *element)
{
	while (list->n > 0) {
		const char *comma = memrchr(list->p, ',', list->n);
		size_t from = comma != NULL ? (size_t)(comma - list->p) + 1 : 0;
		struct span text = {list->p + from, list->n - from};
		list->n = comma != NULL ? from - 1 : 0;
		while (text.n > 0 && (text.p[0] == ' ' || text.p[0] == '\t'))
			text = (struct span){text.p + 1, text.n - 1};
		while (text.n > 0 && (text.p[text.n - 1] == ' ' || text.p[text.n - 1] == '\t'))
			text.n--;
		*element = text;
		if (text.n > 0)
			return true;
	}
	return false;
}

static void find_peer(uint8_t peer[PEER_SIZE], const struct http_head *request, struct span trusted)
{
	struct span element;
	for (size_t i = request->n_fields; i-- > 0;) {
		struct span list = request->fields[i].value;
		if (request->fields[i].id != HTTP_X_FORWARDED_FOR)
			continue;
		while (last_element(&list, &element)) {
			if (!peer_parse(peer, bare_address(element), AF_UNSPEC) ||
				!networks_have(trusted, peer))
				return;
		}
	}
}

static void find_scheme(bool *tls, const struct http_head *request)
{
	struct span element;
	for (size_t i = request->n_fields; i-- > 0;) {
		struct span list = request->fields[i].value;
		if (request->fields[i].id != HTTP_X_FORWARDED_PROTO ||
			!last_element(&list, &element))
			continue;
		*tls = span_eq_nocase(element, SPAN("https")) ||
		       span_eq_nocase(element, SPAN("wss"));
		return;
	}
}

void forwarded_apply(struct facts *facts, const struct http_head *request, struct span trusted)
{
	if (!networks_have(trusted, facts->peer))
		return;
	find_peer(facts->peer, request, trusted);
	find_scheme(&facts->tls, request);
}
