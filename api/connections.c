// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "connections.h"

#include "connection.h"

void connections_init(
	struct connections *set, struct loop *loop, const struct connection_server *server)
{
	*set = (struct connections){.loop = loop, .server = server};
	TAILQ_INIT(&set->all);
}

void connections_deinit(struct connections *set)
{
	while (!TAILQ_EMPTY(&set->all))
		connection_close(TAILQ_FIRST(&set->all));
}

size_t connections_waiting(const struct connections *set)
{
	size_t n = 0;
	const struct connection *c;
	TAILQ_FOREACH(c, &set->all, link)
	n += buf_len(&c->out);
	return n;
}

static size_t pages_of(const struct connections *set, const char *tunnel)
{
	size_t n = 0;
	const struct connection *c;
	TAILQ_FOREACH(c, &set->all, link)
	n += c->kind == CONNECTION_PAGE && strcmp(c->tunnel, tunnel) == 0;
	return n;
}

// Who can give way, or NULL.
static struct connection *find_victim(struct connections *set)
{
	struct connection *c;
	TAILQ_FOREACH(c, &set->all, link)
	if (c->kind == CONNECTION_SERVED && !c->privileged)
		return c;
	return NULL;
}

void connection_prefer(struct connection *connection, bool owner)
{
	size_t n = 0;
	const struct connection *c;
	TAILQ_FOREACH(c, &connection->set->all, link)
	n += c->kind == CONNECTION_SERVED && c->privileged && c->scoped;
	connection->scoped = !owner;
	connection->privileged = owner || n < connection->set->most / 2;
}

bool connections_find_place(struct connections *set, enum connection_kind *kind, const char *tunnel)
{
	if (*kind == CONNECTION_PAGE)
		return set->n[CONNECTION_PAGE] < CONNECTION_PAGES_MAX &&
		       pages_of(set, tunnel) < CONNECTION_TUNNEL_PAGES_MAX;
	if (set->n[CONNECTION_SERVED] < set->most)
		return true;
	struct connection *victim = find_victim(set);
	if (victim != NULL) {
		connection_close(victim);
		return true;
	}
	*kind = CONNECTION_REFUSED;
	return set->n[CONNECTION_REFUSED] < CONNECTION_REFUSED_MAX;
}
