// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Which tunnels live: a table from tunnel id to whatever embeds a struct route.

#pragma once

#include "messages.h"

struct route {
	struct route *next; // private: in its bucket
	uint32_t hash;      // private
	uint8_t id_size;
	char id[TUNNEL_ID_MAX];
};

struct routes {
	struct route **buckets; // a power of two of them; NULL while the table is empty
	size_t n_buckets;
	size_t n;
};

void routes_init(struct routes *routes);
// Frees the table only; the routes in it are their owner's.
void routes_deinit(struct routes *routes);

// The route with this id, or NULL. Valid until the route is dropped.
struct route *routes_find(const struct routes *routes, struct span id);

// Puts ROUTE in under ID, which is at most TUNNEL_ID_MAX bytes and not there yet. Returns 0 or
// -ENOMEM.
int routes_add(struct routes *routes, struct route *route, struct span id) WARN_UNUSED;

// Takes ROUTE, which is in the table, out.
void routes_drop(struct routes *routes, struct route *route);
