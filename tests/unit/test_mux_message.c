// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "mux_message.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void assert_span(struct span s, const char *expected)
{
	if (!span_eq(s, span_of(expected)))
		fail_msg("'%.*s' instead of '%s'", (int)s.n, s.p, expected);
}

static void test_hello(void **state)
{
	struct mux_message m;
	static const char bytes[] = "\x93\0\x01\x85\xa8instance\xa2"
				    "me\xa5"
				    "agent\xa3"
				    "a/1"
				    "\xa7streams\xcd\x03\xe8\xa4host\xa9"
				    "h.test:80"
				    "\xa5later\xcb\x3f\xf0\0\0\0\0\0\0";
	assert_null(mux_message_decode(&m, (struct span){bytes, sizeof bytes - 1}));
	assert_int_equal(m.type, MUX_HELLO);
	assert_span(m.instance, "me");
	assert_span(m.agent, "a/1");
	assert_span(m.host, "h.test:80");
	assert_int_equal(m.number, 1000);
}

static void test_as_written(void **state)
{
	static const struct {
		struct mux_message message;
		struct span bytes;
	} cases[] = {
		{{.type = MUX_HELLO, .instance = SPAN_INIT("x"), .number = 7},
			SPAN_INIT("\x93\0\x01\x82\xa8instance\xa1x\xa7streams\x07")},
		{{.type = MUX_OPEN,
			 .stream = 1,
			 .peer = SPAN_INIT("::1"),
			 .proto = SPAN_INIT("http")},
			SPAN_INIT("\x93\x01\x01\x82\xa4peer\xa3::1\xa5proto\xa4http")},
		{{.type = MUX_CREDIT, .stream = 0x80, .number = 0x20000},
			SPAN_INIT("\x93\x03\xcc\x80\xce\0\x02\0\0")},
		{{.type = MUX_FIN, .stream = 0xffffffff},
			SPAN_INIT("\x92\x04\xce\xff\xff\xff\xff")},
		{{.type = MUX_RESET, .stream = 0x100, .number = 3},
			SPAN_INIT("\x93\x05\xcd\x01\0\x03")},
		{{.type = MUX_NOTICE, .kind = SPAN_INIT("expiring"), .number = 300},
			SPAN_INIT("\x93\x06\xa8"
				  "expiring\xcd\x01\x2c")},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char out[MUX_MESSAGE_MAX];
		struct mux_message back;
		size_t n = mux_message_encode(out, &cases[i].message);
		assert_int_equal(n, cases[i].bytes.n);
		assert_memory_equal(out, cases[i].bytes.p, n);
		assert_null(mux_message_decode(&back, (struct span){out, n}));
		assert_int_equal(back.type, cases[i].message.type);
		assert_int_equal(back.stream, cases[i].message.stream);
		assert_int_equal(back.number, cases[i].message.number);
		assert_true(span_eq(back.peer, cases[i].message.peer));
		assert_true(span_eq(back.kind, cases[i].message.kind));
		for (size_t cut = 0; cut < n; cut++)
			assert_non_null(mux_message_decode(&back, (struct span){out, cut}));
	}
}

static void test_the_longest_fit(void **state)
{
	char text[MUX_HOST_MAX], out[MUX_MESSAGE_MAX];
	struct mux_message back;
	memset(text, 'x', sizeof text);
	size_t n = mux_message_encode(out, &(struct mux_message){.type = MUX_HELLO,
						   .instance = {text, MUX_INSTANCE_MAX},
						   .agent = {text, MUX_AGENT_MAX},
						   .host = {text, MUX_HOST_MAX},
						   .number = UINT32_MAX});
	assert_null(mux_message_decode(&back, (struct span){out, n}));
	assert_int_equal(back.host.n, MUX_HOST_MAX);
}

static void test_refused(void **state)
{
	static const struct {
		struct span bytes;
		const char *why;
	} cases[] = {
		{SPAN_INIT(""), "a message that is not an array"},
		{SPAN_INIT("\x90"), "a message that is not an array"},
		{SPAN_INIT("\xdc\0\x02\x04\x01"), "a message that is not an array"},
		{SPAN_INIT("\x80"), "a message that is not an array"},
		{SPAN_INIT("\xa1x"), "a message that is not an array"},
		{SPAN_INIT("\x92\x07\x01"), "a message of an unknown type"},
		{SPAN_INIT("\x92\xcc\x04\x01"), "a message of an unknown type"},
		{SPAN_INIT("\x92\xff\x01"), "a message of an unknown type"},
		{SPAN_INIT("\x92\x04\x01\0"), "bytes behind a message"},
		{SPAN_INIT("\x92\x04\0"), "a malformed FIN"},
		{SPAN_INIT("\x92\x04\xcc\x01"), "a malformed FIN"},
		{SPAN_INIT("\x92\x04\xcd\0\xff"), "a malformed FIN"},
		{SPAN_INIT("\x92\x04\xce\0\0\xff\xff"), "a malformed FIN"},
		{SPAN_INIT("\x92\x04\xcf\0\0\0\0\xff\xff\xff\xff"), "a malformed FIN"},
		{SPAN_INIT("\x92\x04\xcf\0\0\0\x01\0\0\0\0"), "a malformed FIN"},
		{SPAN_INIT("\x92\x04\xd0\x01"), "a malformed FIN"},
		{SPAN_INIT("\x93\x04\x01\x01"), "a malformed FIN"},
		{SPAN_INIT("\x92\x03\x01"), "a malformed CREDIT"},
		{SPAN_INIT("\x93\x05\x01\xc0"), "a malformed RESET"},
		{SPAN_INIT("\x93\x02\x01\xa1x"), "a malformed DATA"},
		{SPAN_INIT("\x93\0\x02\x81\xa8instance\xa1x"), "a malformed HELLO"},
		{SPAN_INIT("\x93\0\x01\x80"), "a malformed HELLO"},
		{SPAN_INIT("\x93\0\x01\x81\xa8instance\xa0"), "a malformed HELLO"},
		{SPAN_INIT("\x93\0\x01\x81\xa8instance\xa1\xff"), "a malformed HELLO"},
		{SPAN_INIT("\x93\0\x01\x81\xa8instance\xc4\x01x"), "a malformed HELLO"},
		{SPAN_INIT("\x93\0\x01\x81\xa8instance\xd9\x01x"), "a malformed HELLO"},
		{SPAN_INIT("\x93\0\x01\x82\xa8instance\xa1x\x01\x01"), "a malformed HELLO"},
		{SPAN_INIT("\x93\0\x01\x82\xa8instance\xa1x\xa1y\x90"), "a malformed HELLO"},
		{SPAN_INIT("\x93\0\x01\x82\xa8instance\xa1x\xa1y\xc6\xff\xff\xff\xff"),
			"a malformed HELLO"},
		{SPAN_INIT("\x93\x06\x01\x01"), "a malformed NOTICE"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct mux_message m;
		const char *why = mux_message_decode(&m, cases[i].bytes);
		if (why == NULL || strcmp(why, cases[i].why) != 0)
			fail_msg("case %zu: '%s' instead of '%s'", i, why, cases[i].why);
	}
}

static void test_data_heads(void **state)
{
	static const uint32_t ids[] = {1, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x10000, UINT32_MAX};
	static const uint32_t sizes[] = {0, 1, 0xff, 0x100, 0xffff, 0x10000};
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(sizes); k++) {
			char out[MUX_DATA_HEAD_MAX + 1] = {0};
			uint32_t id, n;
			size_t size = mux_data_encode(out, ids[i], sizes[k]);
			for (size_t cut = 0; cut < size; cut++)
				assert_int_equal(
					mux_data_decode((struct span){out, cut}, &id, &n), 0);
			assert_int_equal(
				mux_data_decode((struct span){out, size + 1}, &id, &n), size);
			assert_int_equal(id, ids[i]);
			assert_int_equal(n, sizes[k]);
		}
	}
}

static void test_no_data_heads(void **state)
{
	static const struct span cases[] = {
		SPAN_INIT("\x92"),
		SPAN_INIT("\x93\x03"),
		SPAN_INIT("\x93\x02\0\xc4\x01"),
		SPAN_INIT("\x93\x02\xcc\x01\xc4\x01"),
		SPAN_INIT("\x93\x02\x01\xc5\0\xff"),
		SPAN_INIT("\x93\x02\x01\xc6\0\0\xff\xff"),
		SPAN_INIT("\x93\x02\x01\xa1"),
		SPAN_INIT("\x93\x02\x01\xcd\0\xff"),
		SPAN_INIT("\x93\x02\xff\xc4\x01"),
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint32_t id, n;
		int r = mux_data_decode(cases[i], &id, &n);
		if (r != -1)
			fail_msg("case %zu: %d", i, r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hello),
		cmocka_unit_test(test_as_written),
		cmocka_unit_test(test_the_longest_fit),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_data_heads),
		cmocka_unit_test(test_no_data_heads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
