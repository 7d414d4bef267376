// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What the guest service says, read.

#include "guest_answer.h"
#include "hex.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <stdio.h>

enum { SIZE = 700 };

// A quote of VERSION and TYPE about 64 bytes of 0x11, in hex.
static void make_quote(char hex[2 * SIZE + 1], uint8_t version, uint8_t type)
{
	uint8_t bytes[SIZE] = {version, 0, 2, 0, type};
	memset(bytes + (version == 5 ? 574 : 568), 0x11, REPORT_DATA_SIZE);
	hex_encode(hex, bytes, sizeof bytes);
}

// Reads FORM with HEX in place of its '@'.
static enum guest_outcome read_answer(const char *form, const char *hex, struct quote *quote)
{
	char body[2 * SIZE + 512];
	uint8_t report_data[REPORT_DATA_SIZE];
	size_t n = strcspn(form, "@");
	memset(report_data, 0x11, sizeof report_data);
	snprintf(body, sizeof body, "%.*s%s%s", (int)n, form, form[n] != '\0' ? hex : "",
		form[n] != '\0' ? form + n + 1 : "");
	return guest_answer_quote(span_of(body), report_data, quote);
}

#define GOOD \
	"{\"quote\":\"@\",\"event_log\":\"[{\\\"imr\\\": 3}]\",\"vm_config\":\"{}\",\"more\":1}"

static void test_quote(void **state)
{
	char hex[2 * SIZE + 1];
	struct quote quote;
	for (uint8_t version = 4; version <= 5; version++) {
		make_quote(hex, version, 0x81);
		assert_int_equal(read_answer(GOOD, hex, &quote), GUEST_OK);
		assert_string_equal(quote.hex, hex);
		assert_string_equal(quote.event_log, "[{\"imr\":3}]");
		assert_string_equal(quote.vm_config, "{}");
		quote_deinit(&quote);
	}
	make_quote(hex, 4, 0x81);
	for (char *p = hex; *p != '\0'; p++)
		*p = *p >= 'a' ? (char)(*p - 'a' + 'A') : *p;
	assert_int_equal(
		read_answer("{\"quote\":\"0x@\",\"event_log\":\"[]\"}", hex, &quote), GUEST_OK);
	assert_null(strpbrk(quote.hex, "ABCDEF"));
	assert_null(quote.vm_config);
	quote_deinit(&quote);
}

static void test_other_quotes(void **state)
{
	static const uint8_t wrong[][2] = {
		{3, 0x81}, {6, 0x81}, {0, 0x81}, {4, 0}, {4, 0x80}, {5, 0x82}};
	char hex[2 * SIZE + 1];
	struct quote quote;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		make_quote(hex, wrong[i][0], wrong[i][1]);
		assert_int_equal(read_answer(GOOD, hex, &quote), GUEST_MISMATCH);
		assert_null(quote.hex);
	}
	// Every byte of report_data counts.
	for (size_t at = 568; at < 568 + REPORT_DATA_SIZE; at++) {
		make_quote(hex, 4, 0x81);
		hex[2 * at] = '2';
		assert_int_equal(read_answer(GOOD, hex, &quote), GUEST_MISMATCH);
	}
	// None is long enough before its report_data is there.
	for (size_t n = 2; n < 568 + REPORT_DATA_SIZE; n += 13) {
		make_quote(hex, 4, 0x81);
		hex[2 * n] = '\0';
		assert_int_equal(read_answer(GOOD, hex, &quote), GUEST_MISMATCH);
	}
}

static void test_malformed(void **state)
{
	static const char *const forms[] = {"", "null", "[]", "{", "{\"quote\":\"@\"}",
		"{\"event_log\":\"[]\"}", "{\"quote\":[\"@\"],\"event_log\":\"[]\"}",
		"{\"quote\":\"@z\",\"event_log\":\"[]\"}",
		"{\"quote\":\"@0\",\"event_log\":\"[]\"}", "{\"quote\":\"@\",\"event_log\":\"{}\"}",
		"{\"quote\":\"@\",\"event_log\":[]}", "{\"quote\":\"@\",\"event_log\":\"[1\"}",
		"{\"quote\":\"\",\"event_log\":\"[]\"}",
		"{\"quote\":\"@\",\"quote\":\"\",\"event_log\":\"[]\"}"};
	char hex[2 * SIZE + 1];
	struct quote quote;
	make_quote(hex, 4, 0x81);
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		enum guest_outcome found = read_answer(forms[i], hex, &quote);
		if (found != GUEST_MALFORMED || quote.hex != NULL || quote.event_log != NULL)
			fail_msg("%s: %s", forms[i], guest_outcome_name(found));
	}
}

static void test_info(void **state)
{
	char *text = NULL;
	assert_int_equal(
		guest_answer_info(
			SPAN("{\"tcb_info\":\"{\\\"app_compose\\\":\\\"{ }\\\\n\\\"}\"}"), &text),
		GUEST_OK);
	assert_string_equal(text, "{ }\n");
	free(text);
	static const char *const bad[] = {"", "{}", "{\"tcb_info\":\"\"}", "{\"tcb_info\":\"{}\"}",
		"{\"tcb_info\":{\"app_compose\":\"x\"}}"};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(guest_answer_info(span_of(bad[i]), &text), GUEST_MALFORMED);
		assert_null(text);
	}
}

static void test_version(void **state)
{
	char version[VERSION_MAX + 1] = "";
	assert_int_equal(guest_answer_version(SPAN("{\"version\":\"0.5.7\"}"), version), GUEST_OK);
	assert_string_equal(version, "0.5.7");
	assert_int_equal(guest_answer_version(SPAN("{\"version\":7}"), version), GUEST_MALFORMED);
	assert_string_equal(version, "0.5.7");
}

static void test_error(void **state)
{
	char why[GUEST_WHY_MAX + 1];
	guest_answer_error(SPAN("{\"error\":\"quote\\n\\u00e9\"}"), why);
	assert_string_equal(why, "quote\?\?\?");
	guest_answer_error(SPAN("<html>"), why);
	assert_string_equal(why, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quote),
		cmocka_unit_test(test_other_quotes),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_info),
		cmocka_unit_test(test_version),
		cmocka_unit_test(test_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
