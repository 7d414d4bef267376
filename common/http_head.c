// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The lines of a head. One idea carries their parser: a complete head ends with CR LF CR LF, which
// parse_head() checks first, and neither byte is in a class of http_parse.h or in text. So every
// inner loop stops by itself inside the head and needs no second test for its end.

#include "http_parse.h"

#include <endian.h>

enum { LEADING_EMPTY_LINES_MAX = 4 };

// Fields on which framing, routing or authorisation rests: a second one is a second opinion.
static const char *const only_once[HTTP_NAMES] = {
	[HTTP_AUTHORIZATION] = "more than one Authorization field",
	[HTTP_CONTENT_LENGTH] = "more than one Content-Length field",
	[HTTP_EXPECT] = "more than one Expect field",
	[HTTP_HOST] = "more than one Host field",
	[HTTP_TRANSFER_ENCODING] = "more than one Transfer-Encoding field",
	[HTTP_UPGRADE] = "more than one Upgrade field",
	[HTTP_X_TUNNEL_AUTHORIZATION] = "more than one X-Tunnel-Authorization field",
};

// The first byte of [P, END) that no line may contain: a control other than HTAB, or DEL. Bytes
// above 0x7f are obs-text and pass. Works on eight bytes at once: subtracting borrows into the top
// bit of a byte that was below 0x20 (or, after the xor, was DEL). A borrow can spoil later bytes,
// never earlier ones, and the first is what is wanted.
static const char *text_end(const char *p, const char *end)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);

	while (end - p >= 8) {
		uint64_t word;
		memcpy(&word, p, sizeof(word));
		word = le64toh(word);
		uint64_t del = word ^ ones * 0x7f;
		uint64_t low = (word - ones * 0x20) & ~word;
		uint64_t hit = (low | ((del - ones) & ~del)) & ones * 0x80;
		if (hit == 0) {
			p += 8;
			continue;
		}
		p += __builtin_ctzll(hit) / 8;
		if (*p != '\t')
			return p;
		p++;
	}
	while (p < end && (((unsigned char)*p >= ' ' && *p != 0x7f) || *p == '\t'))
		p++;
	return p;
}

// Bytes of empty lines ahead of a request line that are passed over (RFC 9112 section 2.2).
static size_t leading_empty_lines(const char *bytes, size_t n)
{
	size_t at = 0;

	while (at < LEADING_EMPTY_LINES_MAX * 2 && n - at >= 2 && bytes[at] == '\r' &&
		bytes[at + 1] == '\n')
		at += 2;
	return at;
}

int http_head_find(const char *bytes, size_t n, bool request, size_t *scanned, size_t *size)
{
	if (n == 0)
		return HTTP_MORE; // BYTES may be absent
	size_t start = request ? leading_empty_lines(bytes, n) : 0;
	size_t last = start + HTTP_LINE_MAX; // where the CR of the start line is at the latest
	size_t limit = MIN(n, (size_t)HTTP_HEAD_MAX);
	bool too_large = n >= HTTP_HEAD_MAX;

	// Of all calls for one head only that which gets beyond this place does it.
	if (*scanned <= last && limit > last &&
		memchr(bytes + start, '\r', HTTP_LINE_MAX + 1) == NULL) {
		limit = last + 1;
		too_large = true;
	}

	const char *p = bytes + MAX(*scanned, start);
	const char *end = bytes + limit;
	for (;; p += 2) {
		p = text_end(p, end);
		if (p == end || (*p == '\r' && p + 1 == end))
			break;
		if (p[0] != '\r' || p[1] != '\n' || p == bytes + start)
			return HTTP_BAD;
		if (p[-1] == '\n') {
			*size = (size_t)(p + 2 - bytes);
			return HTTP_OK;
		}
	}
	*scanned = (size_t)(p - bytes);
	return too_large ? HTTP_TOO_LARGE : HTTP_MORE;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static const char *why_no_colon(const char *name, const char *p)
{
	if (p == name && http_is_blank(*p))
		return "a field line that begins with white space";
	if (p == name)
		return "a field without a name";
	if (http_is_blank(*p))
		return "white space before the colon of a field";
	return *p == '\r' ? "a field line without a colon" : "a wrong character in a field name";
}

static int field_line(struct http_parser *in)
{
	struct http_head *head = in->head;
	const char *name = in->p;
	const char *p = name;
	unsigned seen_classes = 0;

	for (unsigned class; ((class = http_class(*p)) & HTTP_TCHAR) != 0; p++)
		seen_classes |= class;
	if (*p != ':' || p == name)
		return http_refuse(in, HTTP_BAD, why_no_colon(name, p));
	if (head->n_fields == HTTP_FIELDS_MAX)
		return http_refuse(in, HTTP_TOO_LARGE, "more than 100 fields");

	struct http_field *field = &head->fields[head->n_fields++];
	field->name = (struct span){name, (size_t)(p - name)};
	field->id = http_name_id(field->name);
	field->hop = (http_hop_by_hop & HTTP_BIT(field->id)) != 0 ||
		     ((seen_classes & HTTP_MARK) != 0 && http_name_is_lookalike(field->name));
	if ((in->seen & HTTP_BIT(field->id)) != 0 && only_once[field->id] != NULL)
		return http_refuse(in, HTTP_BAD, only_once[field->id]);
	in->seen |= HTTP_BIT(field->id);

	for (p++; http_is_blank(*p); p++)
		;
	const char *stop = text_end(p, in->end);
	if (stop[0] != '\r' || stop[1] != '\n')
		return http_refuse(in, HTTP_BAD, "a control character in a field");
	in->p = stop + 2;
	while (stop > p && http_is_blank(stop[-1]))
		stop--;
	field->value = (struct span){p, (size_t)(stop - p)};
	return HTTP_OK;
}

// Reads "HTTP/1.1" off the line. Another major version is for the caller to refuse when the line is
// otherwise right.
static bool read_version(struct http_parser *in, unsigned *major)
{
	const char *p = in->p;

	if (in->end - p < 8 || memcmp(p, "HTTP/", 5) != 0 || !is_digit(p[5]) || p[6] != '.' ||
		!is_digit(p[7]))
		return false;
	*major = (unsigned)(p[5] - '0');
	in->head->minor = p[7] == '0' ? 0 : 1;
	in->p = p + 8;
	return true;
}

// The end of a start line that began at LINE.
static int end_start_line(struct http_parser *in, const char *line, unsigned major)
{
	if (in->p[0] != '\r' || in->p[1] != '\n')
		return http_refuse(in, HTTP_BAD, "a start line that goes on where it should end");
	if (in->p - line > HTTP_LINE_MAX)
		return http_refuse(in, HTTP_TOO_LARGE, "a start line of more than 8 KiB");
	if (major != 1)
		return http_refuse(in, HTTP_VERSION, "an HTTP version other than 1.0 and 1.1");
	in->p += 2;
	return HTTP_OK;
}

static enum http_method method_id(struct span text)
{
	static const struct {
		struct span text;
		enum http_method id;
	} methods[] = {
		{SPAN_INIT("GET"), HTTP_GET},
		{SPAN_INIT("POST"), HTTP_POST},
		{SPAN_INIT("HEAD"), HTTP_HEAD},
		{SPAN_INIT("PUT"), HTTP_PUT},
		{SPAN_INIT("PATCH"), HTTP_PATCH},
		{SPAN_INIT("DELETE"), HTTP_DELETE},
		{SPAN_INIT("OPTIONS"), HTTP_OPTIONS},
		{SPAN_INIT("TRACE"), HTTP_TRACE},
		{SPAN_INIT("CONNECT"), HTTP_CONNECT},
	};

	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		if (span_eq(methods[i].text, text))
			return methods[i].id;
	return HTTP_METHOD_OTHER;
}

static int request_line(struct http_parser *in)
{
	struct http_head *head = in->head;
	const char *line = in->p;
	const char *p = line;

	while ((http_class(*p) & HTTP_TCHAR) != 0)
		p++;
	if (*p != ' ' || p == line)
		return http_refuse(in, HTTP_BAD, "a malformed method");
	head->method_text = (struct span){line, (size_t)(p - line)};
	head->method = method_id(head->method_text);

	const char *target = ++p;
	while ((http_class(*p) & HTTP_TARGET_CHAR) != 0)
		p++;
	if (*p == '#')
		return http_refuse(in, HTTP_BAD, "a fragment in the request target");
	if (*p != ' ' || p == target)
		return http_refuse(in, HTTP_BAD, "a wrong character in the request target");
	head->target = (struct span){target, (size_t)(p - target)};

	in->p = p + 1;
	unsigned major;
	if (!read_version(in, &major))
		return http_refuse(in, HTTP_BAD, "no HTTP version behind the request target");
	return end_start_line(in, line, major);
}

static int status_line(struct http_parser *in)
{
	struct http_head *head = in->head;
	const char *line = in->p;
	unsigned major;

	if (!read_version(in, &major))
		return http_refuse(
			in, HTTP_BAD, "a status line that does not begin with an HTTP version");
	const char *p = in->p;
	if (p[0] != ' ' || !is_digit(p[1]) || !is_digit(p[2]) || !is_digit(p[3]))
		return http_refuse(in, HTTP_BAD, "a malformed status code");
	head->status = (unsigned)((p[1] - '0') * 100 + (p[2] - '0') * 10 + (p[3] - '0'));
	if (head->status < 100 || head->status > 599)
		return http_refuse(in, HTTP_BAD, "a status code outside 100 to 599");
	p += 4;
	if (*p == ' ') {
		p++;
		in->p = text_end(p, in->end);
		head->reason = (struct span){p, (size_t)(in->p - p)};
	} else {
		in->p = p;
	}
	return end_start_line(in, line, major);
}

// Everything behind the start line, which READ_START_LINE reads, that both kinds have in common.
static int parse_head(struct http_parser *in, const char *bytes, size_t size,
	int (*read_start_line)(struct http_parser *in))
{
	// The fields are left as they are: n_fields says how many count.
	memset(in->head, 0, offsetof(struct http_head, fields));
	in->head->size = size;
	if (size > HTTP_HEAD_MAX)
		return http_refuse(in, HTTP_TOO_LARGE, "a head of more than 32 KiB");
	if (size < 4 || memcmp(bytes + size - 4, "\r\n\r\n", 4) != 0)
		return http_refuse(in, HTTP_BAD, "a head without its final empty line");

	in->p = bytes + (in->request ? leading_empty_lines(bytes, size) : 0);
	in->end = bytes + size;
	int r = in->p < in->end ? read_start_line(in)
				: http_refuse(in, HTTP_BAD, "nothing but empty lines");
	while (r == HTTP_OK && *in->p != '\r')
		r = field_line(in);
	if (r == HTTP_OK && in->p + 2 != in->end)
		r = http_refuse(in, HTTP_BAD, "a carriage return or an empty line inside the head");
	return r == HTTP_OK ? http_rules_common(in) : r;
}

int http_request_parse(struct http_head *head, const char *bytes, size_t size, const char **why)
{
	struct http_parser in = {.head = head, .request = true};
	int r = parse_head(&in, bytes, size, request_line);

	if (r == HTTP_OK)
		r = http_rules_request(&in);
	if (r != HTTP_OK && why != NULL)
		*why = in.why;
	return r;
}

int http_response_parse(
	struct http_head *head, const char *bytes, size_t size, bool to_head, const char **why)
{
	struct http_parser in = {.head = head};
	int r = parse_head(&in, bytes, size, status_line);

	if (r == HTTP_OK)
		http_rules_response(head, to_head);
	else if (why != NULL)
		*why = in.why;
	return r;
}

const struct http_field *http_head_field(const struct http_head *head, enum http_name id)
{
	for (size_t i = 0; i < head->n_fields; i++)
		if (head->fields[i].id == id)
			return &head->fields[i];
	return NULL;
}

struct span http_head_named(const struct http_head *head, struct span name)
{
	for (size_t i = 0; i < head->n_fields; i++)
		if (span_eq_nocase(head->fields[i].name, name))
			return head->fields[i].value;
	return (struct span){NULL, 0};
}

bool http_method_is_safe(enum http_method method)
{
	return method == HTTP_GET || method == HTTP_HEAD || method == HTTP_OPTIONS ||
	       method == HTTP_TRACE;
}
