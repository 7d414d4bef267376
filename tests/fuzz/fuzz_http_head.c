// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The input is what a peer sends, taken both as a request and as a response. Checked are not only
// crashes: where the head ends does not depend on how its bytes arrive, what is parsed points into
// the input, and a head written anew from its parts means the same as before.

#include "check.h"
#include "http_head.h"

static char rebuilt[HTTP_HEAD_MAX * 2];

static bool inside(struct span s, const char *bytes, size_t n)
{
	return s.p == NULL ? s.n == 0 : s.p >= bytes && s.n <= n && s.p - bytes <= (long)(n - s.n);
}

static bool is_line_text(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (((unsigned char)s.p[i] < ' ' && s.p[i] != '\t') || s.p[i] == 0x7f)
			return false;
	return true;
}

static bool is_name(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] >= 0x7f ||
			strchr("\"(),/:;<=>?@[\\]{}", s.p[i]) != NULL)
			return false;
	return s.n > 0;
}

// In pieces of the sizes that SEED makes up; 0 stands for single bytes.
static int find_in_pieces(const char *bytes, size_t n, bool request, uint32_t seed, size_t *size)
{
	size_t scanned = 0;
	size_t have = 0;
	int r = HTTP_MORE;

	while (r == HTTP_MORE && have < n) {
		uint32_t step = 1;
		if (seed != 0) {
			seed = seed * 1664525 + 1013904223;
			step = (seed >> 16) % 97 + 1;
		}
		have = MIN(have + step, n);
		r = http_head_find(bytes, have, request, &scanned, size);
		CHECK(r != HTTP_MORE || (scanned <= have && have - scanned <= 1));
	}
	return r;
}

static int find(const char *bytes, size_t n, bool request, size_t *size)
{
	size_t scanned = 0;
	int r = http_head_find(bytes, n, request, &scanned, size);

	for (uint32_t seed = 0; seed < 3; seed++) {
		size_t in_pieces = 0;
		CHECK(find_in_pieces(bytes, n, request, seed * (uint32_t)(n + 1), &in_pieces) == r);
		CHECK(r != HTTP_OK || in_pieces == *size);
	}
	if (r == HTTP_OK) {
		CHECK(*size >= 4 && *size <= n && *size <= HTTP_HEAD_MAX);
		CHECK(memcmp(bytes + *size - 4, "\r\n\r\n", 4) == 0);
		CHECK(memchr(bytes, '\0', *size) == NULL);
	}
	CHECK(r != HTTP_MORE || n < HTTP_HEAD_MAX);
	return r;
}

static size_t count(const struct http_head *head, enum http_name id)
{
	size_t found = 0;

	for (size_t i = 0; i < head->n_fields; i++)
		found += head->fields[i].id == id;
	return found;
}

static void check_fields(const struct http_head *head, const char *bytes, size_t n)
{
	CHECK(head->size == n && head->minor <= 1 && head->n_fields <= HTTP_FIELDS_MAX);
	for (size_t i = 0; i < head->n_fields; i++) {
		const struct http_field *field = &head->fields[i];
		CHECK(inside(field->name, bytes, n) && inside(field->value, bytes, n));
		CHECK(is_name(field->name) && is_line_text(field->value) && field->id < HTTP_NAMES);
		if (field->value.n > 0) {
			char first = field->value.p[0];
			char last = field->value.p[field->value.n - 1];
			CHECK(first != ' ' && first != '\t' && last != ' ' && last != '\t');
		}
		CHECK(http_head_field(head, field->id) != NULL);
		if (field->id == HTTP_CONNECTION && http_list_has(field->value, SPAN("close")))
			CHECK(!head->keep_alive);
		CHECK(field->hop || field->id != HTTP_TRANSFER_ENCODING);
		CHECK(!field->hop || (field->id != HTTP_HOST && field->id != HTTP_CONTENT_LENGTH));
	}
	size_t lengths = count(head, HTTP_CONTENT_LENGTH);
	size_t codings = count(head, HTTP_TRANSFER_ENCODING);
	CHECK(lengths + codings <= 1 && (codings == 0 || head->minor == 1));
	CHECK(head->body != HTTP_BODY_LENGTH || lengths == 1);
	CHECK(head->body != HTTP_BODY_CHUNKED || codings == 1);
	CHECK(head->body == HTTP_BODY_LENGTH || head->length == 0);
	CHECK(head->length <= INT64_MAX);
	CHECK(!head->upgrade || (head->minor == 1 && count(head, HTTP_UPGRADE) == 1));
	CHECK(inside(head->upgrade_protocols, bytes, n));
}

static size_t put(size_t at, struct span s)
{
	if (s.n > 0)
		memcpy(rebuilt + at, s.p, s.n);
	return at + s.n;
}

static size_t put_fields(size_t at, const struct http_head *head)
{
	for (size_t i = 0; i < head->n_fields; i++) {
		at = put(at, head->fields[i].name);
		at = put(at, SPAN(":"));
		at = put(at, head->fields[i].value);
		at = put(at, SPAN("\r\n"));
	}
	return put(at, SPAN("\r\n"));
}

static void check_same(const struct http_head *a, const struct http_head *b)
{
	CHECK(a->minor == b->minor && a->body == b->body && a->length == b->length);
	CHECK(a->keep_alive == b->keep_alive && a->upgrade == b->upgrade);
	CHECK(a->n_fields == b->n_fields);
	for (size_t i = 0; i < a->n_fields; i++) {
		CHECK(span_eq(a->fields[i].name, b->fields[i].name));
		CHECK(span_eq(a->fields[i].value, b->fields[i].value));
		CHECK(a->fields[i].id == b->fields[i].id && a->fields[i].hop == b->fields[i].hop);
	}
}

static void check_request(const struct http_head *head, const char *bytes, size_t n)
{
	static struct http_head again;

	check_fields(head, bytes, n);
	CHECK(inside(head->target, bytes, n) && inside(head->path, bytes, n));
	CHECK(inside(head->authority, bytes, n) && is_name(head->method_text));
	CHECK(head->method == HTTP_CONNECT || head->path.n > 0);
	CHECK(head->method == HTTP_CONNECT || head->path.p[0] == '/' ||
		(head->method == HTTP_OPTIONS && span_eq(head->path, SPAN("*"))));
	CHECK(count(head, HTTP_HOST) == 1 || (count(head, HTTP_HOST) == 0 && head->minor == 0));
	CHECK(head->authority.n > 0 || head->minor == 0);
	CHECK(head->body != HTTP_BODY_CLOSE);
	if (count(head, HTTP_HOST) == 1)
		CHECK(span_eq_nocase(http_head_field(head, HTTP_HOST)->value, head->authority));

	size_t size = put(0, head->method_text);
	size = put(size, SPAN(" "));
	size = put(size, head->target);
	size = put(size, head->minor == 1 ? SPAN(" HTTP/1.1\r\n") : SPAN(" HTTP/1.0\r\n"));
	size = put_fields(size, head);
	CHECK(http_request_parse(&again, rebuilt, size, NULL) == HTTP_OK);
	CHECK(again.method == head->method && span_eq(again.path, head->path));
	CHECK(span_eq(again.authority, head->authority));
	CHECK(again.expect_continue == head->expect_continue);
	check_same(head, &again);
}

static void check_response(const struct http_head *head, const char *bytes, size_t n, bool to_head)
{
	static struct http_head again;
	char line[32];

	check_fields(head, bytes, n);
	CHECK(inside(head->reason, bytes, n) && is_line_text(head->reason));
	CHECK(head->status >= 100 && head->status <= 599);
	bool empty = to_head || head->status < 200 || head->status == 204 || head->status == 304;
	CHECK(empty == (head->body == HTTP_BODY_NONE));
	CHECK(head->body != HTTP_BODY_CLOSE || !head->keep_alive);

	snprintf(line, sizeof(line), "HTTP/1.%u %u ", head->minor, head->status);
	size_t size = put(0, span_of(line));
	size = put(size, head->reason);
	size = put(size, SPAN("\r\n"));
	size = put_fields(size, head);
	// One space longer than an input without a reason, it may break a limit.
	if (size > HTTP_HEAD_MAX || head->reason.n > HTTP_LINE_MAX - 16)
		return;
	CHECK(http_response_parse(&again, rebuilt, size, to_head, NULL) == HTTP_OK);
	CHECK(again.status == head->status && span_eq(again.reason, head->reason));
	check_same(head, &again);
}

static int parse(const char *bytes, size_t n, bool request, bool to_head)
{
	static struct http_head head;
	const char *why = NULL;

	int r = request ? http_request_parse(&head, bytes, n, &why)
			: http_response_parse(&head, bytes, n, to_head, &why);
	CHECK(r == HTTP_OK || r == HTTP_BAD || r == HTTP_TOO_LARGE || r == HTTP_VERSION);
	CHECK((r == HTTP_OK) == (why == NULL));
	if (r == HTTP_OK && request)
		check_request(&head, bytes, n);
	else if (r == HTTP_OK)
		check_response(&head, bytes, n, to_head);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const char *bytes = (const char *)data;

	for (int kind = 0; kind < 3; kind++) {
		bool request = kind == 0;
		bool to_head = kind == 2;
		size_t size = 0;
		int r = find(bytes, n, request, &size);
		if (r == HTTP_OK)
			parse(bytes, size, request, to_head);
		// The parser alone takes nothing that does not end where it was told to.
		if (parse(bytes, n, request, to_head) == HTTP_OK)
			CHECK(r == HTTP_OK && size == n);
	}
	return 0;
}
