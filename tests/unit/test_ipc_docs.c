// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The tables of docs/ipc.md are the table of common/messages.c. With --print this program prints
// what belongs between the marks. The source tree is found by $TUNNELD_SOURCE.

#include "buf.h"
#include "ipc.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>

#define BEGIN "<!-- tables: begin -->\n"
#define END   "<!-- tables: end -->\n"

enum { SIZE_MAX_TEXT = 256 * 1024 };

static const char *const role_names[ROLES] = {
	[ROLE_SUPERVISOR] = "supervisor",
	[ROLE_GATE] = "gate",
	[ROLE_API] = "API worker",
	[ROLE_RELAY] = "relay",
	[ROLE_RESOLVER] = "resolver",
	[ROLE_ATTESTOR] = "attestor",
	[ROLE_EDGE] = "edge",
};

enum { SUP = 1 << ROLE_SUPERVISOR, CHILDREN = ((1 << ROLES) - 1) & ~SUP };

// Messages by the roles that can be at the ends of their channel.
static const struct group {
	unsigned roles;
	const char *heading;
} groups[] = {
	{SUP | CHILDREN, "Every child to the supervisor"},
	{SUP | 1 << ROLE_GATE | 1 << ROLE_API | 1 << ROLE_RELAY,
		"Who answers requests, and the supervisor"},
	{SUP | 1 << ROLE_GATE | 1 << ROLE_EDGE, "Supervisor to gates and edges"},
	{SUP | 1 << ROLE_GATE, "Supervisor and gates"},
	{SUP | 1 << ROLE_EDGE, "Supervisor and edges"},
	{SUP | 1 << ROLE_RELAY, "Supervisor and relays"},
	{SUP | 1 << ROLE_API, "Supervisor and API worker"},
	{SUP | 1 << ROLE_RESOLVER, "Supervisor and resolver"},
	{SUP | 1 << ROLE_ATTESTOR, "Supervisor and attestor"},
	{1 << ROLE_GATE | 1 << ROLE_API | 1 << ROLE_RELAY, "Gates to API worker and relays"},
	{1 << ROLE_EDGE | 1 << ROLE_GATE, "Edges to gates"},
};

static void add(struct buf *out, const char *text)
{
	assert_int_equal(buf_add_span(out, span_of(text)), 0);
}

static void add_roles(struct buf *out, unsigned roles)
{
	const char *comma = "";

	if (roles == CHILDREN) {
		add(out, "every child");
		return;
	}
	for (unsigned i = 0; i < ROLES; i++) {
		if ((roles & 1u << i) == 0)
			continue;
		add(out, comma);
		add(out, role_names[i]);
		comma = ", ";
	}
}

static const char *const kind_names[] = {
	[WIRE_UINT] = "uint",
	[WIRE_BOOL] = "bool",
	[WIRE_STR] = "str",
	[WIRE_BIN] = "bin",
};

static void add_field(struct buf *out, const struct message_field *field)
{
	int r = buf_printf(out, "`%s` %s", field->name, kind_names[field->kind]);

	assert_int_equal(r, 0);
	if (field->kind == WIRE_STR || field->kind == WIRE_BIN) {
		r = field->min == field->max ? buf_printf(out, " of %" PRIu64, field->max)
					     : buf_printf(out, " of %" PRIu64 " to %" PRIu64,
						       field->min, field->max);
	} else if (field->kind == WIRE_UINT && field->max < INT64_MAX) {
		r = buf_printf(out, " to %" PRIu64, field->max);
	}
	assert_int_equal(r, 0);
}

static void add_row(struct buf *out, const struct message_type *type)
{
	size_t n = message_n_fields(type);

	assert_int_equal(buf_printf(out, "| %d | `%s` | ", (int)type->type, type->name), 0);
	add_roles(out, type->from);
	add(out, " | ");
	add(out, type->phases & PHASE_START ? "start" : "");
	add(out, type->phases == (PHASE_START | PHASE_RUN) ? ", " : "");
	add(out, type->phases & PHASE_RUN ? "run" : "");
	add(out, type->fd == FD_ALWAYS ? " | yes | " : " | | ");
	for (size_t i = 0; i < n; i++) {
		add(out, i > 0 ? ", " : "");
		add_field(out, &type->fields[i]);
	}
	add(out, n > 0 ? " | " : "| ");
	add(out, type->what);
	add(out, " |\n");
}

static void add_group(struct buf *out, const struct group *group)
{
	assert_int_equal(buf_printf(out,
				 "\n### %s\n\n| no. | message | from | phase | fd | fields | "
				 "meaning |\n|---|---|---|---|---|---|---|\n",
				 group->heading),
		0);
	for (unsigned number = 0; number <= UINT8_MAX; number++) {
		const struct message_type *type = message_find(number);
		if (type != NULL && (unsigned)(type->from | type->to) == group->roles)
			add_row(out, type);
	}
}

static void make(struct buf *out)
{
	buf_init(out, SIZE_MAX_TEXT);
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
		add_group(out, &groups[i]);
	add(out, "\n");
}

static size_t count_rows(struct span text)
{
	size_t n = 0;

	for (size_t i = 0; i + 3 < text.n; i++)
		n += memcmp(text.p + i, "\n| ", 3) == 0 && text.p[i + 3] >= '0' &&
		     text.p[i + 3] <= '9';
	return n;
}

static void test_page(void **state)
{
	static char text[SIZE_MAX_TEXT];
	const char *source = getenv("TUNNELD_SOURCE");
	char path[1024];
	struct buf tables;

	snprintf(path, sizeof path, "%s/docs/ipc.md", source != NULL ? source : ".");
	FILE *file = fopen(path, "re");

	assert_non_null(file);
	text[fread(text, 1, sizeof text - 1, file)] = '\0';
	fclose(file);
	char *begin = strstr(text, BEGIN), *end = strstr(text, END);
	assert_non_null(begin);
	assert_non_null(end);
	*end = '\0';

	make(&tables);
	assert_int_equal(buf_add(&tables, "", 1), 0);
	assert_string_equal(begin + strlen(BEGIN), buf_span(&tables).p);
	assert_int_equal(count_rows(buf_span(&tables)), message_n_types);
	buf_reset(&tables);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_page)};
	struct buf tables;

	if (argc != 2 || strcmp(argv[1], "--print") != 0)
		return cmocka_run_group_tests(tests, NULL, NULL);
	make(&tables);
	fwrite(buf_span(&tables).p, 1, buf_len(&tables), stdout);
	buf_reset(&tables);
	return 0;
}
