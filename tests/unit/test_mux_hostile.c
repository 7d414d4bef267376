// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// An end that is told what no honest peer would say.

#include "mux_pair.h"

// A frame of a client with a key of zeros, or of a server, with BYTES as payload.
static size_t frame(char *out, bool client, struct span bytes)
{
	static const uint8_t key[4];
	size_t n = websocket_head(
		(uint8_t *)out, WEBSOCKET_OP_BINARY, true, bytes.n, client ? key : NULL);
	memcpy(out + n, bytes.p, bytes.n);
	return n + bytes.n;
}

static int say(struct end *end, struct span bytes)
{
	char out[256];
	size_t n = frame(out, end->mux.role == MUX_RELAY, bytes);
	return mux_input(&end->mux, out, n);
}

static void assert_ends(struct end *end, struct span bytes, const char *why)
{
	int r = say(end, bytes);
	if (r != MUX_ENDED || strcmp(end->mux.end.why, why) != 0)
		fail_msg("%d '%s' instead of '%s'", r, end->mux.end.why, why);
	assert_int_equal(end->mux.end.code, WEBSOCKET_PROTOCOL_ERROR);
	assert_int_equal(say(end, SPAN("\x92\x04\x01")), MUX_ENDED);
}

#define SAYS_WRONG(name, end, bytes, why)                  \
	static void test_##name(void **state)              \
	{                                                  \
		struct pair *pair = *state;                \
		open_one(pair, 0);                         \
		run(&pair->relay, &pair->agent, SIZE_MAX); \
		assert_ends(&pair->end, SPAN(bytes), why); \
	}

SAYS_WRONG(second_hello, relay, "\x93\0\x01\x81\xa8instance\xa1x", "a second HELLO")
SAYS_WRONG(open_by_agent, relay, "\x93\x01\x02\x80", "a message that only relays send")
SAYS_WRONG(notice_by_agent, relay, "\x93\x06\xa1x\0", "a message that only relays send")
SAYS_WRONG(unknown_data, relay, "\x93\x02\x02\xc4\x01x", "a stream that was never opened")
SAYS_WRONG(unknown_fin, agent, "\x92\x04\x02", "a stream that was never opened")
SAYS_WRONG(unknown_credit, relay, "\x93\x03\x02\x01", "a stream that was never opened")
SAYS_WRONG(unknown_reset, relay, "\x93\x05\x02\x01", "a stream that was never opened")
SAYS_WRONG(old_open, agent, "\x93\x01\x01\x80", "an OPEN of a stream that has been")
SAYS_WRONG(no_credit, relay, "\x93\x03\x01\0", "credit that overflows")
SAYS_WRONG(overflow, relay, "\x93\x03\x01\xce\0\xfc\0\x01", "credit that overflows")
SAYS_WRONG(large_data, relay, "\x93\x02\x01\xc6\0\x01\0\x01x", "a DATA of more than 64 KiB")
SAYS_WRONG(short_data, relay, "\x93\x02\x01\xc4\x02x", "a malformed DATA")
SAYS_WRONG(long_data, relay, "\x93\x02\x01\xc4\x01xy", "bytes behind a message")
SAYS_WRONG(cut_data, relay, "\x93\x02\x01", "a malformed DATA")
SAYS_WRONG(garbage, relay, "garbage", "a message that is not an array")

static void test_most_credit(void **state)
{
	struct pair *pair = *state;
	open_one(pair, 0);
	assert_int_equal(say(&pair->relay, SPAN("\x93\x03\x01\xce\0\xfc\0\0")), 0);
	assert_int_equal(pair->relay.channels[0].stream.credit, MUX_WINDOW_MAX);
}

static void test_before_hello(void **state)
{
	struct end end;
	end_init(&end, MUX_AGENT);
	assert_ends(&end, SPAN("\x93\x01\x01\x80"), "a message before HELLO");
	end_deinit(&end);
	end_init(&end, MUX_RELAY);
	assert_ends(&end, SPAN("\x93\x02\x01\xc4\x01x"), "a message before HELLO");
	end_deinit(&end);
}

static void test_behind_a_fin(void **state)
{
	struct pair *pair = *state;
	open_one(pair, 0);
	assert_int_equal(say(&pair->relay, SPAN("\x92\x04\x01")), 0);
	assert_ends(&pair->relay, SPAN("\x93\x02\x01\xc4\x01x"), "DATA behind a FIN");
}

static void test_a_second_fin(void **state)
{
	struct pair *pair = *state;
	open_one(pair, 0);
	assert_int_equal(say(&pair->relay, SPAN("\x92\x04\x01")), 0);
	assert_ends(&pair->relay, SPAN("\x92\x04\x01"), "a second FIN");
}

static void test_text(void **state)
{
	struct pair *pair = *state;
	assert_int_equal(mux_input(&pair->agent.mux, (char[]){(char)0x81, 1, 'x'}, 3), MUX_ENDED);
	assert_int_equal(pair->agent.mux.end.code, WEBSOCKET_UNSUPPORTED);
}

static void test_a_long_message(void **state)
{
	struct pair *pair = *state;
	char head[4] = {(char)0x82, 126, 0x10, 0}, rest[1025];
	memset(rest, 'x', sizeof rest);
	assert_int_equal(mux_input(&pair->agent.mux, head, sizeof head), 0);
	assert_int_equal(mux_input(&pair->agent.mux, rest, sizeof rest), MUX_ENDED);
	assert_string_equal(pair->agent.mux.end.why, "a message of more than 1 KiB");
}

static void data_of(struct end *end, size_t n, int expected)
{
	static char out[MUX_DATA_MAX + 32], body[MUX_DATA_MAX + MUX_DATA_HEAD_MAX];
	size_t head = mux_data_encode(body, 1, n);
	size_t size = frame(out, end->mux.role == MUX_RELAY, (struct span){body, head + n});
	assert_int_equal(mux_input(&end->mux, out, size), expected);
}

static void test_data_beyond_credit(void **state)
{
	struct pair *pair = *state;
	open_one(pair, 0)->keeps = true;
	for (int i = 0; i < 4; i++)
		data_of(&pair->relay, MUX_DATA_MAX, 0);
	data_of(&pair->relay, 1, MUX_ENDED);
	assert_string_equal(pair->relay.mux.end.why, "DATA beyond its credit");
}

// What was on its way when we reset a stream is let pass, and no more.
static void test_late_data(void **state)
{
	struct pair *pair = *state;
	struct channel *channel = open_one(pair, 0);
	data_of(&pair->relay, 1000, 0);
	mux_stream_close(&channel->stream, MUX_RESET_CANCEL);
	for (int i = 0; i < 3; i++)
		data_of(&pair->relay, MUX_DATA_MAX, 0);
	assert_int_equal(say(&pair->relay, SPAN("\x93\x03\x01\x01")), 0);
	assert_int_equal(say(&pair->relay, SPAN("\x92\x04\x01")), 0);
	assert_int_equal(say(&pair->relay, SPAN("\x93\x05\x01\0")), 0);
	assert_int_equal(channel->got, 1000);
	data_of(&pair->relay, MUX_DATA_MAX, MUX_ENDED);
	assert_string_equal(pair->relay.mux.end.why, "DATA beyond its credit");
}

static void test_fragments(void **state)
{
	struct pair *pair = *state;
	struct channel *up = open_one(pair, 0), *down = &pair->agent.channels[0];
	run(&pair->relay, &pair->agent, SIZE_MAX);
	static const char bytes[] = "\x02\x02\x93\x02\0\x01\x01\0\x03\xc4\x03"
				    "a\x89\x01p\x80\x02"
				    "bc";
	char copy[sizeof bytes];
	memcpy(copy, bytes, sizeof bytes);
	assert_int_equal(mux_input(&pair->agent.mux, copy, sizeof bytes - 1), 0);
	assert_int_equal(down->got, 3);
	assert_int_equal(up->reset, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ALL(second_hello),
		ALL(open_by_agent),
		ALL(notice_by_agent),
		ALL(unknown_data),
		ALL(unknown_fin),
		ALL(unknown_credit),
		ALL(unknown_reset),
		ALL(old_open),
		ALL(no_credit),
		ALL(overflow),
		ALL(large_data),
		ALL(short_data),
		ALL(long_data),
		ALL(cut_data),
		ALL(garbage),
		ALL(most_credit),
		ALL(behind_a_fin),
		ALL(a_second_fin),
		ALL(text),
		ALL(a_long_message),
		ALL(data_beyond_credit),
		ALL(late_data),
		ALL(fragments),
		cmocka_unit_test(test_before_hello),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
