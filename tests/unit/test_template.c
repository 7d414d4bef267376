// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Values are text whatever is in them, and parts without a value are left out.

#include "template.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct template_value values[] = {
	{"name", SPAN_INIT("<b a=\"1\">&'{{name}}")},
	{"rows", SPAN_INIT("<li>1<li>2"), true},
	{"empty", SPAN_INIT("")},
	{"absent", {NULL, 0}},
};

static void filling(void **state)
{
	static const struct {
		const char *text, *filled;
	} cases[] = {
		{"", ""},
		{"plain { } text", "plain { } text"},
		{"a {{name}} b", "a &lt;b a=&quot;1&quot;&gt;&amp;'{{name}} b"},
		{"<ul>{{rows}}</ul>", "<ul><li>1<li>2</ul>"},
		{"-{{empty}}-{{absent}}-{{other}}-", "----"},
		{"{{?name}}yes{{/}}{{?empty}} there{{/}}{{?absent}}no{{/}}{{?other}}no{{/}}.",
			"yes there."},
		{"{{?name}}1{{?absent}}2{{/}}3{{/}}4", "134"},
		{"{{?absent}}1{{?name}}2{{name}}{{/}}3{{/}}4", "4"},
		{"{{?absent}}1{{?other}}2{{/}}3{{/}}4{{rows}}", "4<li>1<li>2"},
		{"{{rows}}", "<li>1<li>2"},
		{"ends {{", "ends "},
		{"{{?absent}}hidden", ""},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CLEANUP(buf_reset) struct buf out;
		buf_init(&out, 256);
		int r = template_fill(&out, span_of(cases[i].text), values, ARRAY_SIZE(values));
		if (r != 0 || !span_eq(buf_span(&out), span_of(cases[i].filled)))
			fail_msg("%s: %d %.*s", cases[i].text, r, (int)buf_len(&out),
				buf_span(&out).p);
	}
}

static void more_than_fits(void **state)
{
	CLEANUP(buf_reset) struct buf out;
	buf_init(&out, 10);
	assert_true(template_fill(&out, SPAN("0123456789{{name}}"), values, 1) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(filling),
		cmocka_unit_test(more_than_fits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
