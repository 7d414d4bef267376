// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What the fields of a head mean together: connection, framing, target, expectation. Where the RFCs
// leave a choice to the reader, another reader may have chosen otherwise: that is refused.

#include "http_parse.h"

#include "url.h"

enum { CONNECTION_NAMES_MAX = 32 }; // names in Connection fields that are not known ones

// The field with this id, the first if there are more, or NULL.
static const struct http_field *seen_field(const struct http_parser *in, enum http_name id)
{
	return (in->seen & HTTP_BIT(id)) != 0 ? http_head_field(in->head, id) : NULL;
}

// What the Connection fields of a head say.
struct connection {
	bool close;
	bool keep_alive;
	bool upgrade;
	unsigned names; // of fields that are not known ones
};

// A sender may name only fields meant for us alone (RFC 9110 section 7.6.1). Naming another one
// would make us remove what the next reader needs, or what somebody between the sender and us has
// added.
static int connection_option(struct http_parser *in, struct connection *said, struct span option)
{
	enum http_name id = http_name_id(option);

	if (id == HTTP_OTHER && span_eq_nocase(option, SPAN("close"))) {
		said->close = true;
	} else if (id == HTTP_OTHER) {
		if (++said->names > CONNECTION_NAMES_MAX)
			return http_refuse(in, HTTP_TOO_LARGE, "too many names in Connection");
		for (size_t i = 0; i < in->head->n_fields; i++)
			if (span_eq_nocase(in->head->fields[i].name, option))
				in->head->fields[i].hop = true;
	} else if ((http_hop_by_hop & HTTP_BIT(id)) == 0) {
		return http_refuse(
			in, HTTP_BAD, "a Connection field that names a field for the other end");
	} else if (id == HTTP_TRANSFER_ENCODING && in->request) {
		// Servers do this (it is hop-by-hop after all), clients have no reason to.
		return http_refuse(in, HTTP_BAD, "a Connection field that names Transfer-Encoding");
	}
	said->keep_alive |= id == HTTP_KEEP_ALIVE;
	said->upgrade |= id == HTTP_UPGRADE;
	return HTTP_OK;
}

static int connection_list(struct http_parser *in, struct connection *said, struct span list)
{
	struct span option;

	while (http_list_next(&list, &option)) {
		if (!http_is_token(option))
			return http_refuse(in, HTTP_BAD, "a malformed Connection field");
		int r = connection_option(in, said, option);
		if (r != HTTP_OK)
			return r;
	}
	return HTTP_OK;
}

static bool is_protocol(struct span text)
{
	const char *slash = memchr(text.p, '/', text.n);

	if (slash == NULL)
		return http_is_token(text);
	size_t name = (size_t)(slash - text.p);
	return http_is_token((struct span){text.p, name}) &&
	       http_is_token((struct span){slash + 1, text.n - name - 1});
}

static int upgrade_field(struct http_parser *in)
{
	const struct http_field *field = seen_field(in, HTTP_UPGRADE);
	struct span protocol;

	if (field == NULL)
		return HTTP_OK;
	struct span list = field->value;
	while (http_list_next(&list, &protocol)) {
		if (!is_protocol(protocol))
			return http_refuse(in, HTTP_BAD, "a malformed Upgrade field");
		in->head->upgrade = true;
		in->head->upgrade_protocols = field->value;
	}
	return HTTP_OK;
}

// HTTP/1.0 knows no Upgrade (RFC 9110 section 7.8) and keeps a connection only on request (RFC 9112
// section 9.3).
static int connection_fields(struct http_parser *in)
{
	struct http_head *head = in->head;
	struct connection said = {0};
	int r = HTTP_OK;

	if ((in->seen & HTTP_BIT(HTTP_CONNECTION)) != 0)
		for (size_t i = 0; i < head->n_fields && r == HTTP_OK; i++)
			if (head->fields[i].id == HTTP_CONNECTION)
				r = connection_list(in, &said, head->fields[i].value);
	head->keep_alive = !said.close && (head->minor == 1 || said.keep_alive);
	if (r == HTTP_OK && said.upgrade && head->minor == 1)
		r = upgrade_field(in);
	return r;
}

// Digits alone (RFC 9110 section 8.6). A leading zero in a request is refused as well: somebody
// behind us may read it as octal. In answers zero-padded lengths occur, and whoever reads them
// counts in ten.
static int content_length(struct http_parser *in, struct span digits)
{
	uint64_t length = 0;

	for (size_t i = 0; i < digits.n; i++) {
		unsigned digit = (unsigned char)digits.p[i] - (unsigned)'0';
		if (digit > 9)
			return http_refuse(in, HTTP_BAD, "a Content-Length that is not a number");
		if (length > ((uint64_t)INT64_MAX - digit) / 10)
			return http_refuse(in, HTTP_BAD, "a Content-Length that is too large");
		length = length * 10 + digit;
	}
	if (digits.n == 0 || (in->request && digits.n > 1 && digits.p[0] == '0'))
		return http_refuse(in, HTTP_BAD, "a Content-Length that is not a number");
	in->head->body = HTTP_BODY_LENGTH;
	in->head->length = length;
	return HTTP_OK;
}

// A HTAB behind a value is white space and not part of it (RFC 9110 section 5.5), but llhttp reads
// "chunked" HTAB as another coding.
static bool is_followed_by_tab(struct span value)
{
	const char *p = value.p + value.n;

	while (*p == ' ')
		p++;
	return *p == '\t';
}

// RFC 9112 section 6, with only one way to read it.
static int framing(struct http_parser *in)
{
	const struct http_field *length = seen_field(in, HTTP_CONTENT_LENGTH);
	const struct http_field *coding = seen_field(in, HTTP_TRANSFER_ENCODING);

	if ((length != NULL && is_followed_by_tab(length->value)) ||
		(coding != NULL && is_followed_by_tab(coding->value)))
		return http_refuse(
			in, HTTP_BAD, "a tab behind Content-Length or Transfer-Encoding");
	if (coding == NULL)
		return length != NULL ? content_length(in, length->value) : HTTP_OK;
	if (length != NULL)
		return http_refuse(in, HTTP_BAD, "both Content-Length and Transfer-Encoding");
	if (in->head->minor == 0)
		return http_refuse(in, HTTP_BAD, "Transfer-Encoding in HTTP/1.0");
	if (!span_eq_nocase(coding->value, SPAN("chunked")))
		return http_refuse(in, HTTP_BAD, "a transfer coding other than chunked");
	in->head->body = HTTP_BODY_CHUNKED;
	return HTTP_OK;
}

int http_rules_common(struct http_parser *in)
{
	int r = connection_fields(in);

	return r == HTTP_OK ? framing(in) : r;
}

// Splits "http://authority/path?query". An empty path is the last '/' before the authority, so that
// it is a span of the head like any other; behind it a query has no such place and is refused.
static int absolute_target(struct http_parser *in, struct span *authority)
{
	struct http_head *head = in->head;
	struct span rest = head->target;
	size_t scheme = 0;

	if (rest.n > 7 && span_eq_nocase((struct span){rest.p, 7}, SPAN("http://")))
		scheme = 7;
	else if (rest.n > 8 && span_eq_nocase((struct span){rest.p, 8}, SPAN("https://")))
		scheme = 8;
	else
		return http_refuse(
			in, HTTP_BAD, "a request target that is neither a path nor an http URL");
	const char *host = rest.p + scheme;
	const char *end = rest.p + rest.n;
	const char *p = host;
	while (p < end && *p != '/' && *p != '?')
		p++;
	if (p < end && *p == '?')
		return http_refuse(in, HTTP_BAD, "a request target with a query and no path");
	*authority = (struct span){host, (size_t)(p - host)};
	head->path = p < end ? (struct span){p, (size_t)(end - p)} : (struct span){host - 1, 1};
	return HTTP_OK;
}

static int host_field(struct http_parser *in)
{
	const struct http_field *host = seen_field(in, HTTP_HOST);

	if (host == NULL)
		return in->head->minor == 0 ? HTTP_OK : http_refuse(in, HTTP_BAD, "no Host field");
	if (!url_authority_ok(host->value))
		return http_refuse(in, HTTP_BAD, "a Host that is not host or host:port");
	in->head->authority = host->value;
	return HTTP_OK;
}

// AUTHORITY is a valid one.
static bool has_port(struct span authority)
{
	return authority.p[authority.n - 1] != ']' && memchr(authority.p, ':', authority.n) != NULL;
}

// RFC 9112 section 3.2: the four forms of a target. Two of them say for themselves what Host says.
static int request_target(struct http_parser *in)
{
	struct http_head *head = in->head;
	struct span authority = head->target;

	if (head->method != HTTP_CONNECT) {
		if (head->target.p[0] == '/' ||
			(head->method == HTTP_OPTIONS && span_eq(head->target, SPAN("*")))) {
			head->path = head->target;
			return HTTP_OK;
		}
		int r = absolute_target(in, &authority);
		if (r != HTTP_OK)
			return r;
	}
	if (!url_authority_ok(authority))
		return http_refuse(in, HTTP_BAD, "a request target without a valid host");
	if (head->method == HTTP_CONNECT && !has_port(authority))
		return http_refuse(in, HTTP_BAD, "a CONNECT target without a port");
	if (head->authority.n > 0 && !span_eq_nocase(authority, head->authority))
		return http_refuse(
			in, HTTP_BAD, "a request target for another host than Host says");
	head->authority = authority;
	return HTTP_OK;
}

static int expectation(struct http_parser *in)
{
	const struct http_field *expect = seen_field(in, HTTP_EXPECT);

	if (expect == NULL)
		return HTTP_OK;
	if (!span_eq_nocase(expect->value, SPAN("100-continue")))
		return http_refuse(in, HTTP_BAD, "an expectation other than 100-continue");
	in->head->expect_continue = in->head->minor == 1;
	return HTTP_OK;
}

int http_rules_request(struct http_parser *in)
{
	int r = host_field(in);

	if (r == HTTP_OK)
		r = request_target(in);
	return r == HTTP_OK ? expectation(in) : r;
}

// RFC 9112 section 6.3, rules 1, 2 and 8.
void http_rules_response(struct http_head *head, bool to_head)
{
	bool never = head->status < 200 || head->status == 204;

	if (never || to_head || head->status == 304) {
		// A body that may not be announced may come all the same: the next answer is not
		// looked for behind it.
		if (never && (head->body == HTTP_BODY_CHUNKED || head->length > 0))
			head->keep_alive = false;
		head->body = HTTP_BODY_NONE;
		head->length = 0;
	} else if (head->body == HTTP_BODY_NONE) {
		head->body = HTTP_BODY_CLOSE;
		head->keep_alive = false;
	}
}
