// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "dial.h"

#include "relay.h"
#include "visitor.h"

void dials_init(struct dials *dials)
{
	*dials = (struct dials){.serial = 0};
	dials->tail = &dials->head;
}

// ---- the queue

static void enqueue(struct dials *dials, struct dial *dial)
{
	dial->next = NULL;
	dial->prev = dials->tail;
	*dials->tail = dial;
	dials->tail = &dial->next;
	dial->waiting = true;
}

static void dequeue(struct dials *dials, struct dial *dial)
{
	*dial->prev = dial->next;
	if (dial->next != NULL)
		dial->next->prev = dial->prev;
	else
		dials->tail = dial->prev;
	dial->waiting = false;
}

// ---- questions

// The request number carries slot and serial, so that a late answer cannot be taken for another's.
static uint64_t request_number(uint32_t slot, uint32_t serial)
{
	return (uint64_t)serial << 8 | slot;
}

static int free_slot(const struct dials *dials)
{
	for (int i = 0; i < DIALS_MAX; i++)
		if (dials->slots[i].serial == 0)
			return i;
	return -1;
}

static int ask(struct relay *relay, struct dial *dial, int slot)
{
	struct dials *dials = &relay->dials;
	if (++dials->serial == 0)
		dials->serial = 1;
	int r = ipc_post(&relay->control, MSG_DIAL, -1,
		wire_uint(request_number((uint32_t)slot, dials->serial)), wire_uint(dial->attempt));
	if (r != IPC_SENT)
		return r < 0 ? r : -ENOBUFS;
	dials->slots[slot].dial = dial;
	dials->slots[slot].serial = dials->serial;
	dial->slot = (uint32_t)slot + 1;
	return 0;
}

int dial_start(struct relay *relay, struct dial *dial, uint8_t attempt)
{
	dial->attempt = attempt;
	int slot = free_slot(&relay->dials);
	if (slot >= 0)
		return ask(relay, dial, slot);
	enqueue(&relay->dials, dial);
	return 0;
}

void dial_wait(struct relay *relay, struct dial *dial)
{
	enqueue(&relay->dials, dial);
}

void dial_cancel(struct relay *relay, struct dial *dial)
{
	if (dial->waiting)
		dequeue(&relay->dials, dial);
	if (dial->slot > 0)
		relay->dials.slots[dial->slot - 1].dial = NULL; // its answer is still to come
	dial->slot = 0;
}

// ---- answers

// Frees the slot and gives it to the next in the queue. Returns whose answer it was, NULL when
// nobody waits for it.
static int answered(struct relay *relay, uint64_t request, struct dial **ret)
{
	struct dials *dials = &relay->dials;
	uint32_t slot = request & 0xff;
	if (slot >= DIALS_MAX || dials->slots[slot].serial == 0 ||
		request != request_number(slot, dials->slots[slot].serial))
		return -EBADMSG;
	*ret = dials->slots[slot].dial;
	dials->slots[slot].dial = NULL;
	dials->slots[slot].serial = 0;
	if (*ret != NULL)
		(*ret)->slot = 0;
	// One that cannot be asked for leaves the slot to the next, for no other answer may come.
	while (dials->head != NULL && dials->slots[slot].serial == 0) {
		struct dial *next = dials->head;
		dequeue(dials, next);
		if (ask(relay, next, (int)slot) < 0)
			visitor_dial_failed(
				container_of(next, struct visitor, dial), DIAL_EXHAUSTED);
	}
	return 0;
}

int dial_on_dialed(struct ipc_channel *channel, struct ipc_message *message)
{
	struct relay *relay = container_of(channel, struct relay, control);
	struct dial *dial = NULL;
	int r = answered(relay, message->fields[0].number, &dial);
	if (r < 0 || dial == NULL)
		return r;
	dial->addresses = (uint8_t)message->fields[1].number;
	visitor_dialed(container_of(dial, struct visitor, dial), take_fd(&message->fd));
	return 0;
}

int dial_on_failed(struct ipc_channel *channel, struct ipc_message *message)
{
	struct relay *relay = container_of(channel, struct relay, control);
	struct dial *dial = NULL;
	int r = answered(relay, message->fields[0].number, &dial);
	if (r < 0 || dial == NULL)
		return r;
	visitor_dial_failed(container_of(dial, struct visitor, dial),
		(enum dial_failure)message->fields[1].number);
	return 0;
}

void dial_lost(struct relay *relay, const struct ipc_message *lost)
{
	struct dial *dial = NULL;
	if (lost->type->type == MSG_DIALED && answered(relay, lost->fields[0].number, &dial) == 0 &&
		dial != NULL)
		visitor_dial_failed(container_of(dial, struct visitor, dial), DIAL_EXHAUSTED);
}
