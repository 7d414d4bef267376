// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Two honest ends: bytes, credit, turns, and the end.

#include "mux_pair.h"

// ---- greetings

static void test_hello(void **state)
{
	struct pair *pair = *state;
	assert_string_equal(pair->agent.seen, "hello relay 9;");
	assert_string_equal(pair->relay.seen, "hello agent 5;");
	assert_int_equal(pair->relay.mux.streams_max, 5);
	assert_int_equal(pair->relay.writes, 2); // HELLO and ping in one, then the pong
}

static void test_notices(void **state)
{
	struct pair *pair = *state;
	pair->agent.seen[0] = '\0';
	assert_int_equal(mux_notice(&pair->relay.mux, SPAN("expiring"), 300), 0);
	run(&pair->relay, &pair->agent, 1);
	assert_string_equal(pair->agent.seen, "notice expiring 300;");
}

static void test_no_more_streams_than_allowed(void **state)
{
	struct pair *pair = *state;
	struct mux_stream sixth = {0};
	for (unsigned i = 0; i < 5; i++)
		open_one(pair, i);
	assert_int_equal(mux_open(&pair->relay.mux, &sixth, SPAN("x"), SPAN("http")), MUX_FULL);
	mux_stream_close(&pair->relay.channels[0].stream, MUX_RESET_CANCEL);
	assert_int_equal(mux_open(&pair->relay.mux, &sixth, SPAN("x"), SPAN("http")), 0);
	mux_stream_close(&sixth, MUX_RESET_CANCEL);
	run(&pair->relay, &pair->agent, SIZE_MAX);
	assert_false(pair->agent.mux.end.ended);
}

static void test_refused(void **state)
{
	struct pair *pair = *state;
	pair->agent.refuse = MUX_RESET_PROTO;
	struct channel *channel = open_one(pair, 0);
	start_sending(channel, 0, 10);
	run(&pair->relay, &pair->agent, SIZE_MAX);
	assert_int_equal(channel->reset, MUX_RESET_PROTO + 1);
	assert_null(channel->stream.mux);
	assert_false(pair->agent.mux.end.ended);
	assert_int_equal(pair->agent.mux.late, MUX_WINDOW - 10);
}

// ---- bytes

static void both_ways(struct pair *pair, size_t n, size_t step)
{
	struct channel *up = open_one(pair, 0), *down = &pair->agent.channels[0];
	pair->agent.n_opened = 0;
	*down = (struct channel){0};
	up->got = up->sum = 0;
	run(&pair->relay, &pair->agent, step);
	start_sending(up, 0, n);
	run(&pair->relay, &pair->agent, step);
	start_sending(down, 0, n);
	run(&pair->relay, &pair->agent, step);
	assert_int_equal(down->got, n);
	assert_int_equal(down->sum, sum_of(n));
	assert_int_equal(up->got, n);
	assert_int_equal(up->sum, sum_of(n));
	mux_stream_close(&up->stream, MUX_RESET_CANCEL);
	run(&pair->relay, &pair->agent, step);
	assert_int_equal(down->reset, MUX_RESET_CANCEL + 1);
	assert_int_equal(pair->relay.mux.n_streams + pair->agent.mux.n_streams, 0);
}

static void test_sizes(void **state)
{
	static const size_t sizes[] = {0, 1, 100, 113, 120, 65535, 65536, 65537, 3000000};
	static const size_t steps[] = {SIZE_MAX, 1, 7, 1021};
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		for (size_t k = 0; k < ARRAY_SIZE(steps); k++)
			if (sizes[i] < 100000 || steps[k] > 7)
				both_ways(*state, sizes[i], steps[k]);
}

static void test_small_messages_leave_together(void **state)
{
	struct pair *pair = *state;
	unsigned before = pair->relay.writes;
	for (unsigned i = 0; i < 5; i++)
		start_sending(open_one(pair, i), i, 100);
	assert_int_equal(pair->relay.writes, before);
	assert_int_equal(mux_flush(&pair->relay.mux), 0);
	assert_int_equal(pair->relay.writes, before + 1);
}

static void test_large_ones_take_them_along(void **state)
{
	struct pair *pair = *state;
	unsigned before = pair->relay.writes;
	start_sending(open_one(pair, 0), 0, MUX_DATA_MAX);
	assert_int_equal(pair->relay.writes, before + 1);
	assert_int_equal(buf_len(&pair->relay.mux.out), 0);
}

static void test_half_close(void **state)
{
	struct pair *pair = *state;
	struct channel *up = open_one(pair, 0), *down = &pair->agent.channels[0];
	start_sending(up, 0, 5);
	assert_int_equal(mux_fin(&up->stream), 0);
	assert_int_equal(mux_fin(&up->stream), 0);
	run(&pair->relay, &pair->agent, SIZE_MAX);
	assert_true(down->fin);
	assert_false(up->fin);
	assert_int_equal(mux_room(&up->stream), 0);
	start_sending(down, 0, 300000);
	run(&pair->relay, &pair->agent, SIZE_MAX);
	assert_int_equal(up->got, 300000);
	assert_int_equal(mux_fin(&down->stream), 0);
	run(&pair->relay, &pair->agent, SIZE_MAX);
	assert_true(up->fin);
	mux_stream_close(&up->stream, MUX_RESET_CANCEL);
	mux_stream_close(&down->stream, MUX_RESET_CANCEL);
	run(&pair->relay, &pair->agent, SIZE_MAX);
	assert_int_equal(up->reset + down->reset, 0);
	assert_int_equal(pair->relay.mux.late + pair->agent.mux.late, 0);
}

// ---- credit

static void test_a_reader_that_takes_nothing(void **state)
{
	struct pair *pair = *state;
	struct channel *up = open_one(pair, 0), *down = &pair->agent.channels[0];
	down->keeps = true;
	start_sending(up, 0, 1000000);
	run(&pair->relay, &pair->agent, SIZE_MAX);
	assert_int_equal(down->got, MUX_WINDOW);
	assert_int_equal(pair->agent.store.held, MUX_WINDOW);
	assert_int_equal(mux_room(&up->stream), 0);

	mux_taken(&down->stream, MUX_WINDOW / 2 - 1); // too little to say so
	run(&pair->relay, &pair->agent, SIZE_MAX);
	assert_int_equal(down->got, MUX_WINDOW);
	mux_taken(&down->stream, 1);
	run(&pair->relay, &pair->agent, SIZE_MAX);
	assert_int_equal(down->got, MUX_WINDOW + MUX_WINDOW / 2);
	assert_int_equal(down->stream.window, MUX_WINDOW); // it does not keep up
}

static void test_it_stops_nobody_else(void **state)
{
	struct pair *pair = *state;
	for (unsigned i = 0; i < 5; i++) {
		pair->agent.channels[i].keeps = i == 0;
		start_sending(open_one(pair, i), i, 2000000);
	}
	run(&pair->relay, &pair->agent, SIZE_MAX);
	assert_int_equal(pair->agent.channels[0].got, MUX_WINDOW);
	for (unsigned i = 1; i < 5; i++)
		assert_int_equal(pair->agent.channels[i].got, 2000000);
}

// Carries both directions with a delay: a round trip is 100 ms.
static void run_far(struct pair *pair)
{
	(void)!mux_flush(&pair->relay.mux);
	now = instant_add_ms(now, 50);
	(void)carry(&pair->relay, &pair->agent, SIZE_MAX);
	(void)!mux_flush(&pair->agent.mux);
	now = instant_add_ms(now, 50);
	(void)carry(&pair->agent, &pair->relay, SIZE_MAX);
}

static void test_windows_grow_with_the_way(void **state)
{
	struct pair *pair = *state;
	pair->agent.mux.rtt_us = 0; // forget how near they were
	assert_int_equal(mux_ping(&pair->agent.mux), 0);
	(void)!mux_flush(&pair->agent.mux);
	now = instant_add_ms(now, 50);
	(void)carry(&pair->agent, &pair->relay, SIZE_MAX);
	run_far(pair);
	assert_true(pair->agent.mux.rtt_us >= 100000);

	struct channel *up = open_one(pair, 0), *down = &pair->agent.channels[0];
	size_t last = 0;
	start_sending(up, 0, 60000000);
	for (int trip = 0; trip < 5; trip++) {
		last = down->got;
		run_far(pair);
	}
	assert_true(down->stream.window > 8 * 1024 * 1024);
	assert_true(down->stream.window <= MUX_WINDOW_MAX);
	assert_true(down->got - last > 4 * 1024 * 1024); // in one round trip
}

static void test_windows_stay_where_the_way_is_short(void **state)
{
	struct pair *pair = *state;
	struct channel *up = open_one(pair, 0), *down = &pair->agent.channels[0];
	assert_true(pair->agent.mux.rtt_us > 0 && pair->agent.mux.rtt_us < 100);
	all_of[0] = up->to_send = 10000000;
	send_more(up, 0);
	while (down->got < 10000000) {
		now.us += 1000; // 64 KiB a millisecond
		pair->relay.queued = false;
		(void)!mux_flush(&pair->relay.mux);
		(void)carry(&pair->relay, &pair->agent, SIZE_MAX);
		(void)!mux_flush(&pair->agent.mux);
		(void)carry(&pair->agent, &pair->relay, SIZE_MAX);
	}
	assert_int_equal(down->stream.window, MUX_WINDOW);
}

static void test_the_largest_gives_way(void **state)
{
	struct pair *pair = *state;
	pair->agent.store.most = 500000;
	for (unsigned i = 0; i < 4; i++) {
		pair->agent.channels[i].keeps = true;
		start_sending(open_one(pair, i), i, i == 1 ? 200000 : 110000);
	}
	run(&pair->relay, &pair->agent, SIZE_MAX);
	assert_int_equal(pair->agent.channels[1].reset, MUX_RESET_OVERLOADED + 1);
	assert_int_equal(pair->relay.channels[1].reset, MUX_RESET_OVERLOADED + 1);
	for (unsigned i = 0; i < 4; i++)
		if (i != 1)
			assert_int_equal(pair->agent.channels[i].got, 110000);
	assert_int_equal(pair->agent.store.held, 330000);
	assert_false(pair->agent.mux.end.ended);
}

static void test_windows_shrink_under_pressure(void **state)
{
	struct pair *pair = *state;
	pair->agent.store.most = 4 * 100000;
	struct channel *hoarder = open_one(pair, 0), *up = open_one(pair, 1);
	struct channel *down = &pair->agent.channels[1];
	pair->agent.channels[0].keeps = true;
	start_sending(hoarder, 0, 150000);
	start_sending(up, 1, 5000000);
	run(&pair->relay, &pair->agent, SIZE_MAX);
	assert_int_equal(down->got, 5000000);
	assert_true(down->stream.unspent <= 64 * 1024);
}

// However many there are, what they may send together fits in.
static void test_windows_are_shares_of_what_is_left(void **state)
{
	struct pair *pair = *state;
	pair->agent.store.most = 400000;
	struct channel *hoarder = open_one(pair, 0), *up = open_one(pair, 1);
	struct channel *down = &pair->agent.channels[1];
	const unsigned all = 5; // the agent takes no more
	for (unsigned i = 2; i < all; i++)
		open_one(pair, i);
	pair->agent.channels[0].keeps = true;
	start_sending(hoarder, 0, 240000);
	start_sending(up, 1, 5000000);
	run(&pair->relay, &pair->agent, SIZE_MAX);
	assert_int_equal(down->got, 5000000);
	if (down->stream.unspent > 160000 / all || down->stream.unspent == 0)
		fail_msg("%u bytes of credit are left", down->stream.unspent);
}

// ---- a wire that is full

// Who has little to say does not wait for a turn of everybody who has much.
static void test_short_answers_go_first(void **state)
{
	struct pair *pair = *state;
	for (unsigned i = 0; i < 5; i++)
		open_one(pair, i);
	run(&pair->relay, &pair->agent, SIZE_MAX);
	pair->relay.room = 0;
	for (unsigned i = 0; i < 4; i++)
		start_sending(&pair->relay.channels[i], i, 1000000);
	for (int round = 0; round < 8; round++) { // each of them has had a turn, and wants more
		pair->relay.room = 70000;
		(void)!mux_flush(&pair->relay.mux);
		(void)carry(&pair->relay, &pair->agent, SIZE_MAX);
		(void)carry(&pair->agent, &pair->relay, SIZE_MAX);
	}
	pair->relay.room = 0;
	(void)!mux_flush(&pair->relay.mux);
	assert_int_equal(mux_room(&pair->relay.channels[4].stream), 0); // it is full
	assert_non_null(pair->relay.mux.queue);
	start_sending(&pair->relay.channels[4], 4, 100);
	pair->relay.room = buf_len(&pair->relay.mux.out) + 1000; // what was gathered, and a little
	(void)!mux_flush(&pair->relay.mux);
	(void)carry(&pair->relay, &pair->agent, SIZE_MAX);
	assert_int_equal(pair->agent.channels[4].got, 100);
	pair->relay.room = SIZE_MAX;
	run(&pair->relay, &pair->agent, SIZE_MAX);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(pair->agent.channels[i].got, 1000000);
}

static void test_turns(void **state)
{
	struct pair *pair = *state;
	for (unsigned i = 0; i < 4; i++)
		open_one(pair, i);
	run(&pair->relay, &pair->agent, SIZE_MAX);
	pair->relay.room = 0;
	for (unsigned i = 0; i < 4; i++) // the last one has little to say
		start_sending(&pair->relay.channels[i], i, i == 3 ? 100 : 250000);
	assert_int_equal(mux_flush(&pair->relay.mux), MUX_PENDING);
	size_t least[CHANNELS] = {0};
	for (int round = 0; round < 40; round++) {
		pair->relay.room = 30000;
		(void)!mux_flush(&pair->relay.mux);
		(void)carry(&pair->relay, &pair->agent, SIZE_MAX);
		for (unsigned i = 0; i < 4; i++)
			least[i] = pair->agent.channels[i].got;
		if (round == 10) // 330000 bytes: every one has had its turn
			for (unsigned i = 0; i < 4; i++)
				assert_true(least[i] > 0);
		assert_true(buf_len(&pair->relay.mux.out) <= MUX_OUT_FULL + MUX_DATA_MAX + 64);
	}
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(least[i], i == 3 ? 100 : 250000);
}

static void test_a_peer_that_never_reads(void **state)
{
	struct pair *pair = *state;
	int r = 0, n = 0;
	pair->relay.room = 0;
	while (r == 0 && n++ < 1000000)
		r = mux_notice(&pair->relay.mux, SPAN("draining"), 0);
	assert_int_equal(r, -ENOBUFS);
	assert_int_equal(mux_flush(&pair->relay.mux), -ENOBUFS);
	for (n = 0; n < 3; n++) // pings go unanswered, without a place for what they carry
		assert_int_equal(mux_input(&pair->relay.mux, (char[]){0}, 0), -ENOBUFS);
}

// ---- the end

static void test_pings(void **state)
{
	struct pair *pair = *state;
	for (int i = 0; i < 5; i++) {
		assert_int_equal(mux_ping(&pair->relay.mux), 0);
		run(&pair->relay, &pair->agent, SIZE_MAX);
	}
	assert_int_equal(mux_ping(&pair->relay.mux), 0);
	assert_int_equal(mux_ping(&pair->relay.mux), 0);
	assert_int_equal(mux_ping(&pair->relay.mux), MUX_ENDED);
	assert_int_equal(pair->relay.mux.end.code, MUX_CLOSE_SILENT);
}

static void test_close(void **state)
{
	struct pair *pair = *state;
	struct channel *up = open_one(pair, 0);
	run(&pair->relay, &pair->agent, SIZE_MAX);
	mux_close(&pair->relay.mux, MUX_CLOSE_REPLACED, "a newer one is there");
	assert_int_equal(mux_flush(&pair->relay.mux), 0);
	assert_int_equal(carry(&pair->relay, &pair->agent, 3), MUX_ENDED);
	assert_true(pair->agent.mux.end.by_peer);
	assert_int_equal(pair->agent.mux.end.code, MUX_CLOSE_REPLACED);
	assert_string_equal(pair->agent.mux.end.why, "a newer one is there");
	assert_int_equal(mux_flush(&pair->agent.mux), 0);
	assert_true(buf_len(&pair->agent.wire) > 0); // it answered
	buf_reset(&pair->agent.wire);
	assert_int_equal(up->reset, 0);
	mux_deinit(&pair->relay.mux);
	assert_int_equal(up->reset, MUX_RESET_GONE + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ALL(hello),
		ALL(notices),
		ALL(no_more_streams_than_allowed),
		ALL(refused),
		ALL(sizes),
		ALL(small_messages_leave_together),
		ALL(large_ones_take_them_along),
		ALL(half_close),
		ALL(a_reader_that_takes_nothing),
		ALL(it_stops_nobody_else),
		ALL(windows_grow_with_the_way),
		ALL(windows_stay_where_the_way_is_short),
		ALL(the_largest_gives_way),
		ALL(windows_shrink_under_pressure),
		ALL(windows_are_shares_of_what_is_left),
		ALL(short_answers_go_first),
		ALL(turns),
		ALL(a_peer_that_never_reads),
		ALL(pings),
		ALL(close),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
