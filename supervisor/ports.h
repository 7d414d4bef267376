// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// port_pool: listeners that tunnels get as their own, one each, as long as there are any.
//
// What a browser keeps for an origin (cookies, storage, service workers) it keeps beyond the end of
// a tunnel. So a port that was given back rests, and those that have rested longest go first.

#pragma once

#include "listeners.h"

#include "clock.h"

enum { PORTS_REST_MS = 60 * 1000 };

struct ports {
	struct port {
		uint16_t listener; // its number
		uint16_t number;   // of the port
		struct instant free_at;
	} * free; // the one that has rested longest first; room for all
	size_t n_free, n;
};

// Takes in the listeners for LISTENER_PORT. Returns 0 or -ENOMEM.
int ports_init(struct ports *ports, const struct listeners *listeners) WARN_UNUSED;

// Takes port WANTED if that is free, rested or not, else the next one that has rested; 0: no wish.
// Returns the number of its listener, with *NUMBER, or 0 when there is none.
uint16_t ports_take(struct ports *ports, uint16_t wanted, uint16_t *number);

// Gives LISTENER back, which is port NUMBER.
void ports_give(struct ports *ports, uint16_t listener, uint16_t number);
