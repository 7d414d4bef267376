// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Chained hashing. The ids in the table are random and made by us; visitors choose only what is
// looked up, so nobody can make a chain long and the hash needs no secret.

#include "routes.h"

#include <assert.h>

enum { BUCKETS_LEAST = 64 };

void routes_init(struct routes *routes)
{
	*routes = (struct routes){0};
}

void routes_deinit(struct routes *routes)
{
	free(routes->buckets);
	routes_init(routes);
}

// FNV-1a.
static uint32_t hash_of(struct span id)
{
	uint32_t hash = 2166136261u;
	for (size_t i = 0; i < id.n; i++)
		hash = (hash ^ (uint8_t)id.p[i]) * 16777619u;
	return hash;
}

static struct route **bucket_of(const struct routes *routes, uint32_t hash)
{
	return &routes->buckets[hash & (routes->n_buckets - 1)];
}

static struct span id_of(const struct route *route)
{
	return (struct span){route->id, route->id_size};
}

struct route *routes_find(const struct routes *routes, struct span id)
{
	if (routes->n == 0)
		return NULL;
	uint32_t hash = hash_of(id);
	struct route *route = *bucket_of(routes, hash);
	while (route != NULL && (route->hash != hash || !span_eq(id_of(route), id)))
		route = route->next;
	return route;
}

static void insert(struct routes *routes, struct route *route)
{
	struct route **bucket = bucket_of(routes, route->hash);
	route->next = *bucket;
	*bucket = route;
}

// Twice the buckets as soon as there are as many routes.
static int grow(struct routes *routes)
{
	struct routes bigger = {.n = routes->n};
	bigger.n_buckets = MAX(routes->n_buckets * 2, (size_t)BUCKETS_LEAST);
	bigger.buckets = calloc(bigger.n_buckets, sizeof *bigger.buckets);
	if (bigger.buckets == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < routes->n_buckets; i++)
		for (struct route *route = routes->buckets[i], *next; route != NULL; route = next) {
			next = route->next;
			insert(&bigger, route);
		}
	free(routes->buckets);
	*routes = bigger;
	return 0;
}

int routes_add(struct routes *routes, struct route *route, struct span id)
{
	assert(id.n <= sizeof route->id && routes_find(routes, id) == NULL);
	if (routes->n == routes->n_buckets) {
		int r = grow(routes);
		if (r < 0)
			return r;
	}
	route->hash = hash_of(id);
	route->id_size = (uint8_t)id.n;
	memcpy(route->id, id.p, id.n);
	insert(routes, route);
	routes->n++;
	return 0;
}

void routes_drop(struct routes *routes, struct route *route)
{
	struct route **link = bucket_of(routes, route->hash);
	while (*link != route)
		link = &(*link)->next;
	*link = route->next;
	routes->n--;
}
