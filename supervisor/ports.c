// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "ports.h"

#include <assert.h>

int ports_init(struct ports *ports, const struct listeners *listeners)
{
	*ports = (struct ports){.free = calloc(listeners->n, sizeof *ports->free)};
	if (ports->free == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < listeners->n; i++)
		if (listeners->entries[i].use == LISTENER_PORT)
			ports->free[ports->n++] = (struct port){
				.listener = (uint16_t)i,
				.number = listener_port((const void *)&listeners->addresses[i]),
			};
	ports->n_free = ports->n;
	return 0;
}

static struct port *find(struct ports *ports, uint16_t number)
{
	for (size_t i = 0; i < ports->n_free; i++)
		if (ports->free[i].number == number)
			return &ports->free[i];
	return NULL;
}

uint16_t ports_take(struct ports *ports, uint16_t wanted, uint16_t *number)
{
	struct port *port = wanted != 0 ? find(ports, wanted) : NULL;
	if (port == NULL && ports->n_free > 0 &&
		instant_reached(instant_now(), ports->free[0].free_at))
		port = &ports->free[0];
	if (port == NULL)
		return 0;
	struct port taken = *port;
	size_t behind = (size_t)(ports->free + ports->n_free - port) - 1;
	memmove(port, port + 1, behind * sizeof *port);
	ports->n_free--;
	*number = taken.number;
	return taken.listener;
}

void ports_give(struct ports *ports, uint16_t listener, uint16_t number)
{
	assert(ports->n_free < ports->n);
	ports->free[ports->n_free++] = (struct port){
		.listener = listener,
		.number = number,
		.free_at = instant_add_ms(instant_now(), PORTS_REST_MS),
	};
}
