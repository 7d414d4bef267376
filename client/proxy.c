// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Proxies as the environment has them.

#include "proxy.h"

#include "hex.h"
#include "server.h"

#include <stdio.h>

void proxy_deinit(struct proxy *proxy)
{
	if (proxy->credentials != NULL)
		explicit_bzero(proxy->credentials, strlen(proxy->credentials));
	free(proxy->credentials);
	*proxy = (struct proxy){0};
}

// Undoes %XX. Returns how many bytes, or -1.
static ssize_t percent_decode(char *out, size_t size, struct span text)
{
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++, n++) {
		if (n == size)
			return -1;
		out[n] = text.p[i];
		if (text.p[i] != '%')
			continue;
		if (text.n - i < 3 || hex_decode(&out[n], 1, (struct span){text.p + i + 1, 2}) != 0)
			return -1;
		i += 2;
	}
	return (ssize_t)n;
}

// "user:password" as it stands in the URL, for Basic (RFC 7617): without a colon the password is
// empty.
static int set_credentials(struct proxy *proxy, struct span userinfo, const char **why)
{
	char plain[PROXY_CREDENTIALS_MAX + 1];
	ssize_t n = percent_decode(plain, sizeof plain - 1, userinfo);
	int r = 0;

	if (n < 0) {
		*why = "what stands before the '@' is too long or not well-formed";
		r = 1;
	} else {
		if (memchr(userinfo.p, ':', userinfo.n) == NULL)
			plain[n++] = ':';
		proxy->credentials = malloc(BASE64_SIZE((size_t)n));
		if (proxy->credentials != NULL)
			base64_encode(proxy->credentials, plain, (size_t)n);
		else
			r = -ENOMEM;
	}
	explicit_bzero(plain, sizeof plain);
	return r;
}

int proxy_parse(struct proxy *proxy, struct span text, const char **why)
{
	static const struct span scheme = SPAN_INIT("http://");
	char url[sizeof "http://" + URL_TEXT_MAX];
	struct proxy parsed = {0};
	const char *at;
	int r = 0;

	if (text.n > scheme.n && span_eq_nocase((struct span){text.p, scheme.n}, scheme)) {
		text.p += scheme.n;
		text.n -= scheme.n;
	} else if (memmem(text.p, text.n, "://", 3) != NULL) {
		*why = "only http:// proxies are supported";
		return 1;
	}
	at = memrchr(text.p, '@', text.n);
	struct span userinfo = {text.p, at != NULL ? (size_t)(at - text.p) : 0};
	if (at != NULL) {
		text.n -= userinfo.n + 1;
		text.p = at + 1;
	}
	if (text.n > URL_TEXT_MAX) {
		*why = "it is too long";
		return 1;
	}
	int n = snprintf(url, sizeof url, "http://%.*s", (int)text.n, text.p);
	r = url_parse(&parsed.url, (struct span){url, (size_t)n}, why);
	if (r == 0 && at != NULL)
		r = set_credentials(&parsed, userinfo, why);
	if (r == 0)
		*proxy = parsed;
	return r;
}

static bool same_port(struct span port, const struct url *server)
{
	char text[6];

	snprintf(text, sizeof text, "%u", server->port);
	return span_eq(port, span_of(text));
}

static bool entry_matches(struct span entry, const struct url *server)
{
	struct span host = span_of(server->host);
	const char *colon = memrchr(entry.p, ':', entry.n);

	if (span_eq(entry, SPAN("*")))
		return true;
	// Of an IPv6 address without brackets the last colon is a part.
	if (colon != NULL && colon > entry.p &&
		(memchr(entry.p, ':', entry.n) == colon || colon[-1] == ']')) {
		struct span port = {colon + 1, (size_t)(entry.p + entry.n - colon - 1)};
		if (!same_port(port, server))
			return false;
		entry.n = (size_t)(colon - entry.p);
	}
	if (entry.n > 2 && entry.p[0] == '[' && entry.p[entry.n - 1] == ']')
		entry = (struct span){entry.p + 1, entry.n - 2};
	if (entry.n > 0 && entry.p[0] == '.')
		entry = (struct span){entry.p + 1, entry.n - 1};
	if (entry.n == 0 || entry.n > host.n)
		return false;
	struct span end = {host.p + host.n - entry.n, entry.n};
	return span_eq_nocase(end, entry) &&
	       (end.p == host.p || (server->host_kind == URL_NAME && end.p[-1] == '.'));
}

bool proxy_excepts(struct span list, const struct url *server)
{
	while (list.n > 0) {
		size_t n = 0;
		while (n < list.n && list.p[n] != ',' && list.p[n] != ' ')
			n++;
		if (n > 0 && entry_matches((struct span){list.p, n}, server))
			return true;
		n += n < list.n;
		list.p += n;
		list.n -= n;
	}
	return false;
}

// The first of two variables that is set and not empty, with its name.
static const char *either(const char *a, const char *b, const char **ret_name)
{
	const char *value = getenv(a);

	*ret_name = a;
	if ((value == NULL || value[0] == '\0') && b != NULL) {
		value = getenv(b);
		*ret_name = b;
	}
	return value != NULL && value[0] != '\0' ? value : NULL;
}

int proxy_find(
	struct proxy *proxy, bool *ret_used, const struct url *server, struct failure *failure)
{
	const char *name, *value, *why;
	int r;

	*ret_used = false;
	value = either("no_proxy", "NO_PROXY", &name);
	if (server_is_local(server) || (value != NULL && proxy_excepts(span_of(value), server)))
		return 0;
	// HTTP_PROXY in upper case is not read, by custom: a CGI program's visitor can set it.
	value = server->scheme == URL_HTTPS ? either("https_proxy", "HTTPS_PROXY", &name)
					    : either("http_proxy", NULL, &name);
	if (value == NULL)
		return 0;
	r = proxy_parse(proxy, span_of(value), &why);
	if (r > 0)
		return failure_set(
			failure, EXIT_CODE_USAGE, "environment variable %s: %s", name, why);
	*ret_used = r == 0;
	return r;
}

int proxy_request(const struct proxy *proxy, const struct url *server, struct buf *out)
{
	char authority[SERVER_AUTHORITY_MAX];
	int r;

	server_authority(server, true, authority);
	r = buf_printf(out, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n", authority, authority);
	if (r == 0 && proxy->credentials != NULL)
		r = buf_printf(out, "Proxy-Authorization: Basic %s\r\n", proxy->credentials);
	return r != 0 ? r : buf_add(out, "\r\n", 2);
}
