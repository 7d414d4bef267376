// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Ids of tunnels read from the store, to be dealt with afterwards: it must not change while it is
// read.

#pragma once

#include "tunnel.h"

struct id_list {
	char (*ids)[TUNNEL_ID_MAX + 1];
	size_t n, size;
	bool incomplete; // there was no memory for more
};

// A store_each for a list.
bool id_list_collect(const struct tunnel *tunnel, void *list);

static inline void id_list_deinit(struct id_list *list)
{
	free(list->ids);
}
