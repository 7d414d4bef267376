// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The input is the body of POST /_api/tunnels. What is taken keeps all bounds; what is refused is
// refused in a form that can be put into an answer as it is.

#include "check.h"
#include "tunnel_request.h"
#include "utf8.h"

#include <jansson.h>

static const struct origins origins = {
	.url = {[ORIGIN_PATH] = "http://a", [ORIGIN_PORT] = "http://a:{port}"}};

static const struct tunnel_bounds bounds = {
	.origins = &origins,
	.default_timeout_s = 3600,
	.max_timeout_s = 86400,
	.max_connections = 1000,
	.request_rate = 50,
};

// Canonical, or none: a pull tunnel.
static void check_backend(const char *backend)
{
	struct url url;
	const char *why;
	char again[URL_TEXT_MAX];

	if (backend[0] == '\0')
		return;
	CHECK(url_parse_backend(&url, span_of(backend), &why) == 0);
	CHECK(url.scheme == URL_HTTP || url.scheme == URL_HTTPS || url.scheme == URL_TCP);
	url_format(&url, again, sizeof(again));
	CHECK(strcmp(again, backend) == 0);
}

static void check_taken(const struct tunnel_request *request)
{
	struct span name = span_of(request->name);

	check_backend(request->backend);
	CHECK(request->timeout_s >= 1 && request->timeout_s <= bounds.max_timeout_s);
	CHECK(request->max_connections >= 1 && request->max_connections <= bounds.max_connections);
	CHECK(request->request_rate >= 1 && request->request_rate <= bounds.request_rate);
	CHECK(request->max_requests < 1ull << 53 && request->max_bytes < 1ull << 53);
	CHECK(tunnel_auth_parse(span_of(tunnel_auth_name(request->auth))) == request->auth);
	CHECK(tunnel_prefix_parse(span_of(tunnel_prefix_name(request->prefix))) == request->prefix);
	CHECK(name.n <= TUNNEL_NAME_MAX && utf8_valid(name));
	for (size_t i = 0; i < name.n; i++)
		CHECK((unsigned char)name.p[i] >= 0x20 && name.p[i] != 0x7f);
}

static void check_errors(struct span said)
{
	size_t i;
	json_t *error;
	json_t *errors = json_loadb(said.p, said.n, JSON_REJECT_DUPLICATES, NULL);

	CHECK(json_is_array(errors));
	CHECK(json_array_size(errors) >= 1);
	CHECK(json_array_size(errors) <= FINDINGS_MAX);
	json_array_foreach(errors, i, error)
	{
		const char *pointer = json_string_value(json_object_get(error, "pointer"));
		const char *detail = json_string_value(json_object_get(error, "detail"));
		CHECK(pointer != NULL && (pointer[0] == '\0' || pointer[0] == '/'));
		CHECK(detail != NULL && detail[0] != '\0');
	}
	json_decref(errors);
}

static void check_sentence(struct span said)
{
	CHECK(said.n > 0 && said.n < 256);
	for (size_t i = 0; i < said.n; i++)
		CHECK(said.p[i] >= 0x20 && said.p[i] < 0x7f);
}

static void check_change(const struct tunnel_request *request)
{
	CHECK(request->timeout_s >= 1 && request->timeout_s <= bounds.max_timeout_s);
}

typedef int (*request_parse)(struct tunnel_request *request, struct span body,
	const struct tunnel_bounds *bounds, struct buf *said);

static void run(
	request_parse parse, struct span body, void (*check)(const struct tunnel_request *request))
{
	struct tunnel_request request;
	struct buf said;

	buf_init(&said, FINDINGS_SAID_MAX);
	int r = parse(&request, body, &bounds, &said);
	switch (r) {
	case FINDINGS_NONE: check(&request); break;
	case FINDINGS_NOT_JSON: check_sentence(buf_span(&said)); break;
	case FINDINGS_INVALID: check_errors(buf_span(&said)); break;
	default: CHECK(r == -ENOMEM);
	}
	CHECK((r == FINDINGS_NONE) == (buf_len(&said) == 0));
	buf_reset(&said);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span body = {(const char *)data, n};

	run(tunnel_request_parse, body, check_taken);
	run(tunnel_change_parse, body, check_change);
	return 0;
}
