// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The first byte chooses the end and what its owner does, the rest is what its peer sends, each
// byte pair of length and payload a message: so that a fuzzer need not find masks. However the
// bytes are cut, the same bytes reach the same streams and the end is the same; what is held is
// never more than windows allow; and nothing is left over.

#include "check.h"
#include "mux.h"

enum { INPUT_MAX = 16 * 1024, WIRE_MAX = 2 * INPUT_MAX, STREAMS = 4 };

struct owner {
	struct mux mux;
	struct mux_store store;
	struct mux_stream streams[STREAMS];
	unsigned n_streams;
	bool takes, writes;
	uint32_t sum; // of all that the handlers were told
	uint64_t got;
};

static struct instant now = {1};

static struct owner *owner_of(struct mux *mux)
{
	return container_of(mux, struct owner, mux);
}

static void tell(struct owner *owner, uint32_t what)
{
	owner->sum = owner->sum * 31 + what;
}

static ssize_t on_write(struct mux *mux, const struct iovec *pieces, int n)
{
	size_t all = 0;
	for (int i = 0; i < n; i++)
		all += pieces[i].iov_len;
	return owner_of(mux)->writes ? (ssize_t)all : 0;
}

static void on_queued(struct mux *mux) {}

static void on_hello(struct mux *mux, const struct mux_message *hello)
{
	tell(owner_of(mux), (uint32_t)hello->instance.n);
}

static struct mux_stream *on_open(
	struct mux *mux, const struct mux_message *open, enum mux_reset *code)
{
	struct owner *owner = owner_of(mux);
	tell(owner, open->stream);
	*code = MUX_RESET_REFUSED;
	return owner->n_streams < STREAMS ? &owner->streams[owner->n_streams++] : NULL;
}

static void on_notice(struct mux *mux, const struct mux_message *notice)
{
	tell(owner_of(mux), (uint32_t)notice->number);
}

static void on_data(struct mux_stream *stream, char *bytes, size_t n)
{
	struct owner *owner = owner_of(stream->mux);
	for (size_t i = 0; i < n; i++)
		tell(owner, stream->id + (uint8_t)bytes[i]);
	owner->got += n;
	CHECK(stream->held <= stream->window && owner->store.held == owner->mux.held);
	if (owner->takes)
		mux_taken(stream, n);
}

static void on_fin(struct mux_stream *stream)
{
	struct owner *owner = owner_of(stream->mux);
	tell(owner, 3);
	CHECK(mux_fin(stream) == 0);
	if (owner->takes)
		mux_stream_close(stream, MUX_RESET_CANCEL);
}

static void on_reset(struct mux_stream *stream, enum mux_reset code)
{
	CHECK(stream->mux == NULL && code <= MUX_RESET_GONE);
}

static void on_writable(struct mux_stream *stream)
{
	char byte = 'x';
	if (mux_room(stream) > 0)
		CHECK(mux_send(stream, &(struct iovec){&byte, 1}, 1) == 0);
}

static const struct mux_handlers handlers = {
	on_write, on_queued, on_hello, on_open, on_notice, on_data, on_fin, on_reset, on_writable};

static void feed(struct owner *owner, const uint8_t *data, size_t n, uint8_t choice, size_t step)
{
	static char copy[WIRE_MAX];
	int r = 0;

	*owner = (struct owner){.store.most = 100000, .takes = choice & 2, .writes = choice & 4};
	mux_init(&owner->mux, choice & 1 ? MUX_AGENT : MUX_RELAY, &handlers, &now, &owner->store);
	memcpy(copy, data, n);
	for (size_t at = 0; at < n && r == 0; at += step) {
		r = mux_input(&owner->mux, copy + at, MIN(step, n - at));
		while ((choice & 1) == 0 && owner->mux.greeted && owner->n_streams < STREAMS) {
			struct mux_stream *stream = &owner->streams[owner->n_streams++];
			if (mux_open(&owner->mux, stream, SPAN("p"), SPAN("http")) == 0)
				mux_want(stream);
		}
		(void)!mux_flush(&owner->mux);
	}
	mux_deinit(&owner->mux);
	CHECK(owner->store.held == 0 && owner->mux.held == 0 && owner->mux.n_streams == 0);
}

// Messages out of the input: a byte of length, then so many bytes. An odd length is a fragment.
static size_t frames(const uint8_t *data, size_t n, bool client, uint8_t *out)
{
	static const uint8_t key[WEBSOCKET_KEY_SIZE];
	bool more = false;
	size_t size = 0;

	while (n > 0 && size + 300 < WIRE_MAX) {
		size_t length = MIN((size_t)data[0] >> 1, n - 1);
		bool last = (data[0] & 1) == 0;
		size += websocket_head(out + size, more ? WEBSOCKET_OP_MORE : WEBSOCKET_OP_BINARY,
			last, length, client ? key : NULL);
		memcpy(out + size, data + 1, length);
		size += length;
		data += 1 + length;
		n -= 1 + length;
		more = !last;
	}
	return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct owner whole, other;
	static uint8_t wire[WIRE_MAX];

	if (n == 0 || n > INPUT_MAX)
		return 0;
	uint8_t choice = data[0];
	size_t size = n - 1;
	if (choice & 8) // as it is, frames and all
		memcpy(wire, data + 1, size);
	else
		size = frames(data + 1, n - 1, (choice & 1) == 0, wire);
	// Streams are opened between two inputs: the relay's end sees the same only in small steps.
	feed(&whole, wire, size, choice, choice & 1 ? WIRE_MAX : 1);
	feed(&other, wire, size, choice, 1);
	CHECK(whole.sum == other.sum && whole.got == other.got);
	CHECK(whole.mux.end.ended == other.mux.end.ended);
	CHECK(strcmp(whole.mux.end.why, other.mux.end.why) == 0);
	feed(&other, wire, size, choice, 17);
	return 0;
}
