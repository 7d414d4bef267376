// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Idempotency-Key: how it is read, and which answers are kept, for how long, and for whom others
// have to go.

#include "idempotency.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <stdio.h>

// ---- keys

// Reads the fields FIELDS (each with CR LF) of a request.
static int read_fields(struct idempotency_key *key, const char *fields, const char *token)
{
	char bytes[2048];
	const char *why;
	struct http_head head;
	int n = snprintf(bytes, sizeof bytes, "POST /x HTTP/1.1\r\nHost: h\r\n%s\r\n", fields);
	assert_true(n > 0 && (size_t)n < sizeof bytes);
	assert_int_equal(http_request_parse(&head, bytes, (size_t)n, &why), HTTP_OK);
	return idempotency_key_read(key, &head, SPAN("body"), token);
}

static int read_key(struct idempotency_key *key, const char *value)
{
	char fields[1024];
	snprintf(fields, sizeof fields, "Idempotency-Key: %s\r\n", value);
	return read_fields(key, fields, "owner");
}

static void a_key_is_read(void **state)
{
	static const char *const pairs[][2] = {
		{"abc", "\"abc\""},
		{"8e03978e-40d5-43dd-bc93-6894a57f9324",
			"\"8e03978e-40d5-43dd-bc93-6894a57f9324\""},
		{"a\"b", "\"a\\\"b\""},
		{"a\\b", "\"a\\\\b\""},
		{"a,b;c=d", "\"a,b;c=d\""},
		{":YWJj:", "\":YWJj:\""},
	};
	struct idempotency_key bare, quoted, other;
	assert_int_equal(read_key(&other, "other"), 0);
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		assert_int_equal(read_key(&bare, pairs[i][0]), 0);
		assert_int_equal(read_key(&quoted, pairs[i][1]), 0);
		assert_true(secret_hash_equal(&bare.id, &quoted.id));
		assert_false(secret_hash_equal(&bare.id, &other.id));
		assert_true(secret_hash_equal(&bare.body, &other.body));
	}
	assert_int_equal(read_key(&quoted, "\"with a space\""), 0);
	assert_int_equal(read_fields(&bare, "idempotency-KEY:abc \r\n", "owner"), 0);
	assert_int_equal(read_key(&quoted, "abc"), 0);
	assert_true(secret_hash_equal(&bare.id, &quoted.id));
}

static void every_token_has_keys_of_its_own(void **state)
{
	struct idempotency_key one, two;
	assert_int_equal(read_fields(&one, "Idempotency-Key: a\r\n", "owner"), 0);
	assert_int_equal(read_fields(&two, "Idempotency-Key: a\r\n", "k-a"), 0);
	assert_false(secret_hash_equal(&one.id, &two.id));
}

static void what_is_no_key(void **state)
{
	static const char *const bad[] = {"", "\"", "\"\"", "\"abc", "\"a\"b\"", "\"a\";x=1",
		"\"a\\\"", "\"a\\b\"", "\"\\\"", "\"a\" \"b\"", "a b", "a\tb", "\"a\tb\"", "a\x80",
		"\"a\x80\"", "\xc3\xa9"};
	struct idempotency_key key;
	char text[600];
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (read_key(&key, bad[i]) != IDEMPOTENCY_BAD_KEY)
			fail_msg("taken: %s", bad[i]);
	assert_int_equal(read_fields(&key, "", "owner"), IDEMPOTENCY_NO_KEY);
	assert_int_equal(
		read_fields(&key, "X-Idempotency-Key: a\r\n", "owner"), IDEMPOTENCY_NO_KEY);
	assert_int_equal(read_fields(&key, "Idempotency-Key: a\r\nIdempotency-Key: a\r\n", "owner"),
		IDEMPOTENCY_BAD_KEY);
	memset(text, 'a', sizeof text);
	text[255] = '\0';
	assert_int_equal(read_key(&key, text), 0);
	text[255] = 'a';
	text[256] = '\0';
	assert_int_equal(read_key(&key, text), IDEMPOTENCY_BAD_KEY);
	text[0] = text[256] = '"'; // 255 between quotes
	text[257] = '\0';
	assert_int_equal(read_key(&key, text), 0);
	text[256] = 'a';
	text[257] = '"';
	text[258] = '\0';
	assert_int_equal(read_key(&key, text), IDEMPOTENCY_BAD_KEY);
	for (int i = 1; i < 511; i++) // 255 escapes are 510 characters
		text[i] = '\\';
	text[511] = '"';
	text[512] = '\0';
	assert_int_equal(read_key(&key, text), 0);
}

// ---- answers

static struct loop loop;
static struct idempotency set;

static int setup(void **state)
{
	idempotency_init(&set, &loop, 8);
	return loop_init(&loop);
}

static int teardown(void **state)
{
	idempotency_deinit(&set);
	loop_deinit(&loop);
	return 0;
}

static struct idempotency_key key_of(unsigned n)
{
	struct idempotency_key key = {0};
	memcpy(key.id.bytes, &n, sizeof n);
	return key;
}

static void keep(unsigned n, bool scoped)
{
	char answer[32];
	struct idempotency_key key = key_of(n);
	int size = snprintf(answer, sizeof answer, "answer %u", n);
	struct kept_answer *kept = idempotency_begin(&set, &key, scoped);
	assert_non_null(kept);
	assert_null(kept->bytes);
	idempotency_finish(kept, (struct span){answer, (size_t)size});
}

static bool is_kept(unsigned n)
{
	char answer[32];
	struct idempotency_key key = key_of(n);
	int size = snprintf(answer, sizeof answer, "answer %u", n);
	struct kept_answer *kept = idempotency_find(&set, &key);
	if (kept == NULL)
		return false;
	assert_int_equal(kept->n, size);
	assert_memory_equal(kept->bytes, answer, (size_t)size);
	return true;
}

static void answers_are_found_again(void **state)
{
	struct idempotency_key key = key_of(1);
	struct kept_answer *kept = idempotency_begin(&set, &key, false);
	assert_ptr_equal(idempotency_find(&set, &key), kept);
	idempotency_forget(kept);
	assert_null(idempotency_find(&set, &key));
	for (unsigned i = 0; i < 8; i++)
		keep(i * 256, false); // all in one bucket
	for (unsigned i = 0; i < 8; i++)
		assert_true(is_kept(i * 256));
	assert_false(is_kept(8 * 256));
}

static void the_oldest_goes_first(void **state)
{
	struct idempotency_key key = key_of(100);
	struct kept_answer *under_way = idempotency_begin(&set, &key, false);
	for (unsigned i = 0; i < 10; i++)
		keep(i, false);
	assert_int_equal(set.n, 8);
	assert_false(is_kept(0) || is_kept(1));
	assert_true(is_kept(2) && is_kept(9));
	assert_ptr_equal(idempotency_find(&set, &key), under_way); // what is under way stays
	idempotency_forget(under_way);
}

static void scoped_tokens_do_not_displace_the_owner(void **state)
{
	for (unsigned i = 0; i < 6; i++)
		keep(i, false);
	for (unsigned i = 10; i < 20; i++)
		keep(i, true);
	assert_int_equal(set.n, 8);
	assert_int_equal(set.n_scoped, 2);
	for (unsigned i = 0; i < 6; i++)
		assert_true(is_kept(i));
	assert_true(is_kept(18) && is_kept(19));
	keep(6, false); // the owner displaces whatever is oldest
	assert_false(is_kept(0));
	for (unsigned i = 20; i < 30; i++)
		keep(i, false);
	assert_int_equal(set.n_scoped, 0);
	keep(40, true); // and there is no place left for others
	assert_false(is_kept(40));
	assert_int_equal(set.n, 8);
}

static void they_take_half_of_all_places(void **state)
{
	for (unsigned i = 0; i < 10; i++)
		keep(i, true);
	assert_int_equal(set.n, 4);
	assert_true(is_kept(6) && is_kept(9));
	assert_false(is_kept(5));
}

static void what_is_too_large_is_not_kept(void **state)
{
	static char large[IDEMPOTENCY_ANSWER_MAX + 1];
	struct idempotency_key key = key_of(1);
	idempotency_finish(
		idempotency_begin(&set, &key, false), (struct span){large, sizeof large});
	assert_null(idempotency_find(&set, &key));
	idempotency_finish(
		idempotency_begin(&set, &key, false), (struct span){large, sizeof large - 1});
	assert_non_null(idempotency_find(&set, &key));
}

static void answers_end(void **state)
{
	struct instant now = instant_now();
	keep(1, false);
	keep(2, true);
	struct idempotency_key key = key_of(1);
	struct kept_answer *first = idempotency_find(&set, &key);
	assert_in_range(instant_diff_us(first->until, now), 599 * 1000000, 601 * 1000000);
	set.timer.expired(&set.timer);
	assert_true(is_kept(1));
	first->until = now;
	set.timer.expired(&set.timer);
	assert_false(is_kept(1));
	assert_true(is_kept(2));
	assert_true(set.timer.place != 0); // goes on with the next
	key = key_of(2);
	idempotency_find(&set, &key)->until = now;
	set.timer.expired(&set.timer);
	assert_int_equal(set.n, 0);
	assert_int_equal(set.n_scoped, 0);
	assert_int_equal(set.timer.place, 0);
}

static void none_are_kept_if_there_may_be_none(void **state)
{
	idempotency_init(&set, &loop, 0);
	keep(1, false);
	keep(2, true);
	assert_int_equal(set.n, 0);
	assert_false(is_kept(1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_is_read),
		cmocka_unit_test(every_token_has_keys_of_its_own),
		cmocka_unit_test(what_is_no_key),
		cmocka_unit_test_setup_teardown(answers_are_found_again, setup, teardown),
		cmocka_unit_test_setup_teardown(the_oldest_goes_first, setup, teardown),
		cmocka_unit_test_setup_teardown(
			scoped_tokens_do_not_displace_the_owner, setup, teardown),
		cmocka_unit_test_setup_teardown(they_take_half_of_all_places, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_too_large_is_not_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(answers_end, setup, teardown),
		cmocka_unit_test_setup_teardown(
			none_are_kept_if_there_may_be_none, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
