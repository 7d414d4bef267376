// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "addresses.h"

#include <stdio.h>

static void add_in(struct address_list *list, struct in_addr address, uint16_t port)
{
	list->at[list->n++] = (struct address){
		.size = sizeof(struct sockaddr_in),
		.in = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = address},
	};
}

static void add_in6(struct address_list *list, struct in6_addr address, uint16_t port)
{
	list->at[list->n++] = (struct address){
		.size = sizeof(struct sockaddr_in6),
		.in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = address},
	};
}

static void add_unix(struct address_list *list, const char *path)
{
	struct address *address = &list->at[list->n++];
	*address = (struct address){.size = sizeof address->un, .un = {.sun_family = AF_UNIX}};
	snprintf(address->un.sun_path, sizeof address->un.sun_path, "%s", path);
}

// What needs no look-up. Servers of frameworks listen on one of localhost's two addresses, some on
// this, some on that.
static bool known(struct address_list *list, const struct target *target)
{
	const struct url *url = &target->url;
	struct in_addr v4;
	if (target->kind == TARGET_UNIX) {
		add_unix(list, target->path);
	} else if (url->host_kind == URL_IPV4) {
		memcpy(&v4, &url->address.s6_addr[12], sizeof v4);
		add_in(list, v4, url->port);
	} else if (url->host_kind == URL_IPV6) {
		add_in6(list, url->address, url->port);
	} else if (strcmp(url->host, "localhost") == 0) {
		add_in(list, (struct in_addr){htonl(INADDR_LOOPBACK)}, url->port);
		add_in6(list, in6addr_loopback, url->port);
	}
	return list->n > 0;
}

static void copy(struct address_list *list, const struct addrinfo *all)
{
	*list = (struct address_list){0};
	for (; all != NULL && list->n < ADDRESSES_MOST; all = all->ai_next) {
		struct address *address = &list->at[list->n];
		if (all->ai_addrlen > sizeof address->in6)
			continue;
		address->size = all->ai_addrlen;
		memcpy(&address->any, all->ai_addr, all->ai_addrlen);
		list->n++;
	}
}

static void answered(struct addresses *addresses)
{
	// Each removed before it is called; who asks again meanwhile waits for the next answer.
	struct addresses_wait *waits = addresses->waits;
	addresses->waits = NULL;
	if (waits != NULL)
		waits->prev = &waits;
	while (waits != NULL) {
		struct addresses_wait *wait = waits;
		addresses_forget(wait);
		wait->found(wait, &addresses->list);
	}
}

static void on_answer(struct loop_watch *watch, uint32_t events)
{
	struct addresses *addresses = container_of(watch, struct addresses, answer);
	const struct addrinfo *all = NULL;
	const char *why;
	(void)events;
	if (resolution_result(addresses->asking, &all, &why) != 0)
		all = NULL;
	copy(&addresses->list, all);
	loop_unwatch(addresses->loop, watch);
	addresses->asking = resolution_free(addresses->asking);
	answered(addresses);
}

void addresses_init(struct addresses *addresses, struct loop *loop, const struct target *target)
{
	*addresses = (struct addresses){
		.loop = loop,
		.target = target,
		.answer = {.fd = -1, .ready = on_answer},
	};
	addresses->literal = known(&addresses->list, target);
}

void addresses_deinit(struct addresses *addresses)
{
	loop_unwatch(addresses->loop, &addresses->answer);
	addresses->asking = resolution_free(addresses->asking);
}

static int look_up(struct addresses *addresses)
{
	const struct url *url = &addresses->target->url;
	int r = resolution_start(&addresses->asking, url->host, url->port);
	if (r == 0)
		r = loop_watch(addresses->loop, &addresses->answer,
			resolution_fd(addresses->asking), EPOLLIN);
	if (r < 0)
		addresses->asking = resolution_free(addresses->asking);
	return r;
}

void addresses_ask(struct addresses *addresses, struct addresses_wait *wait)
{
	static const struct address_list nowhere;
	if (!addresses->literal && addresses->asking == NULL && look_up(addresses) < 0) {
		wait->found(wait, &nowhere);
		return;
	}
	if (addresses->literal) {
		wait->found(wait, &addresses->list);
		return;
	}
	wait->next = addresses->waits;
	wait->prev = &addresses->waits;
	if (wait->next != NULL)
		wait->next->prev = &wait->next;
	addresses->waits = wait;
}

void addresses_forget(struct addresses_wait *wait)
{
	if (wait->prev == NULL)
		return;
	*wait->prev = wait->next;
	if (wait->next != NULL)
		wait->next->prev = wait->prev;
	wait->next = NULL;
	wait->prev = NULL;
}

void addresses_prefer(struct addresses *addresses, unsigned index)
{
	if (!addresses->literal || index == 0 || index >= addresses->list.n)
		return;
	struct address first = addresses->list.at[0];
	addresses->list.at[0] = addresses->list.at[index];
	addresses->list.at[index] = first;
}
