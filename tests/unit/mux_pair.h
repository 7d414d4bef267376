// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Both ends of an agent connection in one process, with a wire between them that a test may narrow.

#pragma once

#include "mux.h"

#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { CHANNELS = 8, WIRE_MAX = 64 * 1024 * 1024 };

// A stream and what its owner has seen of it.
struct channel {
	struct mux_stream stream;
	bool keeps; // does not take what comes
	bool fin;
	int reset; // code plus one
	unsigned writable;
	size_t to_send; // sent when it has room
	size_t got;
	uint32_t sum; // of the bytes got, by place
};

struct end {
	struct mux mux;
	struct mux_store store;
	struct buf wire; // written, not yet with the other end
	size_t room;     // what may be written before the wire is full
	unsigned writes;
	bool queued;
	struct channel channels[CHANNELS];
	unsigned n_opened;     // by the peer
	enum mux_reset refuse; // a code: what comes is refused with it
	char seen[256];
};

static struct instant now;

static struct end *end_of(struct mux *mux)
{
	return container_of(mux, struct end, mux);
}

static struct channel *channel_of(struct mux_stream *stream)
{
	return container_of(stream, struct channel, stream);
}

static ssize_t on_write(struct mux *mux, const struct iovec *pieces, int n)
{
	struct end *end = end_of(mux);
	size_t sent = 0;
	end->writes++;
	for (int i = 0; i < n; i++) {
		size_t size = MIN(pieces[i].iov_len, end->room);
		assert_int_equal(buf_add(&end->wire, pieces[i].iov_base, size), 0);
		end->room -= size;
		sent += size;
	}
	return (ssize_t)sent;
}

static void on_queued(struct mux *mux)
{
	end_of(mux)->queued = true;
}

static void see(struct end *end, const char *format, ...) PRINTF(2, 3);

static void see(struct end *end, const char *format, ...)
{
	va_list ap;
	size_t n = strlen(end->seen);
	va_start(ap, format);
	vsnprintf(end->seen + n, sizeof end->seen - n, format, ap);
	va_end(ap);
}

static void on_hello(struct mux *mux, const struct mux_message *m)
{
	see(end_of(mux), "hello %.*s %lu;", (int)m->instance.n, m->instance.p,
		(unsigned long)m->number);
}

static struct mux_stream *on_open(
	struct mux *mux, const struct mux_message *m, enum mux_reset *code)
{
	struct end *end = end_of(mux);
	if (end->refuse != 0 || end->n_opened == CHANNELS) {
		*code = end->refuse;
		return NULL;
	}
	see(end, "open %u %.*s %.*s;", m->stream, (int)m->peer.n, m->peer.p, (int)m->proto.n,
		m->proto.p);
	return &end->channels[end->n_opened++].stream;
}

static void on_notice(struct mux *mux, const struct mux_message *m)
{
	see(end_of(mux), "notice %.*s %lu;", (int)m->kind.n, m->kind.p, (unsigned long)m->number);
}

static void on_data(struct mux_stream *stream, char *bytes, size_t n)
{
	struct channel *channel = channel_of(stream);
	for (size_t i = 0; i < n; i++)
		channel->sum = channel->sum * 31 + (uint8_t)bytes[i];
	channel->got += n;
	if (!channel->keeps)
		mux_taken(stream, n);
}

static void on_fin(struct mux_stream *stream)
{
	channel_of(stream)->fin = true;
}

static void on_reset(struct mux_stream *stream, enum mux_reset code)
{
	channel_of(stream)->reset = (int)code + 1;
}

static inline uint32_t sum_of(size_t n)
{
	uint32_t sum = 0;
	for (size_t i = 0; i < n; i++)
		sum = sum * 31 + (uint8_t)(i * 7 >> 2);
	return sum;
}

// Sends what the channel still has to send, as far as there is room.
static void send_more(struct channel *channel, size_t from)
{
	static char bytes[MUX_DATA_MAX];
	size_t n;
	while ((n = MIN(mux_room(&channel->stream), channel->to_send)) > 0) {
		for (size_t i = 0; i < n; i++, from++)
			bytes[i] = (char)(from * 7 >> 2);
		assert_int_equal(mux_send(&channel->stream, &(struct iovec){bytes, n}, 1), 0);
		channel->to_send -= n;
	}
	if (channel->to_send > 0)
		mux_want(&channel->stream);
}

static size_t all_of[CHANNELS]; // what each channel had to send in all

static void on_writable(struct mux_stream *stream)
{
	struct channel *channel = channel_of(stream);
	struct end *end = end_of(stream->mux);
	channel->writable++;
	size_t all = all_of[channel - end->channels];
	send_more(channel, all - channel->to_send);
}

static const struct mux_handlers handlers = {
	.write = on_write,
	.queued = on_queued,
	.hello = on_hello,
	.open = on_open,
	.notice = on_notice,
	.data = on_data,
	.fin = on_fin,
	.reset = on_reset,
	.writable = on_writable,
};

static void end_init(struct end *end, enum mux_role role)
{
	*end = (struct end){.room = SIZE_MAX, .store.most = 1ul << 30};
	buf_init(&end->wire, WIRE_MAX);
	mux_init(&end->mux, role, &handlers, &now, &end->store);
}

static void end_deinit(struct end *end)
{
	mux_deinit(&end->mux);
	buf_reset(&end->wire);
	assert_int_equal(end->store.held, 0);
	assert_int_equal(end->mux.held, 0);
}

// Carries what A has written to B, in steps of STEP bytes.
static int carry(struct end *a, struct end *b, size_t step)
{
	int r = 0;
	while (buf_len(&a->wire) > 0 && r == 0) {
		char bytes[4096];
		size_t n = MIN(MIN(buf_len(&a->wire), step), sizeof bytes);
		memcpy(bytes, buf_span(&a->wire).p, n);
		buf_consume(&a->wire, n);
		r = mux_input(&b->mux, bytes, n);
	}
	return r;
}

// Until nobody has anything to say.
static void run(struct end *a, struct end *b, size_t step)
{
	do {
		a->queued = b->queued = false;
		(void)!mux_flush(&a->mux);
		(void)!mux_flush(&b->mux);
		(void)carry(a, b, step);
		(void)carry(b, a, step);
	} while (a->queued || b->queued || buf_len(&a->wire) + buf_len(&b->wire) > 0);
}

struct pair {
	struct end relay, agent;
};

static int setup(void **state)
{
	static struct pair pair;
	now = (struct instant){1000000};
	end_init(&pair.relay, MUX_RELAY);
	end_init(&pair.agent, MUX_AGENT);
	assert_int_equal(mux_hello(&pair.relay.mux,
				 &(struct mux_message){.instance = SPAN("relay"), .number = 9}),
		0);
	assert_int_equal(mux_hello(&pair.agent.mux,
				 &(struct mux_message){.instance = SPAN("agent"), .number = 5}),
		0);
	run(&pair.relay, &pair.agent, SIZE_MAX);
	*state = &pair;
	return 0;
}

static int teardown(void **state)
{
	struct pair *pair = *state;
	end_deinit(&pair->relay);
	end_deinit(&pair->agent);
	return 0;
}

static struct channel *open_one(struct pair *pair, unsigned i)
{
	struct channel *channel = &pair->relay.channels[i];
	assert_int_equal(
		mux_open(&pair->relay.mux, &channel->stream, SPAN("192.0.2.1"), SPAN("http")), 0);
	return channel;
}

static inline void start_sending(struct channel *channel, size_t at, size_t n)
{
	all_of[at] = channel->to_send = n;
	send_more(channel, 0);
}

#define ALL(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
