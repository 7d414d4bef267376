// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// api/openapi.json against what the program has: the routes of api/routes.c, the codes of
// common/code.c, and the bytes it serves. What the answers look like is compared by the tests of
// the running program, see tests/support/openapi.py.

#include "code.h"
#include "handlers.h"
#include "routes.h"
#include "web.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>

static json_t *document;

static int load(void **state)
{
	json_error_t error;
	struct span text = web_file(SPAN("openapi.json"))->plain;
	document = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, &error);
	if (document == NULL)
		print_error("openapi.json:%d: %s\n", error.line, error.text);
	return document != NULL ? 0 : -1;
}

static int unload(void **state)
{
	json_decref(document);
	return 0;
}

// A member of a member of ... of FROM; the path ends with NULL.
static json_t *at(json_t *from, ...)
{
	va_list ap;
	va_start(ap, from);
	for (const char *name; from != NULL && (name = va_arg(ap, const char *)) != NULL;)
		from = json_object_get(from, name);
	va_end(ap);
	return from;
}

// What a {"$ref": "#/a/b"} points to; anything else is itself.
static json_t *target_of(json_t *value)
{
	char path[256];
	const char *reference = json_string_value(json_object_get(value, "$ref"));
	if (reference == NULL)
		return value;
	assert_true(strlen(reference) > 2 && strlen(reference) < sizeof path);
	snprintf(path, sizeof path, "%s", reference + 2);
	json_t *found = document;
	char *rest = path;
	for (char *name; (name = strsep(&rest, "/")) != NULL;)
		found = json_object_get(found, name);
	if (found == NULL)
		fail_msg("%s leads nowhere", reference);
	return found;
}

static const char *method_of(const struct route *route)
{
	switch ((int)route->method) {
	case HTTP_GET: return "get";
	case HTTP_POST: return "post";
	case HTTP_DELETE: return "delete";
	case HTTP_PATCH: return "patch";
	default: fail_msg("%s: a method this test does not know", route->path); return "";
	}
}

static bool is_method(const char *member)
{
	static const char *const methods[] = {
		"get", "put", "post", "delete", "options", "head", "patch", "trace"};
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		if (strcmp(member, methods[i]) == 0)
			return true;
	return false;
}

// ---- routes

static void every_route_is_described(void **state)
{
	size_t n;
	const struct route *routes = routes_table(&n);
	for (size_t i = 0; i < n; i++) {
		json_t *operation =
			at(document, "paths", routes[i].path, method_of(&routes[i]), NULL);
		if (operation == NULL)
			fail_msg("%s %s is missing", method_of(&routes[i]), routes[i].path);
		bool is_public = json_array_size(json_object_get(operation, "security")) == 0 &&
				 json_object_get(operation, "security") != NULL;
		if (is_public != (routes[i].access == ROUTE_PUBLIC))
			fail_msg("%s %s: who may", method_of(&routes[i]), routes[i].path);
	}
}

static bool is_served(const char *path, const char *method)
{
	size_t n;
	const struct route *routes = routes_table(&n);
	for (size_t i = 0; i < n; i++)
		if (strcmp(routes[i].path, path) == 0 && strcmp(method_of(&routes[i]), method) == 0)
			return true;
	return false;
}

static void everything_described_is_a_route(void **state)
{
	const char *path, *member;
	json_t *item, *operation;
	json_object_foreach(at(document, "paths", NULL), path, item)
	{
		json_object_foreach(item, member, operation)
		{
			if (is_method(member) && !is_served(path, member))
				fail_msg("there is no %s %s", member, path);
		}
	}
}

// ---- codes

static bool names(json_t *list, const char *name)
{
	size_t i;
	json_t *entry;
	json_array_foreach(list, i, entry)
	{
		if (strcmp(json_string_value(entry), name) == 0)
			return true;
	}
	return false;
}

// 0 if NAME is no code.
static unsigned status_of(const char *name)
{
	for (enum code code = CODE_NONE + 1; code < CODES; code++)
		if (strcmp(code_info(code)->name, name) == 0)
			return code_info(code)->status;
	return 0;
}

static void the_list_of_codes_is_the_table_of_codes(void **state)
{
	json_t *list = at(document, "components", "schemas", "Code", "enum", NULL);
	for (enum code code = CODE_NONE + 1; code < CODES; code++)
		if (!names(list, code_info(code)->name))
			fail_msg("%s is missing", code_info(code)->name);
	assert_int_equal(json_array_size(list), CODES - 1);
}

static void check_code(const char *where, const char *status, const char *name)
{
	if (status_of(name) != strtoul(status, NULL, 10))
		fail_msg("%s: %s is %u, not %s", where, name, status_of(name), status);
}

// RESPONSE, one of STATUS, says in the second part of its schema which codes it may have.
static void check_response(const char *where, const char *status, json_t *response)
{
	json_t *schema =
		at(target_of(response), "content", "application/problem+json", "schema", NULL);
	if (strcmp(status, "400") < 0) {
		assert_null(schema);
		return;
	}
	json_t *code =
		at(json_array_get(json_object_get(schema, "allOf"), 1), "properties", "code", NULL);
	json_t *list = json_object_get(code, "enum"), *entry;
	const char *one = json_string_value(json_object_get(code, "const"));
	if (one == NULL && json_array_size(list) == 0)
		fail_msg("%s %s names no code", where, status);
	if (one != NULL)
		check_code(where, status, one);
	size_t i;
	json_array_foreach(list, i, entry) check_code(where, status, json_string_value(entry));
}

static void every_answer_has_the_codes_of_its_status(void **state)
{
	const char *path, *member, *status;
	json_t *item, *operation, *response;
	json_object_foreach(at(document, "paths", NULL), path, item)
	{
		json_object_foreach(item, member, operation)
		{
			json_object_foreach(
				json_object_get(operation, "responses"), status, response)
			{
				check_response(path, status, response);
			}
		}
	}
}

// ---- what is served

static void it_is_served_as_it_is_written(void **state)
{
	char path[4096];
	static char text[1 << 20];
	snprintf(path, sizeof path, "%s/api/openapi.json", getenv("TUNNELD_SOURCE"));
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	size_t n = fread(text, 1, sizeof text, file);
	fclose(file);
	struct span served = web_file(SPAN("openapi.json"))->plain;
	assert_int_equal(n, served.n);
	assert_memory_equal(text, served.p, n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_route_is_described),
		cmocka_unit_test(everything_described_is_a_route),
		cmocka_unit_test(the_list_of_codes_is_the_table_of_codes),
		cmocka_unit_test(every_answer_has_the_codes_of_its_status),
		cmocka_unit_test(it_is_served_as_it_is_written),
	};
	return cmocka_run_group_tests(tests, load, unload);
}
