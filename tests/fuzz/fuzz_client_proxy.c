// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Proxy variables: what is accepted can stand in a CONNECT request without adding to it.

#include "check.h"
#include "proxy.h"
#include "server.h"

static void check_request(const struct proxy *proxy, const struct url *server)
{
	struct buf out;
	unsigned lines = 0;

	buf_init(&out, 4096);
	CHECK(proxy_request(proxy, server, &out) == 0);
	struct span text = buf_span(&out);
	for (size_t i = 0; i < text.n; i++) {
		lines += text.p[i] == '\n';
		CHECK(text.p[i] >= ' ' || text.p[i] == '\r' || text.p[i] == '\n');
	}
	CHECK(lines == (proxy->credentials != NULL ? 4 : 3));
	buf_reset(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span text = {(const char *)data, n};
	struct proxy proxy = {0};
	struct url server;
	const char *why = NULL;

	if (server_parse(&server, SPAN("https://[2001:db8::1]:8443"), &why) != 0)
		abort();
	proxy_excepts(text, &server);
	if (proxy_parse(&proxy, text, &why) != 0) {
		CHECK(why != NULL && proxy.credentials == NULL);
		return 0;
	}
	check_request(&proxy, &server);
	// A server is excepted by its own name, and by nothing that is shorter than a label.
	CHECK(proxy_excepts(span_of(proxy.url.host), &proxy.url));
	CHECK(!proxy_excepts(SPAN(".,:,[]"), &proxy.url));
	proxy_deinit(&proxy);
	return 0;
}
