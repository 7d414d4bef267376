// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What pages say of the evidence: all that is in it, as text; and of a document that is none, that
// there is nothing to say.

#include "evidence_view.h"

#include "hex.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <stdio.h>

#define DIGEST "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const char statement[] =
	"{\"type\":\"tunneld-instance/1\",\"instance_key\":\"0a0b\",\"tls\":["
	"{\"listener\":\"tls_listen\",\"spki_sha256\":\"" DIGEST "\"},"
	"{\"listener\":\"tls_listen\",\"spki_sha256\":\"ff\",\"from_file\":true}],"
	"\"components\":[{\"name\":\"<b>\",\"sha256\":\"" DIGEST "\",\"seccomp_sha256\":null}],"
	"\"source\":{\"version\":\"1.2\",\"commit\":\"c\",\"tree_sha256\":\"dd\"},"
	"\"config_sha256\":\"ee\",\"started_at\":\"2026-01-02T03:04:05Z\"}";

// A document with TEXT as its instance statement.
static const char *document_of(const char *text, const char *state)
{
	static char document[8192];
	char encoded[4096];
	assert_true(BASE64_SIZE(strlen(text)) <= sizeof encoded);
	base64_encode(encoded, text, strlen(text));
	snprintf(document, sizeof document,
		"{\"statement\":\"x\",\"instance\":{\"statement\":\"%s\",\"quote_state\":\"%s\"}}",
		encoded, state);
	return document;
}

static struct span value_of(const struct template_value *values, const char *name)
{
	for (size_t i = 0; i < EVIDENCE_VALUES; i++)
		if (values[i].name != NULL && strcmp(values[i].name, name) == 0)
			return values[i].text;
	fail_msg("there is no %s", name);
	return (struct span){NULL, 0};
}

static void check(const struct template_value *values, const char *name, const char *text)
{
	struct span value = value_of(values, name);
	if (!span_eq(value, span_of(text)))
		fail_msg("%s: %.*s", name, (int)value.n, value.p);
}

static bool has(const struct template_value *values, const char *name, const char *part)
{
	struct span value = value_of(values, name);
	return value.n > 0 && memmem(value.p, value.n, part, strlen(part)) != NULL;
}

static void what_it_says(void **state)
{
	struct evidence_view view = {0};
	struct template_value values[EVIDENCE_VALUES];
	CLEANUP(buf_reset) struct buf keys;
	CLEANUP(buf_reset) struct buf programs;
	buf_init(&keys, 4096);
	buf_init(&programs, 4096);
	assert_int_equal(evidence_view_read(&view, span_of(document_of(statement, "cut_off"))), 0);
	assert_int_equal(evidence_view_values(values, &view, false, true, &keys, &programs), 0);
	check(values, "version", "1.2");
	check(values, "tree", "dd");
	check(values, "config", "ee");
	check(values, "key", "0a0b");
	check(values, "started", "2026-01-02T03:04:05Z");
	check(values, "unquoted", "the guest service’s answer was cut off");
	assert_null(value_of(values, "quoted").p);
	assert_non_null(value_of(values, "plain").p);
	assert_null(value_of(values, "keyless").p);
	assert_true(has(values, "keys", "<code>01:23:45:67:89:AB:CD:EF:01:"));
	assert_true(has(values, "keys", "<code>FF</code><br>This key was read from a file"));
	assert_true(has(values, "programs", "<dt>&lt;b&gt;</dt><dd><code>" DIGEST "</code>"));
	evidence_view_deinit(&view);
}

static void without_keys_and_with_a_quote(void **state)
{
	struct evidence_view view = {0};
	struct template_value values[EVIDENCE_VALUES];
	CLEANUP(buf_reset) struct buf keys;
	CLEANUP(buf_reset) struct buf programs;
	buf_init(&keys, 4096);
	buf_init(&programs, 4096);
	// Read anew, the old one is let go of.
	for (int i = 0; i < 2; i++)
		assert_int_equal(
			evidence_view_read(&view, span_of(document_of("{}", "quoted"))), 0);
	assert_int_equal(evidence_view_values(values, &view, true, true, &keys, &programs), 0);
	assert_non_null(value_of(values, "quoted").p);
	assert_null(value_of(values, "unquoted").p);
	assert_non_null(value_of(values, "keyless").p);
	assert_null(value_of(values, "plain").p);
	assert_null(value_of(values, "version").p);
	evidence_view_deinit(&view);
}

static void what_is_none(void **state)
{
	static const char *const documents[] = {"", "x", "[]", "{}", "{\"instance\":null}",
		"{\"instance\":{\"statement\":1}}", "{\"instance\":{\"statement\":\"\"}}",
		"{\"instance\":{\"statement\":\"!\"}}", "{\"instance\":{\"statement\":\"e30\"}}"};
	struct evidence_view view = {0};
	for (size_t i = 0; i < ARRAY_SIZE(documents); i++) {
		assert_int_equal(evidence_view_read(&view, span_of(documents[i])), -EBADMSG);
		assert_null(view.instance);
	}
	assert_int_equal(evidence_view_read(&view, span_of(document_of("{", "x"))), -EBADMSG);
	evidence_view_deinit(&view);
}

static void more_than_fits(void **state)
{
	struct evidence_view view = {0};
	struct template_value values[EVIDENCE_VALUES];
	CLEANUP(buf_reset) struct buf keys;
	CLEANUP(buf_reset) struct buf programs;
	buf_init(&keys, 64);
	buf_init(&programs, 4096);
	assert_int_equal(evidence_view_read(&view, span_of(document_of(statement, ""))), 0);
	assert_true(evidence_view_values(values, &view, true, true, &keys, &programs) < 0);
	evidence_view_deinit(&view);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_it_says),
		cmocka_unit_test(without_keys_and_with_a_quote),
		cmocka_unit_test(what_is_none),
		cmocka_unit_test(more_than_fits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
