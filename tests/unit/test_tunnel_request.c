// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What is asked of /_api/tunnels: what is taken, and that everything wrong is named at once.

#include "tunnel_request.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>

static const struct origins origins = {
	.url = {[ORIGIN_PATH] = "http://a", [ORIGIN_PORT] = "http://a:{port}"}};

static const struct tunnel_bounds bounds = {.origins = &origins,
	.default_timeout_s = 3600,
	.max_timeout_s = 86400,
	.max_connections = 100};

static struct tunnel_request request;
static struct buf said;

static int setup(void **state)
{
	buf_init(&said, FINDINGS_SAID_MAX);
	return 0;
}

static int teardown(void **state)
{
	buf_reset(&said);
	return 0;
}

static int parse_span(struct span body)
{
	buf_reset(&said);
	return tunnel_request_parse(&request, body, &bounds, &said);
}

static int parse(const char *body)
{
	return parse_span(span_of(body));
}

static void take(const char *body)
{
	int r = parse(body);
	if (r != FINDINGS_NONE)
		print_error("%s: %.*s\n", body, (int)buf_len(&said), buf_span(&said).p);
	assert_int_equal(r, FINDINGS_NONE);
	assert_int_equal(buf_len(&said), 0);
}

// BODY is refused with exactly these pointers, separated by spaces, in this order. Every error has
// a sentence.
static void refuse_span(struct span body, const char *pointers)
{
	char found[8192] = "";
	size_t n = 0, i;
	json_t *error;
	assert_int_equal(parse_span(body), FINDINGS_INVALID);
	json_t *errors = json_loadb(buf_span(&said).p, buf_len(&said), 0, NULL);
	assert_true(json_is_array(errors));
	json_array_foreach(errors, i, error)
	{
		const char *pointer = json_string_value(json_object_get(error, "pointer"));
		const char *detail = json_string_value(json_object_get(error, "detail"));
		assert_non_null(pointer);
		assert_true(detail != NULL && strlen(detail) > 10);
		assert_int_equal(detail[strlen(detail) - 1], '.');
		assert_int_equal(json_object_size(error), 2);
		n += (size_t)snprintf(
			found + n, sizeof found - n, "%s%s", i > 0 ? " " : "", pointer);
	}
	json_decref(errors);
	if (strcmp(found, pointers) != 0)
		print_error("%.*s\n", (int)body.n, body.p);
	assert_string_equal(found, pointers);
}

static void refuse(const char *body, const char *pointers)
{
	refuse_span(span_of(body), pointers);
}

// One member besides a good backend is refused.
static void refuse_member(const char *name, const char *value)
{
	char body[1024], pointer[64];
	snprintf(body, sizeof body, "{\"backend\":\"http://h\",\"%s\":%s}", name, value);
	snprintf(pointer, sizeof pointer, "/%s", name);
	refuse(body, pointer);
}

static void not_json_span(struct span body, const char *part)
{
	assert_int_equal(parse_span(body), FINDINGS_NOT_JSON);
	char sentence[256];
	snprintf(sentence, sizeof sentence, "%.*s", (int)buf_len(&said), buf_span(&said).p);
	if (strstr(sentence, part) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", part, sentence);
}

static void not_json(const char *body, const char *part)
{
	not_json_span(span_of(body), part);
}

// ---- what is taken

static void only_a_backend(void **state)
{
	take("{\"backend\":\"http://h\"}");
	assert_string_equal(request.backend, "http://h:80");
	assert_int_equal(request.timeout_s, 3600);
	assert_int_equal(request.auth, AUTH_BEARER);
	assert_int_equal(request.prefix, PREFIX_STRIP);
	assert_string_equal(request.name, "");
	assert_int_equal(request.max_connections, 100);
	assert_int_equal(request.max_requests, 0);
	assert_int_equal(request.max_bytes, 0);
	assert_int_equal(request.request_rate, 0);
}

static void everything(void **state)
{
	take(" { \"limits\" : { \"bytes\":9007199254740991, \"requests\":1, \"connections\":100,"
	     "\"request_rate\":1000000}, \"origin\":\"path\", \"prefix\":\"keep\", \"name\":"
	     "\"caf\\u00e9 \xe2\x98\x95\", \"auth\":\"none\", \"timeout\":86400, "
	     "\"backend\":\"WS://[::1]:3000/\" }\n");
	assert_string_equal(request.backend, "http://[::1]:3000");
	assert_int_equal(request.timeout_s, 86400);
	assert_int_equal(request.auth, AUTH_NONE);
	assert_int_equal(request.prefix, PREFIX_KEEP);
	assert_string_equal(request.name, "caf\xc3\xa9 \xe2\x98\x95");
	assert_int_equal(request.max_connections, 100);
	assert_int_equal(request.max_requests, 1);
	assert_int_equal(request.max_bytes, 9007199254740991);
	assert_int_equal(request.request_rate, 1000000);
}

static void numbers_that_are_whole(void **state)
{
	take("{\"backend\":\"tcp://h:1\",\"timeout\":60.0}");
	assert_int_equal(request.timeout_s, 60);
	take("{\"backend\":\"tcp://h:1\",\"timeout\":6e1}");
	assert_int_equal(request.timeout_s, 60);
	take("{\"backend\":\"tcp://h:1\",\"timeout\":1,\"limits\":{}}");
	assert_int_equal(request.timeout_s, 1);
}

static void a_name_of_128_bytes(void **state)
{
	char body[512];
	int n = snprintf(body, sizeof body, "{\"backend\":\"http://h\",\"name\":\"%0128d\"}", 0);
	take(body);
	assert_int_equal(strlen(request.name), 128);
	memcpy(body + n - 2, "0\"}", 4);
	refuse(body, "/name");
}

// ---- what is not JSON

static void not_json_at_all(void **state)
{
	not_json("", "empty");
	not_json_span((struct span){NULL, 0}, "empty");
	not_json("{", "line 1");
	not_json("{\n\n x}", "line 3");
	not_json("{\"a\":1,}", "column");
	not_json("{} {}", "valid JSON");
	not_json("{\"backend\":\"\xff\"}", "valid JSON");
	not_json("{\"backend\":\"a\tb\"}", "valid JSON");
	not_json("{'backend':'http://h'}", "valid JSON");
	not_json("{\"backend\":NaN}", "valid JSON");
	not_json("{\"a\":1e999}", "number");
	not_json("{\"a\\u0000b\":1}", "valid JSON");
	not_json_span(SPAN("{}\0"), "valid JSON");
	char deep[60000];
	memset(deep, '[', sizeof deep);
	not_json_span((struct span){deep, sizeof deep}, "valid JSON");
}

static void members_named_twice(void **state)
{
	not_json("{\"backend\":\"http://h\",\"backend\":\"http://i\"}", "twice");
	not_json("{\"backend\":\"http://h\",\"limits\":{\"bytes\":1,\"byt\\u0065s\":2}}", "twice");
}

// ---- what is wrong

static void without_a_backend_it_is_a_pull_tunnel(void **state)
{
	take("{}");
	assert_string_equal(request.backend, "");
	take("{\"timeout\":5}");
	assert_string_equal(request.backend, "");
	refuse("{\"backend\":null}", "/backend");
	refuse("{\"backend\":\"\"}", "/backend");
}

static void no_object(void **state)
{
	refuse("[]", "");
	refuse("1", "");
	refuse("\"x\"", "");
	refuse("null", "");
	refuse("[{\"backend\":\"http://h\"}]", "");
}

static void values_of_each_member(void **state)
{
	static const struct {
		const char *member, *values[16];
	} wrong[] = {
		{"timeout", {"0", "-1", "86401", "1.5", "\"60\"", "true", "null", "[]", "{}",
				    "9223372036854775808", "1e300", "-0"}},
		{"auth", {"\"\"", "\"BEARER\"", "\"magic\"", "1", "null", "[\"none\"]",
				 "\"none\\u0000\""}},
		{"prefix", {"\"\"", "\"drop\"", "true", "null"}},
		{"origin", {"\"wildcard\"", "\"Path\"", "\"\"", "1", "null"}},
		{"name", {"1", "null", "[]", "\"a\\nb\"", "\"\\u0000\"", "\"\\u007f\"",
				 "\"\\u0085\"", "\"\xc2\x9f\""}},
		{"limits", {"1", "null", "[]", "\"x\""}},
		{"nope", {"1"}},
		{"Backend", {"1"}},
		{"", {"1"}},
	};
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		for (size_t j = 0; wrong[i].values[j] != NULL; j++)
			refuse_member(wrong[i].member, wrong[i].values[j]);
}

static void backends(void **state)
{
	static const char *const wrong[] = {"\"\"", "\"h\"", "\"unix:/x\"", "\"ftp://h\"",
		"\"http://u@h\"", "\"http://h/p\"", "\"http://h\\u0000\"", "\"tcp://h\"", "null",
		"7", "[\"http://h\"]", "{}"};
	char body[128];
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		snprintf(body, sizeof body, "{\"backend\":%s}", wrong[i]);
		refuse(body, "/backend");
	}
}

static void limits(void **state)
{
	refuse("{\"backend\":\"http://h\",\"limits\":{\"connections\":101,\"requests\":0,"
	       "\"bytes\":9007199254740992,\"request_rate\":1000001,\"speed\":1,\"\":2}}",
		"/limits/connections /limits/requests /limits/bytes /limits/request_rate "
		"/limits/speed /limits/");
	refuse("{\"backend\":\"http://h\",\"limits\":{\"bytes\":\"many\",\"requests\":null,"
	       "\"connections\":true,\"request_rate\":0.5}}",
		"/limits/bytes /limits/requests /limits/connections /limits/request_rate");
}

static void no_tunnel_outlives_its_token(void **state)
{
	const struct tunnel_bounds ending = {.origins = &origins,
		.default_timeout_s = 3600,
		.max_timeout_s = 86400,
		.token_left_s = 90};
	buf_reset(&said);
	assert_int_equal(
		tunnel_request_parse(&request, SPAN("{\"backend\":\"http://h\"}"), &ending, &said),
		FINDINGS_NONE);
	assert_int_equal(request.timeout_s, 90);
	struct span body = SPAN("{\"backend\":\"http://h\",\"timeout\":90}");
	assert_int_equal(tunnel_request_parse(&request, body, &ending, &said), FINDINGS_NONE);
	body = SPAN("{\"backend\":\"http://h\",\"timeout\":91}");
	assert_int_equal(tunnel_request_parse(&request, body, &ending, &said), FINDINGS_INVALID);
	assert_string_equal(request.summary,
		"/timeout: must be at most 90: the token ends then, and its tunnels with it.");
}

static void the_servers_own_limits_are_the_most(void **state)
{
	const struct tunnel_bounds narrow = {.origins = &origins,
		.default_timeout_s = 60,
		.max_timeout_s = 60,
		.request_rate = 5};
	buf_reset(&said);
	struct span body = SPAN("{\"backend\":\"http://h\",\"limits\":{\"request_rate\":6}}");
	assert_int_equal(tunnel_request_parse(&request, body, &narrow, &said), 2);
	buf_reset(&said);
	body = SPAN("{\"backend\":\"http://h\",\"limits\":{\"connections\":99999}}");
	assert_int_equal(tunnel_request_parse(&request, body, &narrow, &said), 0);
	assert_int_equal(request.max_connections, 99999);
	assert_int_equal(request.request_rate, 5);
	assert_int_equal(request.timeout_s, 60);
}

static void all_at_once_in_order(void **state)
{
	refuse("{\"nope\":1,\"timeout\":0,\"auth\":\"x\",\"limits\":{\"z\":1},\"name\":3}",
		"/nope /timeout /auth /limits/z /name");
}

static void the_first_mistake_is_the_summary(void **state)
{
	refuse("{\"backend\":\"http://h:0\"}", "/backend");
	assert_string_equal(request.summary,
		"/backend: a port is a number from 1 to 65535 without leading zeros.");
	assert_non_null(memmem(buf_span(&said).p, buf_len(&said), "\"A port is", 10));
	refuse("{\"timeout\":0,\"backend\":1,\"x\":1}", "/timeout /backend /x");
	assert_string_equal(
		request.summary, "/timeout: must be a whole number from 1 to 86400. (and 2 more)");
	refuse("[]", "");
	assert_string_equal(request.summary, "The document must be an object.");
}

// TEXT is refused with ERRORS, or taken when that is NULL.
static struct tunnel_query query_of(const char *text, const char *errors)
{
	struct tunnel_query query;
	buf_reset(&said);
	int r = tunnel_query_parse(&query, span_of(text), &said);
	assert_int_equal(r, errors != NULL ? FINDINGS_INVALID : FINDINGS_NONE);
	assert_int_equal(buf_add(&said, "", 1), 0);
	assert_string_equal(buf_span(&said).p, errors != NULL ? errors : "");
	return query;
}

static void queries(void **state)
{
	struct tunnel_query query = query_of("", NULL);
	assert_int_equal(query.state, TUNNEL_ACTIVE);
	assert_int_equal(query.limit, 1000);
	assert_true(query.before == INT64_MAX);
	query = query_of("&cursor=9223372036854775807&&limit=1&state=all", NULL);
	assert_int_equal(query.state, 0);
	assert_int_equal(query.limit, 1);
	query = query_of("limit=1001&cursor=0",
		"[{\"parameter\":\"limit\",\"detail\":\"limit must be a whole number from 1 to "
		"1000.\"},"
		"{\"parameter\":\"cursor\",\"detail\":\"cursor must be one that a list has "
		"named.\"}]");
	assert_string_equal(
		query.summary, "limit must be a whole number from 1 to 1000. (and 1 more)");
	char text[4096];
	memset(text, 'a', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	for (size_t i = 200; i + 1 < sizeof text; i += 2)
		text[i] = '&';
	buf_reset(&said);
	assert_int_equal(tunnel_query_parse(&query, span_of(text), &said), FINDINGS_INVALID);
	json_t *errors = json_loadb(buf_span(&said).p, buf_len(&said), 0, NULL);
	assert_int_equal(json_array_size(errors), FINDINGS_MAX);
	json_decref(errors);
}

static void pointers_are_escaped(void **state)
{
	refuse("{\"backend\":\"http://h\",\"a/b~c\":1,\"~1\":2,\"\\\"\":3,\"\\u0001\":4}",
		"/a~1b~0c /~01 /\" /\x01");
}

static void names_and_errors_are_bounded(void **state)
{
	char body[40000];
	size_t n = (size_t)snprintf(body, sizeof body, "{\"backend\":\"http://h\"");
	n += (size_t)snprintf(body + n, sizeof body - n, ",\"%0128d\":1,\"%0129d\":1}", 0, 1);
	char pointers[256];
	snprintf(pointers, sizeof pointers, "/%0128d ", 0); // the longer one is "": the document
	refuse_span((struct span){body, n}, pointers);

	// The longest answer there can be: control characters are six bytes each in JSON.
	n = (size_t)snprintf(body, sizeof body, "{\"backend\":\"http://h\"");
	for (int i = 0; i < 40; i++) {
		body[n++] = ',';
		body[n++] = '"';
		for (int j = 0; j < 126; j++)
			n += (size_t)snprintf(body + n, sizeof body - n, "\\u0001");
		n += (size_t)snprintf(body + n, sizeof body - n, "%02d\":1", i);
	}
	body[n++] = '}';
	assert_int_equal(parse_span((struct span){body, n}), FINDINGS_INVALID);
	json_t *errors = json_loadb(buf_span(&said).p, buf_len(&said), 0, NULL);
	assert_int_equal(json_array_size(errors), FINDINGS_MAX);
	json_decref(errors);
}

// ---- changes

static int parse_change(const char *body)
{
	buf_reset(&said);
	return tunnel_change_parse(&request, span_of(body), &bounds, &said);
}

static void changes(void **state)
{
	static const struct {
		const char *body, *pointer;
	} wrong[] = {
		{"{}", "\"/timeout\""},
		{"[]", "\"\""},
		{"{\"timeout\":0}", "\"/timeout\""},
		{"{\"timeout\":86401}", "\"/timeout\""},
		{"{\"timeout\":\"60\"}", "\"/timeout\""},
		{"{\"timeout\":1.5}", "\"/timeout\""},
		{"{\"timeout\":null}", "\"/timeout\""},
		{"{\"timeout\":60,\"backend\":\"http://h\"}", "\"/backend\""},
		{"{\"timeout\":60,\"limits\":{}}", "\"/limits\""},
		{"{\"state\":\"active\",\"timeout\":1}", "\"/state\""},
	};
	assert_int_equal(parse_change("{\"timeout\":86400}"), FINDINGS_NONE);
	assert_int_equal(request.timeout_s, 86400);
	assert_int_equal(parse_change("{\"timeout\":1}"), FINDINGS_NONE);
	assert_int_equal(request.timeout_s, 1);
	assert_int_equal(parse_change(""), FINDINGS_NOT_JSON);
	assert_int_equal(parse_change("{\"timeout\":1,\"timeout\":2}"), FINDINGS_NOT_JSON);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		assert_int_equal(parse_change(wrong[i].body), FINDINGS_INVALID);
		assert_int_equal(buf_add(&said, "", 1), 0);
		if (strstr(buf_span(&said).p, wrong[i].pointer) == NULL)
			fail_msg("%s: %s", wrong[i].body, buf_span(&said).p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_a_backend),
		cmocka_unit_test(everything),
		cmocka_unit_test(numbers_that_are_whole),
		cmocka_unit_test(a_name_of_128_bytes),
		cmocka_unit_test(not_json_at_all),
		cmocka_unit_test(members_named_twice),
		cmocka_unit_test(without_a_backend_it_is_a_pull_tunnel),
		cmocka_unit_test(no_object),
		cmocka_unit_test(values_of_each_member),
		cmocka_unit_test(backends),
		cmocka_unit_test(limits),
		cmocka_unit_test(no_tunnel_outlives_its_token),
		cmocka_unit_test(the_servers_own_limits_are_the_most),
		cmocka_unit_test(all_at_once_in_order),
		cmocka_unit_test(the_first_mistake_is_the_summary),
		cmocka_unit_test(queries),
		cmocka_unit_test(changes),
		cmocka_unit_test(pointers_are_escaped),
		cmocka_unit_test(names_and_errors_are_bounded),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
