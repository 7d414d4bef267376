// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Our own answers, read back by our response parser and a JSON library.

#include "problem.h"

#include "clock.h"
#include "http_date.h"

#include <jansson.h>
#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

// ---- what the asker can read

static enum answer_form form_of(const char *fields)
{
	static struct http_head head;
	char bytes[512];
	const char *why = "";
	int n = snprintf(bytes, sizeof bytes, "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", fields);
	if (http_request_parse(&head, bytes, (size_t)n, &why) != HTTP_OK)
		fail_msg("%s: %s", fields, why);
	return answer_form(&head);
}

static void test_form(void **state)
{
	static const struct {
		const char *fields;
		enum answer_form form;
	} cases[] = {
		{"", FORM_JSON}, {"Accept: */*\r\n", FORM_JSON},
		{"Accept: application/json\r\n", FORM_JSON}, {"Accept: text/html\r\n", FORM_HTML},
		{"Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n", FORM_HTML},
		{"Accept: application/json, TEXT/HTML;q=0.1\r\n", FORM_HTML},
		{"Accept: text/htm\r\n", FORM_JSON}, {"Sec-Fetch-Mode: navigate\r\n", FORM_HTML},
		{"Sec-Fetch-Mode: navigate\r\nAccept: */*\r\n", FORM_HTML},
		{"Sec-Fetch-Mode: cors\r\nAccept: text/html\r\n", FORM_JSON},
		{"Sec-Fetch-Mode: no-cors\r\n", FORM_JSON},
		{"Connection: upgrade\r\nUpgrade: websocket\r\n", FORM_STATUS},
		{"Connection: upgrade\r\nUpgrade: websocket\r\nSec-Fetch-Mode: navigate\r\n",
			FORM_STATUS},
		{"Upgrade: websocket\r\nAccept: text/html\r\n", FORM_HTML}, // asks for no upgrade
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		enum answer_form form = form_of(cases[i].fields);
		if (form != cases[i].form)
			fail_msg("%s: %d, expected %d", cases[i].fields, form, cases[i].form);
	}
}

// ---- whole answers

// An answer in its parts; the head's spans point into BYTES.
struct answer {
	struct buf bytes;
	struct http_head head;
	struct span body;
};

static void answer_make(struct answer *answer, const struct problem *problem, char *id)
{
	buf_init(&answer->bytes, 16 * 1024);
	assert_int_equal(problem_format(&answer->bytes, problem, id), 0);
	struct span s = buf_span(&answer->bytes);
	size_t scanned = 0, size = 0;
	const char *why = "";
	assert_int_equal(http_head_find(s.p, s.n, false, &scanned, &size), HTTP_OK);
	if (http_response_parse(&answer->head, s.p, size, problem->to_head, &why) != HTTP_OK)
		fail_msg("%.*s: %s", (int)s.n, s.p, why);
	answer->body = (struct span){s.p + size, s.n - size};
}

// The value of a field that is there once at most; absent: {NULL, 0}.
static struct span field_of(const struct answer *answer, const char *name)
{
	const struct http_field *found = NULL;
	for (size_t i = 0; i < answer->head.n_fields; i++)
		if (span_eq_nocase(answer->head.fields[i].name, span_of(name))) {
			assert_null(found); // never twice
			found = &answer->head.fields[i];
		}
	return found != NULL ? found->value : (struct span){NULL, 0};
}

static void assert_field(const struct answer *answer, const char *name, const char *expected)
{
	struct span value = field_of(answer, name);
	if ((expected == NULL) != (value.p == NULL) || !span_eq(value, span_of(expected)))
		fail_msg("%s is \"%.*s\", expected \"%s\"", name, (int)value.n,
			value.p != NULL ? value.p : "", expected != NULL ? expected : "(absent)");
}

// Whether Date is one of the seconds from BEFORE until now.
static void check_date(const struct answer *answer, int64_t before)
{
	struct span date = field_of(answer, "Date");
	char text[HTTP_DATE_SIZE];
	for (int64_t at = before; at <= wall_now(); at++) {
		http_date_format(at, text);
		if (span_eq(date, span_of(text)))
			return;
	}
	fail_msg("Date is \"%.*s\", it is %s", (int)date.n, date.p != NULL ? date.p : "", text);
}

static json_t *json_of(const struct answer *answer)
{
	json_error_t error;
	json_t *json = json_loadb(answer->body.p, answer->body.n, JSON_REJECT_DUPLICATES, &error);
	if (json == NULL)
		fail_msg("%.*s: %s", (int)answer->body.n, answer->body.p, error.text);
	assert_true(json_is_object(json));
	return json;
}

static void assert_member(const json_t *json, const char *name, const char *expected)
{
	const char *value = json_string_value(json_object_get(json, name));
	assert_non_null(value);
	assert_string_equal(value, expected);
}

static void check_json(const struct answer *answer, enum code code, const char *id)
{
	const struct code_info *info = code_info(code);
	json_t *json = json_of(answer);
	char type[64];
	snprintf(type, sizeof type, "urn:tunneld:error:%s", info->name);
	assert_member(json, "type", type);
	assert_member(json, "title", info->title);
	assert_member(json, "code", info->name);
	assert_member(json, "detail", info->detail);
	assert_member(json, "error", info->detail);
	assert_member(json, "request_id", id);
	assert_int_equal(json_integer_value(json_object_get(json, "status")), info->status);
	json_decref(json);
}

static void check_answer(enum code code, enum answer_form form, bool to_head)
{
	const struct code_info *info = code_info(code);
	const struct problem problem = {.code = code, .form = form, .to_head = to_head};
	static struct answer answer;
	char id[REQUEST_ID_SIZE], retry[16];
	int64_t before = wall_now();
	answer_make(&answer, &problem, id);
	check_date(&answer, before);
	assert_int_equal(answer.head.status, info->status);
	assert_true(answer.head.reason.n > 0);
	assert_false(answer.head.keep_alive);
	assert_field(&answer, "Tunnel-Error", info->name);
	assert_field(&answer, "Cache-Control", "no-store");
	snprintf(retry, sizeof retry, "%u", info->retry_after);
	assert_field(&answer, "Retry-After", info->retry_after != 0 ? retry : NULL);
	assert_field(
		&answer, "Content-Type", form == FORM_JSON ? "application/problem+json" : NULL);
	assert_int_equal(strlen(id), REQUEST_ID_SIZE - 1);
	if (!to_head && form == FORM_JSON) {
		assert_int_equal(answer.head.length, answer.body.n);
		check_json(&answer, code, id);
	} else {
		assert_int_equal(answer.body.n, 0);
	}
	buf_reset(&answer.bytes);
}

static void test_every_code_in_every_form(void **state)
{
	for (int code = CODE_NONE + 1; code < CODES; code++)
		for (int to_head = 0; to_head <= 1; to_head++) {
			check_answer((enum code)code, FORM_JSON, to_head);
			check_answer((enum code)code, FORM_STATUS, to_head);
		}
}

static void test_codes_are_complete_and_named_once(void **state)
{
	for (int i = CODE_NONE + 1; i < CODES; i++) {
		const struct code_info *a = code_info((enum code)i);
		assert_non_null(a->name);
		assert_in_range(a->status, 400, 599);
		assert_true(http_reason(a->status)[0] != '\0');
		for (int k = i + 1; k < CODES; k++)
			assert_string_not_equal(a->name, code_info((enum code)k)->name);
	}
	assert_string_equal(http_reason(299), "");
}

static void test_head_answers_announce_the_length_of_the_body(void **state)
{
	static struct answer answer;
	struct problem problem = {.code = CODE_INVALID};
	answer_make(&answer, &problem, NULL);
	char length[24];
	snprintf(length, sizeof length, "%zu", answer.body.n);
	buf_reset(&answer.bytes);
	problem.to_head = true;
	answer_make(&answer, &problem, NULL);
	assert_field(&answer, "Content-Length", length);
	buf_reset(&answer.bytes);
}

static void test_what_the_caller_adds(void **state)
{
	static struct answer answer;
	const struct problem problem = {
		.code = CODE_TOKEN_INVALID,
		.detail = SPAN("say \"\\please\\\"\r\n\x01\x7f \xc3\xa4"),
		.keep_alive = true,
		.retry_after = 77,
		.fields = SPAN("WWW-Authenticate: Bearer\r\nX-Other: 1\r\n"),
		.members = SPAN(",\"errors\":[{\"pointer\":\"/a\",\"detail\":\"b\"}]"),
	};
	answer_make(&answer, &problem, NULL);
	assert_true(answer.head.keep_alive);
	assert_field(&answer, "Connection", NULL);
	assert_field(&answer, "Retry-After", "77");
	assert_field(&answer, "WWW-Authenticate", "Bearer");
	assert_field(&answer, "X-Other", "1");
	json_t *json = json_of(&answer);
	assert_member(json, "detail", "say \"\\please\\\"\r\n\x01\x7f \xc3\xa4");
	const json_t *errors = json_object_get(json, "errors");
	assert_int_equal(json_array_size(errors), 1);
	assert_member(json_array_get(errors, 0), "pointer", "/a");
	json_decref(json);
	buf_reset(&answer.bytes);
}

static void test_every_byte_of_a_string(void **state)
{
	for (unsigned c = 1; c < 0x80; c++) {
		const char text[] = {'a', (char)c, 'b'};
		CLEANUP(buf_reset) struct buf out;
		buf_init(&out, 64);
		assert_int_equal(problem_string(&out, (struct span){text, sizeof text}), 0);
		struct span s = buf_span(&out);
		json_t *json = json_loadb(s.p, s.n, JSON_DECODE_ANY, NULL);
		if (json == NULL || json_string_length(json) != sizeof text)
			fail_msg("byte %02x became %.*s", c, (int)s.n, s.p);
		assert_memory_equal(json_string_value(json), text, sizeof text);
		json_decref(json);
	}
}

static void test_request_ids_differ(void **state)
{
	char a[REQUEST_ID_SIZE], b[REQUEST_ID_SIZE];
	request_id_make(a);
	request_id_make(b);
	assert_string_not_equal(a, b);
	assert_int_equal(strspn(a, "0123456789abcdef"), REQUEST_ID_SIZE - 1);
}

static void test_an_answer_too_long_is_refused(void **state)
{
	const struct problem problem = {.code = CODE_INVALID};
	struct buf out;
	buf_init(&out, 100);
	assert_int_equal(problem_format(&out, &problem, NULL), -ENOBUFS);
	buf_reset(&out);
}

// ---- Date

static void test_known_dates(void **state)
{
	static const struct {
		int64_t seconds;
		const char *date;
	} known[] = {
		{784111777, "Sun, 06 Nov 1994 08:49:37 GMT"}, // the RFC's own example
		{0, "Thu, 01 Jan 1970 00:00:00 GMT"},
		{-5, "Thu, 01 Jan 1970 00:00:00 GMT"},
		{1709164799, "Wed, 28 Feb 2024 23:59:59 GMT"},
		{1709164800, "Thu, 29 Feb 2024 00:00:00 GMT"},
		{253402300799, "Fri, 31 Dec 9999 23:59:59 GMT"},
		{INT64_MAX, "Fri, 31 Dec 9999 23:59:59 GMT"},
	};
	char date[HTTP_DATE_SIZE];
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		http_date_format(known[i].seconds, date);
		assert_string_equal(date, known[i].date);
	}
}

// All days of two centuries and more: leap years, ends of months, days of the week.
static void test_dates_as_the_c_library_has_them(void **state)
{
	char date[HTTP_DATE_SIZE], expected[64];
	for (time_t at = 0; at < 8000000000; at += 86400 - 1) {
		struct tm tm;
		gmtime_r(&at, &tm);
		strftime(expected, sizeof expected, "%a, %d %b %Y %H:%M:%S GMT", &tm);
		http_date_format(at, date);
		assert_string_equal(date, expected);
	}
}

static void test_the_date_moves_on(void **state)
{
	char first[HTTP_DATE_SIZE];
	int64_t begun = wall_now();
	snprintf(first, sizeof first, "%s", http_date_now());
	while (wall_now() <= begun + 1)
		assert_int_equal(strlen(http_date_now()), HTTP_DATE_SIZE - 1);
	assert_string_not_equal(http_date_now(), first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_form),
		cmocka_unit_test(test_every_code_in_every_form),
		cmocka_unit_test(test_codes_are_complete_and_named_once),
		cmocka_unit_test(test_head_answers_announce_the_length_of_the_body),
		cmocka_unit_test(test_what_the_caller_adds),
		cmocka_unit_test(test_every_byte_of_a_string),
		cmocka_unit_test(test_request_ids_differ),
		cmocka_unit_test(test_an_answer_too_long_is_refused),
		cmocka_unit_test(test_known_dates),
		cmocka_unit_test(test_dates_as_the_c_library_has_them),
		cmocka_unit_test(test_the_date_moves_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
