// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "outlet.h"

static const struct ipc_handlers to_relay = {.self = ROLE_GATE, .peer = ROLE_RELAY};
static const struct ipc_handlers to_api = {.self = ROLE_GATE, .peer = ROLE_API};

// Returns IPC_SENT, IPC_FULL, or a negative errno when there is no receiver.
static int hand_over(struct outlet *outlet, const struct visitor *visitor)
{
	struct span bytes = visitor_bytes(visitor);
	if (!ipc_open(&outlet->channel))
		return -EPIPE;
	const struct wire_value fields[] = {
		wire_bin(visitor->facts.peer, PEER_SIZE),
		wire_uint(visitor->facts.use),
		wire_bool(visitor->facts.tls),
		wire_str((struct span){visitor->own, visitor->own_size}),
		wire_bin(bytes.p, bytes.n),
	};
	// The receiver knows gates by no epoch: several share the channel.
	return ipc_send_epoch(
		&outlet->channel, 0, MSG_VISITOR, visitor->fd, fields, ARRAY_SIZE(fields));
}

// ---- sending those who wait

// Sends as many as the channel takes.
static void flush(struct outlet *outlet)
{
	struct visitor *visitor;
	while ((visitor = TAILQ_FIRST(&outlet->parked.queue)) != NULL) {
		if (hand_over(outlet, visitor) != IPC_SENT)
			return; // if it was full, on_writable() follows
		visitor_release(visitor);
	}
}

static void on_writable(struct ipc_channel *channel)
{
	flush(container_of(channel, struct outlet, channel));
}

// The receiver is dead. Its visitors stay parked: a relay is soon back with a new channel.
static void on_ended(struct ipc_channel *channel, const char *why) {}

// ---- life

void outlet_init(struct outlet *outlet, struct loop *loop, enum ipc_role receiver)
{
	*outlet = (struct outlet){
		.channel = {.watch = {.fd = -1}},
		.receiver = receiver,
		.loop = loop,
	};
	visitor_list_init(&outlet->parked);
}

void outlet_deinit(struct outlet *outlet, struct outlet *heir)
{
	struct visitor *visitor;
	while ((visitor = TAILQ_FIRST(&outlet->parked.queue)) != NULL) {
		visitor_unpark(visitor);
		outlet_offer(heir, visitor);
	}
	ipc_deinit(&outlet->channel);
}

int outlet_connect(struct outlet *outlet, int fd)
{
	ipc_deinit(&outlet->channel);
	const struct ipc_handlers *handlers = outlet->receiver == ROLE_API ? &to_api : &to_relay;
	int r = ipc_init(&outlet->channel, outlet->loop, fd, handlers, 0, IPC_SEND_ONLY, 0);
	if (r < 0)
		return r;
	outlet->channel.phase = PHASE_RUN;
	outlet->channel.ended = on_ended;
	outlet->channel.writable = on_writable;
	flush(outlet);
	return 0;
}

void outlet_offer(struct outlet *outlet, struct visitor *visitor)
{
	if (outlet->parked.n == 0 && hand_over(outlet, visitor) == IPC_SENT)
		visitor_release(visitor);
	else
		visitor_park(visitor, &outlet->parked);
}
