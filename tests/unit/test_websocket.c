// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "websocket.h"

#include "websocket_accept.h"

#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

// ---- the handshake

static void test_accept(void **state)
{
	char out[WEBSOCKET_ACCEPT_SIZE];
	websocket_accept(SPAN("dGhlIHNhbXBsZSBub25jZQ=="), out); // RFC 6455 section 1.3
	assert_memory_equal(out, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", sizeof out);
}

static void test_nonce(void **state)
{
	assert_true(websocket_nonce_ok(SPAN("dGhlIHNhbXBsZSBub25jZQ==")));
	assert_false(websocket_nonce_ok(SPAN("")));
	assert_false(websocket_nonce_ok(SPAN("dGhlIHNhbXBsZSBub25jZQ")));
	assert_false(websocket_nonce_ok(SPAN("dGhlIHNhbXBsZSBub25jZTE=")));
	assert_false(websocket_nonce_ok(SPAN("dGhlIHNhbXBsZSBub25j")));
}

// ---- masking

static void test_mask_at_every_place(void **state)
{
	static const uint8_t key[4] = {0x11, 0x22, 0x44, 0x88};
	char bytes[200], plain[200];
	for (size_t from = 0; from < 40; from++) {
		for (size_t n = 0; n <= 150; n++) {
			uint8_t turned[4];
			memcpy(turned, key, 4);
			for (size_t i = 0; i < sizeof plain; i++)
				plain[i] = bytes[i] = (char)(i * 7);
			websocket_mask(bytes + from, n, turned);
			for (size_t i = 0; i < sizeof plain; i++) {
				bool in = i >= from && i < from + n;
				uint8_t mask = in ? key[(i - from) % 4] : 0;
				assert_int_equal((uint8_t)bytes[i], (uint8_t)plain[i] ^ mask);
			}
			for (size_t k = 0; k < 4; k++)
				assert_int_equal(turned[k], key[(n + k) % 4]);
		}
	}
}

static void test_keys_differ(void **state)
{
	uint8_t keys[1000][4];
	unsigned same = 0;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		assert_int_equal(websocket_key(keys[i]), 0);
	for (size_t i = 1; i < ARRAY_SIZE(keys); i++)
		same += memcmp(keys[0], keys[i], 4) == 0;
	assert_true(same < 3);
}

// ---- reading

// What came out, as text: "t:Hel|t:lo.|ping:x|close:1000:bye|bad:1002:why". A dot ends a message.
struct reading {
	struct websocket ws;
	char text[4096];
	size_t n;
};

static void note(struct reading *r, const char *what, struct span payload, const char *end)
{
	r->n += (size_t)snprintf(r->text + r->n, sizeof r->text - r->n, "%s%s%.*s%s",
		r->n > 0 ? "|" : "", what, (int)payload.n, payload.p, end);
}

static void read_some(struct reading *r, const void *bytes, size_t n)
{
	char copy[4096], code[16];
	struct websocket_event event;
	enum websocket_outcome outcome;
	assert_true(n <= sizeof copy);
	if (n > 0)
		memcpy(copy, bytes, n);
	struct span in = {copy, n};
	while ((outcome = websocket_next(&r->ws, &in, &event)) != WEBSOCKET_MORE) {
		switch (outcome) {
		case WEBSOCKET_DATA:
			note(r, event.text ? "t:" : "b:", event.payload, event.last ? "." : "");
			break;
		case WEBSOCKET_PING: note(r, "ping:", event.payload, ""); break;
		case WEBSOCKET_PONG: note(r, "pong:", event.payload, ""); break;
		case WEBSOCKET_CLOSE:
			snprintf(code, sizeof code, "close:%u:", event.code);
			note(r, code, event.payload, "");
			break;
		case WEBSOCKET_BAD:
			snprintf(code, sizeof code, "bad:%u:", event.code);
			note(r, code, span_of(event.why), "");
			break;
		case WEBSOCKET_MORE: break;
		}
	}
	assert_int_equal(in.n, 0);
}

static void assert_read(enum websocket_role role, struct span bytes, const char *expected)
{
	struct reading r = {.n = 0};
	websocket_init(&r.ws, role);
	read_some(&r, bytes.p, bytes.n);
	assert_string_equal(r.text, expected);
}

static void test_examples_of_the_rfc(void **state) // section 5.7
{
	assert_read(WEBSOCKET_CLIENT, SPAN("\x81\x05Hello"), "t:Hello.");
	assert_read(
		WEBSOCKET_SERVER, SPAN("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), "t:Hello.");
	assert_read(WEBSOCKET_CLIENT, SPAN("\x01\x03Hel\x80\x02lo"), "t:Hel|t:lo.");
	assert_read(WEBSOCKET_CLIENT, SPAN("\x89\x05Hello"), "ping:Hello");
	assert_read(WEBSOCKET_SERVER, SPAN("\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"),
		"pong:Hello");
}

static void test_frames(void **state)
{
	assert_read(WEBSOCKET_CLIENT, SPAN("\x82\0\x82\x01x"), "b:.|b:x.");
	assert_read(WEBSOCKET_CLIENT, SPAN("\x02\x01x\x89\0\0\x01y\x88\0\x80\x01z"),
		"b:x|ping:|b:y|close:1005:");
	assert_read(WEBSOCKET_CLIENT, SPAN("\x02\x01x\0\0\0\0\x80\0"), "b:x|b:.");
	assert_read(WEBSOCKET_CLIENT,
		SPAN("\x88\x05\x03\xe8"
		     "bye"),
		"close:1000:bye");
	assert_read(WEBSOCKET_CLIENT, SPAN("\x88\x02\x0f\xa0more"), "close:4000:");
	assert_read(WEBSOCKET_SERVER, SPAN("\x88\x80\0\0\0\0"), "close:1005:");
}

static void test_violations(void **state)
{
	static const struct {
		enum websocket_role role;
		struct span bytes;
		const char *why;
	} cases[] = {
		{WEBSOCKET_CLIENT, SPAN_INIT("\xc2\0"), "a reserved bit is set"},
		{WEBSOCKET_CLIENT, SPAN_INIT("\xa2\0"), "a reserved bit is set"},
		{WEBSOCKET_CLIENT, SPAN_INIT("\x92\0"), "a reserved bit is set"},
		{WEBSOCKET_CLIENT, SPAN_INIT("\x82\x80\0\0\0\0"), "a masked frame of a server"},
		{WEBSOCKET_SERVER, SPAN_INIT("\x82\0"), "an unmasked frame of a client"},
		{WEBSOCKET_CLIENT, SPAN_INIT("\x83\0"), "an unknown opcode"},
		{WEBSOCKET_CLIENT, SPAN_INIT("\x87\0"), "an unknown opcode"},
		{WEBSOCKET_CLIENT, SPAN_INIT("\x8b\0"), "an unknown opcode"},
		{WEBSOCKET_CLIENT, SPAN_INIT("\x8f\0"), "an unknown opcode"},
		{WEBSOCKET_CLIENT, SPAN_INIT("\x80\0"), "a continuation without a message"},
		{WEBSOCKET_CLIENT, SPAN_INIT("\x02\0\x82\0"), "a message inside a message"},
		{WEBSOCKET_CLIENT, SPAN_INIT("\x02\0\x01\0"), "a message inside a message"},
		{WEBSOCKET_CLIENT, SPAN_INIT("\x09\0"), "a control frame in fragments"},
		{WEBSOCKET_CLIENT, SPAN_INIT("\x89\x7e\0\x7e"),
			"a control frame of more than 125 bytes"},
		{WEBSOCKET_CLIENT, SPAN_INIT("\x82\x7e\0\x7d"),
			"a length that is not in its shortest form"},
		{WEBSOCKET_CLIENT, SPAN_INIT("\x82\x7f\0\0\0\0\0\0\xff\xff"),
			"a length that is not in its shortest form"},
		{WEBSOCKET_CLIENT, SPAN_INIT("\x82\x7f\x80\0\0\0\0\0\0\0"),
			"a length with its highest bit set"},
		{WEBSOCKET_CLIENT, SPAN_INIT("\x88\x01\x03"), "half a close code"},
		{WEBSOCKET_CLIENT, SPAN_INIT("\x88\x02\x03\xe7"), "an invalid close code"},
		{WEBSOCKET_CLIENT, SPAN_INIT("\x88\x02\x03\xed"), "an invalid close code"},
		{WEBSOCKET_CLIENT, SPAN_INIT("\x88\x02\x03\xee"), "an invalid close code"},
		{WEBSOCKET_CLIENT, SPAN_INIT("\x88\x02\x03\xf7"), "an invalid close code"},
		{WEBSOCKET_CLIENT, SPAN_INIT("\x88\x02\x0b\xb7"), "an invalid close code"},
		{WEBSOCKET_CLIENT, SPAN_INIT("\x88\x02\x13\x88"), "an invalid close code"},
		{WEBSOCKET_CLIENT, SPAN_INIT("\x88\x03\x03\xe8\xff"),
			"a close reason that is not UTF-8"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char expected[128];
		struct reading r = {.n = 0};
		snprintf(expected, sizeof expected, "bad:1002:%s", cases[i].why);
		websocket_init(&r.ws, cases[i].role);
		read_some(&r, cases[i].bytes.p, cases[i].bytes.n);
		if (strncmp(strstr(r.text, "bad") != NULL ? strstr(r.text, "bad") : "", expected,
			    sizeof expected) != 0)
			fail_msg("case %zu: '%s' instead of '%s'", i, r.text, expected);
		read_some(&r, "\x82\x01x", 3); // and nothing after it
		assert_null(strstr(r.text, "b:x"));
		assert_true(strlen(cases[i].why) <= WEBSOCKET_REASON_MAX);
	}
}

static void test_byte_by_byte(void **state)
{
	static const char bytes[] =
		"\x01\x83\1\2\3\4\x49\x67\x6f\x89\x81\0\0\0\0p\x80\x81\0\0\0\0l\x88\x84\0\0\0\0"
		"\x03\xe9hi";
	struct reading r = {.n = 0};
	websocket_init(&r.ws, WEBSOCKET_SERVER);
	for (size_t i = 0; i < sizeof bytes - 1; i++)
		read_some(&r, bytes + i, 1);
	assert_string_equal(r.text, "t:H|t:e|t:l|ping:p|t:l.|close:1001:hi");
}

// ---- both ways

// A frame of N bytes as ROLE writes it, read by the other end in steps of STEP.
static void round_trip(enum websocket_role role, size_t n, size_t step)
{
	uint8_t key[4] = {0};
	char *frame = malloc(n + WEBSOCKET_HEAD_MAX);
	bool client = role == WEBSOCKET_CLIENT, last = false;
	size_t got = 0;
	assert_non_null(frame);
	if (client)
		assert_int_equal(websocket_key(key), 0);
	size_t head =
		websocket_head((uint8_t *)frame, WEBSOCKET_OP_BINARY, true, n, client ? key : NULL);
	for (size_t i = 0; i < n; i++)
		frame[head + i] = (char)(i * 31 >> 3);
	websocket_mask(frame + head, n, key);
	struct websocket ws;
	websocket_init(&ws, client ? WEBSOCKET_SERVER : WEBSOCKET_CLIENT);
	for (size_t at = 0; at < head + n; at += step) {
		struct span in = {frame + at, MIN(step, head + n - at)};
		struct websocket_event event;
		enum websocket_outcome outcome;
		while ((outcome = websocket_next(&ws, &in, &event)) != WEBSOCKET_MORE) {
			assert_int_equal(outcome, WEBSOCKET_DATA);
			assert_false(last);
			for (size_t i = 0; i < event.payload.n; i++, got++)
				assert_int_equal(event.payload.p[i], (char)(got * 31 >> 3));
			last = event.last;
		}
	}
	assert_int_equal(got, n);
	assert_true(last);
	free(frame);
}

static void test_round_trips(void **state)
{
	static const size_t sizes[] = {
		0, 1, 2, 124, 125, 126, 127, 128, 65534, 65535, 65536, 65537, 200000};
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (int client = 0; client <= 1; client++) {
			enum websocket_role role = client ? WEBSOCKET_CLIENT : WEBSOCKET_SERVER;
			round_trip(role, sizes[i], sizes[i] + WEBSOCKET_HEAD_MAX);
			round_trip(role, sizes[i], 1);
			round_trip(role, sizes[i], 4093);
		}
	}
}

static void test_control_frames(void **state)
{
	uint8_t frame[WEBSOCKET_CONTROL_FRAME_MAX];
	char payload[WEBSOCKET_CONTROL_MAX], expected[256];
	memset(payload, 'p', sizeof payload);
	for (int client = 0; client <= 1; client++) {
		enum websocket_role role = client ? WEBSOCKET_CLIENT : WEBSOCKET_SERVER;
		enum websocket_role other = client ? WEBSOCKET_SERVER : WEBSOCKET_CLIENT;
		size_t n = websocket_control(
			frame, role, WEBSOCKET_OP_PING, (struct span){payload, sizeof payload});
		snprintf(expected, sizeof expected, "ping:%.*s", (int)sizeof payload, payload);
		assert_read(other, (struct span){(char *)frame, n}, expected);
		n = websocket_close(frame, role, WEBSOCKET_GOING_AWAY, SPAN("bye"));
		assert_read(other, (struct span){(char *)frame, n}, "close:1001:bye");
		n = websocket_close(frame, role, 0, SPAN("not sent"));
		assert_read(other, (struct span){(char *)frame, n}, "close:1005:");
	}
}

static void test_long_reasons_are_cut_between_characters(void **state)
{
	uint8_t frame[WEBSOCKET_CONTROL_FRAME_MAX];
	char why[200], expected[200];
	for (size_t i = 0; i < sizeof why; i += 2)
		memcpy(why + i, "\xc3\xa4", 2);
	size_t n = websocket_close(
		frame, WEBSOCKET_SERVER, WEBSOCKET_POLICY, (struct span){why, sizeof why});
	assert_int_equal(n, 2 + 2 + 122);
	snprintf(expected, sizeof expected, "close:1008:%.122s", why);
	assert_read(WEBSOCKET_CLIENT, (struct span){(char *)frame, n}, expected);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accept),
		cmocka_unit_test(test_nonce),
		cmocka_unit_test(test_mask_at_every_place),
		cmocka_unit_test(test_keys_differ),
		cmocka_unit_test(test_examples_of_the_rfc),
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_violations),
		cmocka_unit_test(test_byte_by_byte),
		cmocka_unit_test(test_round_trips),
		cmocka_unit_test(test_control_frames),
		cmocka_unit_test(test_long_reasons_are_cut_between_characters),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
