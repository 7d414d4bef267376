// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Buffers against a plain array that does the same.

#include "buf.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void assert_holds(const struct buf *buf, const char *expected)
{
	struct span s = buf_span(buf);
	if (!span_eq(s, span_of(expected)))
		fail_msg("holds \"%.*s\", expected \"%s\"", (int)s.n, s.p, expected);
}

static void test_starts_empty_and_without_memory(void **state)
{
	struct buf buf;
	buf_init(&buf, 10);
	assert_int_equal(buf_len(&buf), 0);
	assert_null(buf.base);
	assert_int_equal(buf_add(&buf, "", 0), 0);
	assert_null(buf.base);
	buf_reset(&buf);
}

static void test_adds_and_consumes(void **state)
{
	struct buf buf;
	buf_init(&buf, 100);
	assert_int_equal(buf_add(&buf, "hello ", 6), 0);
	assert_int_equal(buf_add_span(&buf, SPAN("world")), 0);
	assert_holds(&buf, "hello world");
	buf_consume(&buf, 6);
	assert_holds(&buf, "world");
	assert_int_equal(buf_printf(&buf, " no %d%s", 42, "!"), 0);
	assert_holds(&buf, "world no 42!");
	buf_consume(&buf, buf_len(&buf));
	assert_int_equal(buf_len(&buf), 0);
	assert_null(buf.base); // an emptied buffer holds no memory
}

static void test_cap_is_exact_and_a_refused_piece_changes_nothing(void **state)
{
	struct buf buf;
	buf_init(&buf, 10);
	assert_int_equal(buf_add(&buf, "0123456", 7), 0);
	assert_int_equal(buf_add(&buf, "7890", 4), -ENOBUFS);
	assert_holds(&buf, "0123456");
	assert_null(buf_room(&buf, 4));
	assert_int_equal(errno, ENOBUFS);
	assert_int_equal(buf_add(&buf, "789", 3), 0);
	assert_holds(&buf, "0123456789");
	assert_int_equal(buf_add(&buf, "x", 1), -ENOBUFS);
	assert_int_equal(buf_add(&buf, "x", SIZE_MAX), -ENOBUFS);
	// What was consumed makes room again.
	buf_consume(&buf, 1);
	assert_int_equal(buf_add(&buf, "x", 1), 0);
	assert_holds(&buf, "123456789x");
	buf_reset(&buf);
}

static void test_printf_keeps_to_the_cap(void **state)
{
	struct buf buf;
	buf_init(&buf, 10);
	assert_int_equal(buf_printf(&buf, "%s", "0123456789a"), -ENOBUFS);
	assert_int_equal(buf_len(&buf), 0);
	assert_int_equal(buf_printf(&buf, "%s", "01234"), 0);
	assert_int_equal(buf_printf(&buf, "%s", "567890"), -ENOBUFS);
	assert_holds(&buf, "01234");
	buf_reset(&buf);
}

static void test_room_is_written_in_place(void **state)
{
	struct buf buf;
	buf_init(&buf, 1000);
	char *room = buf_room(&buf, 600);
	assert_non_null(room);
	memset(room, 'a', 600);
	buf_added(&buf, 3); // less than was asked for
	assert_holds(&buf, "aaa");
	buf_reset(&buf);
	assert_int_equal(buf_len(&buf), 0);
	assert_int_equal(buf_add(&buf, "again", 5), 0);
	assert_holds(&buf, "again");
	buf_reset(&buf);
}

static void test_wipe_is_a_reset(void **state)
{
	struct buf buf;
	buf_init(&buf, 10);
	buf_wipe(&buf);
	assert_int_equal(buf_add(&buf, "secret", 6), 0);
	buf_wipe(&buf);
	assert_int_equal(buf_len(&buf), 0);
	assert_null(buf.base);
	assert_int_equal(buf.cap, 10);
}

enum { CAP = 5000 };

// Appends up to 700 bytes, or as many as there is room for.
static void random_add(struct buf *buf, char *model, size_t *n, unsigned *seed)
{
	size_t more = (size_t)rand_r(seed) % 700;
	char piece[700];
	for (size_t k = 0; k < more; k++)
		piece[k] = (char)rand_r(seed);
	int r = buf_add(buf, piece, more);
	assert_int_equal(r, *n + more > CAP ? -ENOBUFS : 0);
	if (r == 0) {
		memcpy(model + *n, piece, more);
		*n += more;
	}
}

static void random_consume(struct buf *buf, char *model, size_t *n, unsigned *seed)
{
	size_t less = (size_t)rand_r(seed) % (*n + 1);
	buf_consume(buf, less);
	*n -= less;
	memmove(model, model + less, *n);
}

static void test_trim_gives_memory_back(void **state)
{
	static const char bytes[100000] = "x";
	struct buf buf;
	buf_init(&buf, sizeof bytes);
	buf_trim(&buf);
	assert_int_equal(buf_add(&buf, bytes, sizeof bytes), 0);
	uint32_t size = buf.size;
	buf_consume(&buf, sizeof bytes - size / 2);
	buf_trim(&buf); // half of it is needed
	assert_int_equal(buf.size, size);
	buf_consume(&buf, buf_len(&buf) - 20000);
	buf_trim(&buf);
	assert_int_equal(buf.size, 40000);
	assert_int_equal(buf_len(&buf), 20000);
	buf_reset(&buf);
}

static void test_random_operations(void **state)
{
	unsigned seed = 1;
	static char model[CAP];
	size_t n = 0;
	struct buf buf;
	buf_init(&buf, CAP);
	for (int i = 0; i < 50000; i++) {
		if (rand_r(&seed) % 3 > 0)
			random_add(&buf, model, &n, &seed);
		else
			random_consume(&buf, model, &n, &seed);
		if (rand_r(&seed) % 4 == 0)
			buf_trim(&buf);
		assert_int_equal(buf_len(&buf), n);
		if (n > 0)
			assert_memory_equal(buf_span(&buf).p, model, n);
		else
			assert_null(buf.base);
	}
	buf_reset(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_starts_empty_and_without_memory),
		cmocka_unit_test(test_adds_and_consumes),
		cmocka_unit_test(test_cap_is_exact_and_a_refused_piece_changes_nothing),
		cmocka_unit_test(test_printf_keeps_to_the_cap),
		cmocka_unit_test(test_room_is_written_in_place),
		cmocka_unit_test(test_wipe_is_a_reset),
		cmocka_unit_test(test_trim_gives_memory_back),
		cmocka_unit_test(test_random_operations),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
