// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Entries of the request log: what is kept of a request, there and back, and bytes that lie.

#include "request_log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>

#include <cmocka.h>

static const struct ipc_handlers handlers = {.self = ROLE_RELAY, .peer = ROLE_SUPERVISOR};

struct stage {
	struct loop loop;
	struct ipc_channel channel;
	struct request_batch batch;
	struct request_log log;
	int peer;
};

static void on_ended(struct ipc_channel *channel, const char *why) {}

static void stage_open(struct stage *stage, uint32_t rate)
{
	int pair[2];

	*stage = (struct stage){0};
	assert_int_equal(loop_init(&stage->loop), 0);
	assert_int_equal(ipc_pair(pair), 0);
	assert_int_equal(ipc_init(&stage->channel, &stage->loop, pair[0], &handlers, 1, 0, 0), 0);
	stage->channel.ended = on_ended;
	stage->peer = pair[1];
	request_log_init(&stage->log, &stage->loop, &stage->channel, &stage->batch, rate);
}

static void stage_close(struct stage *stage)
{
	loop_timer_clear(&stage->loop, &stage->log.timer);
	ipc_deinit(&stage->channel);
	close(stage->peer);
	loop_deinit(&stage->loop);
}

static struct span batch_of(const struct stage *stage)
{
	return (struct span){(const char *)stage->batch.bytes, stage->batch.used};
}

static const char *kept_path(const char *target)
{
	static char path[REQUEST_PATH_MAX + 1];
	struct request_line *line = request_line_new(SPAN("GET"), span_of(target), instant_now());

	assert_non_null(line);
	memcpy(path, line->text + line->method_n, line->path_n);
	path[line->path_n] = '\0';
	free(line);
	return path;
}

static void test_paths(void **state)
{
	static const char *const cases[][2] = {
		{"/", "/"},
		{"", ""},
		{"*", "*"},
		{"/a/b?token=secret", "/a/b"},
		{"/a?", "/a"},
		{"?secret", ""},
		{"/t/t-aaaaaaaabbbbbbbbccccccccdd/x", "/t/t-aaaaaaaa.../x"},
		{"/t-aaaaaaaabbbbbbbbccccccccdd", "/t-aaaaaaaa..."},
		{"t-aaaaaaaabbbbbbbbccccccccdd", "t-aaaaaaaa..."},
		{"/%74%2Daaaaaaaabbbbbbbbccccccccdd/", "/t-aaaaaaaa.../"},
		{"/T-AAAAAAAABBBBBBBBCCCCCCCCDD/", "/t-aaaaaaaa.../"},
		{"/t/t-aaaaaaaabbbbbbbbccccccccdd.", "/t/t-aaaaaaaa...."},
		{"/(t-aaaaaaaabbbbbbbbccccccccdd)", "/(t-aaaaaaaa...)"},
		{"/%22%74-aaaaaaaabbbbbbbbccccccccd%64%22", "/%22t-aaaaaaaa...%22"},
		{"/to-t-aaaaaaaabbbbbbbbccccccccdd/t-aaaaaaaabbbbbbbbccccccccdd;x",
			"/to-t-aaaaaaaa.../t-aaaaaaaa...;x"},
		{"/t-aaaaaaaabbbbbbbbccccccccddeeeeeeeeffffffff", "/t-aaaaaaaa..."},
		{"/t-aaaaaaaabbbbbbbbccc", "/t-aaaaaaaabbbbbbbbccc"},
		{"/t-shirts-and-hats-and-everything", "/t-shirts-and-hats-and-everything"},
		{"/t-aaaaaaaa", "/t-aaaaaaaa"},
		{"/%zz/%4/%", "/%zz/%4/%"},
		{"//a//", "//a//"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(kept_path(cases[i][0]), cases[i][1]);
}

static void test_long_paths(void **state)
{
	char target[1000];

	for (size_t n = 1; n < sizeof target; n++) {
		memset(target, n % 3 == 0 ? '/' : 'a', n);
		target[n] = '\0';
		size_t kept = strlen(kept_path(target));
		assert_in_range(kept, MIN(n, (size_t)REQUEST_PATH_MAX - 3), REQUEST_PATH_MAX);
		assert_true(kept == n || strcmp(kept_path(target) + kept - 3, "...") == 0);
	}
	// An id at the edge is not let through in full.
	for (size_t n = 150; n < 220; n++) {
		memset(target, 'x', n);
		snprintf(target + n, sizeof target - n, "/t-aaaaaaaabbbbbbbbccccccccdd");
		assert_null(strstr(kept_path(target), "bbbbbbbb"));
	}
}

static void test_there_and_back(void **state)
{
	static const uint8_t peer[PEER_SIZE] = {1, 2, 3};
	struct stage stage;
	struct request_entry got, sent = {
					  .status = 206,
					  .code = CODE_TOO_LARGE,
					  .bytes_in = UINT64_MAX,
					  .bytes_out = 7,
					  .ours = true,
					  .cut = true,
					  .peer = {(const char *)peer, PEER_SIZE},
				  };

	stage_open(&stage, 100);
	request_line_end(&stage.log,
		request_line_new(SPAN("PATCHPATCHPATCHPATCH"), SPAN("/p?q"), stage.loop.now),
		&sent);
	request_line_end(&stage.log, request_line_new((struct span){0}, SPAN("/x"), stage.loop.now),
		&(struct request_entry){0});
	struct span rest = batch_of(&stage);
	assert_int_equal(request_log_next(&rest, &got), REQUEST_ENTRY);
	assert_true(span_eq(got.method, SPAN("PATCHPATCHPATCHP")));
	assert_true(span_eq(got.path, SPAN("/p")));
	assert_int_equal(got.status, 206);
	assert_int_equal(got.code, CODE_TOO_LARGE);
	assert_true(got.bytes_in == UINT64_MAX && got.bytes_out == 7 && got.ours && got.cut);
	assert_true(span_eq(got.peer, sent.peer));
	assert_int_equal(got.at.us, stage.loop.now.us);
	assert_int_equal(request_log_next(&rest, &got), REQUEST_ENTRY);
	assert_true(span_eq(got.method, SPAN("-")) && span_eq(got.path, SPAN("-")));
	assert_int_equal(got.peer.n, 0);
	assert_int_equal(request_log_next(&rest, &got), 0);
	stage_close(&stage);
}

static void add_one(struct stage *stage)
{
	request_line_end(&stage->log,
		request_line_new(SPAN("GET"), SPAN("/some/path"), stage->loop.now),
		&(struct request_entry){.status = 200});
}

static void test_rate(void **state)
{
	struct stage stage;

	stage_open(&stage, 3);
	for (int i = 0; i < 10; i++)
		add_one(&stage);
	assert_int_equal(stage.log.taken, 3);
	assert_int_equal(stage.log.dropped, 7);
	assert_true(stage.log.timer.place != 0);
	stage_close(&stage);
}

static void expire(struct request_log *log)
{
	loop_timer_clear(log->loop, &log->timer);
	log->timer.expired(&log->timer);
}

// A full batch goes out; where it cannot, entries are counted, and it is tried again.
static void test_full(void **state)
{
	char bytes[MESSAGE_MAX];
	struct stage stage;
	unsigned messages = 0;

	stage_open(&stage, 1000000);
	for (int i = 0; i < 400; i++)
		add_one(&stage);
	while (recv(stage.peer, bytes, sizeof bytes, MSG_DONTWAIT) > 0)
		messages++;
	assert_in_range(messages, 2, 10);
	assert_int_equal(stage.log.dropped, 0);
	for (int i = 0; i < 200000 && stage.log.dropped == 0; i++)
		add_one(&stage);
	assert_int_not_equal(stage.log.dropped, 0);
	assert_in_range(stage.batch.used, 1, REQUEST_BATCH_SIZE);
	expire(&stage.log);
	assert_int_not_equal(stage.log.timer.place, 0);
	while (recv(stage.peer, bytes, sizeof bytes, MSG_DONTWAIT) > 0)
		;
	expire(&stage.log);
	assert_int_equal(stage.batch.used, 0);
	assert_int_equal(stage.log.timer.place, 0);
	stage_close(&stage);
}

static void test_off(void **state)
{
	struct stage stage;

	stage_open(&stage, 0);
	assert_false(request_log_on(&stage.log));
	stage_close(&stage);
}

// Every shorter, and every slightly different, batch is read without harm, and what is read is
// within its bounds.
static void test_lies(void **state)
{
	uint8_t bytes[REQUEST_BATCH_SIZE];
	struct request_entry got;
	struct stage stage;

	stage_open(&stage, 100);
	add_one(&stage);
	add_one(&stage);
	const size_t n = stage.batch.used;
	for (size_t size = 0; size < n; size++) {
		struct span rest = {(const char *)stage.batch.bytes, size};
		int r;
		while ((r = request_log_next(&rest, &got)) == REQUEST_ENTRY)
			;
		assert_int_equal(r, size == 0 || size == n / 2 ? 0 : -EBADMSG);
	}
	for (size_t i = 0; i < n; i++) {
		for (unsigned value = 0; value < 256; value++) {
			memcpy(bytes, stage.batch.bytes, n);
			bytes[i] = (uint8_t)value;
			struct span rest = {(const char *)bytes, n};
			while (request_log_next(&rest, &got) == REQUEST_ENTRY) {
				assert_in_range(got.method.n, 1, REQUEST_METHOD_MAX);
				assert_in_range(got.path.n, 0, REQUEST_PATH_MAX);
				assert_in_range(got.status, 0, 999);
				assert_in_range(got.code, 0, CODES - 1);
				assert_null(memchr(got.method.p, '"', got.method.n));
				assert_null(memchr(got.method.p, '\0', got.method.n));
			}
		}
	}
	stage_close(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_long_paths),
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_off),
		cmocka_unit_test(test_lies),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
