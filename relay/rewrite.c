// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "rewrite.h"

#include "code.h"
#include "cookie.h"
#include "head_out.h"
#include "peer.h"

static void put_number(struct head_out *out, uint64_t n)
{
	char digits[20];
	size_t i = sizeof digits;
	do
		digits[--i] = (char)('0' + n % 10);
	while ((n /= 10) > 0);
	put(out, (struct span){digits + i, sizeof digits - i});
}

static void put_length(struct head_out *out, uint64_t n)
{
	put(out, SPAN("Content-Length: "));
	put_number(out, n);
	put(out, SPAN("\r\n"));
}

static size_t finish(struct head_out *out, const char *start)
{
	put(out, SPAN("\r\n"));
	return out->full ? 0 : (size_t)(out->p - start);
}

// ---- what becomes of a field

enum fate {
	PASS = 0,
	DROP, // we write our own, or it was meant for us
};

static const uint8_t request_fates[HTTP_NAMES] = {
	[HTTP_CONTENT_LENGTH] = DROP,    // from the framing
	[HTTP_TRANSFER_ENCODING] = DROP, // from the framing
	[HTTP_HOST] = DROP,              // the backend's
	[HTTP_FORWARDED] = DROP,         // ours; from outside they are not believed
	[HTTP_X_FORWARDED_FOR] = DROP,
	[HTTP_X_FORWARDED_HOST] = DROP,
	[HTTP_X_FORWARDED_PORT] = DROP,
	[HTTP_X_FORWARDED_PREFIX] = DROP,
	[HTTP_X_FORWARDED_PROTO] = DROP,
	[HTTP_X_REAL_IP] = DROP,
	[HTTP_X_TUNNEL_AUTHORIZATION] = DROP, // consumed here
	[HTTP_EXPECT] = PASS,                 // the backend answers it with its own 100
};

static const uint8_t response_fates[HTTP_NAMES] = {
	[HTTP_CONTENT_LENGTH] = DROP,
	[HTTP_TRANSFER_ENCODING] = DROP,
};

// What a backend may not say: that an error is ours (design of the error codes), what browsers
// apply to the whole web origin, which it shares with all other tunnels, and which file of its own
// a proxy in front of us is to answer with.
static bool is_not_its_business(const struct http_field *field)
{
	static const struct {
		uint8_t n;
		char text[sizeof "Strict-Transport-Security"];
	} names[] = {
#define NAME(text) {sizeof text - 1, text}
		NAME("Tunnel-Error"),
		NAME("NEL"),             // would report the addresses of other tunnels
		NAME("Report-To"),       // where to
		NAME("Clear-Site-Data"), // would log out of all tunnels
		NAME("Alt-Svc"),         // another server for all
		NAME("Strict-Transport-Security"),
		NAME("X-Accel-Redirect"), // nginx
		NAME("X-Sendfile"),       // Apache, lighttpd
#undef NAME
	};
	for (size_t i = 0; field->id == HTTP_OTHER && i < ARRAY_SIZE(names); i++)
		if (span_eq_nocase(field->name, (struct span){names[i].text, names[i].n}))
			return true;
	return false;
}

// Sets a cookie whose name is ours: it could take a visitor's place in the tunnel away.
static bool claims_our_cookie(const struct http_field *field)
{
	return field->id == HTTP_SET_COOKIE && cookie_is_ours(field->value);
}

// CGI turns it into HTTP_PROXY, which programs take for their proxy setting.
static bool is_httpoxy(const struct http_field *field)
{
	return field->id == HTTP_OTHER && span_eq_nocase(field->name, SPAN("Proxy"));
}

static bool is_hop(const struct http_field *field)
{
	return field->hop;
}

// ---- requests

static void put_forwarding(struct head_out *out, const struct rewrite_request *r)
{
	char text[PEER_TEXT_SIZE];
	struct span peer = peer_format(r->peer, text);
	struct span proto = r->https ? SPAN("https") : SPAN("http");
	bool v6 = memchr(peer.p, ':', peer.n) != NULL;

	put_field(out, SPAN("X-Forwarded-For"), peer);
	put_field(out, SPAN("X-Forwarded-Proto"), proto);
	if (r->head->authority.n > 0)
		put_field(out, SPAN("X-Forwarded-Host"), r->head->authority);
	if (r->prefix.n > 0)
		put_field(out, SPAN("X-Forwarded-Prefix"), r->prefix);
	put(out, SPAN("Forwarded: for="));
	put(out, v6 ? SPAN("\"[") : SPAN(""));
	put(out, peer);
	put(out, v6 ? SPAN("]\"") : SPAN(""));
	if (r->head->authority.n >
		0) { // a valid authority has nothing that needs quoting in quotes
		put(out, SPAN(";host=\""));
		put(out, r->head->authority);
		put(out, SPAN("\""));
	}
	put(out, SPAN(";proto="));
	put(out, proto);
	put(out, SPAN("\r\nVia: " REWRITE_VIA "\r\n"));
}

// A Cookie field without those cookies that are ours. The others stay byte for byte, but for names
// that were given in place of others.
static void put_cookie(
	struct head_out *out, const struct mapping *mapping, const struct http_field *field)
{
	struct span rest = field->value, piece;
	char *start = out->p;
	bool first = true;
	if (!cookie_maybe_ours(field->value) && !mapping_renames(mapping, field->value)) {
		put_field(out, field->name, field->value);
		return;
	}
	put(out, field->name);
	put(out, SPAN(": "));
	while (cookie_next(&rest, &piece)) {
		if (cookie_is_ours(piece) && !mapping_is_own(mapping, piece))
			continue;
		if (!first)
			put(out, SPAN(";"));
		mapping_cookie(out, mapping, piece);
		first = false;
	}
	put(out, SPAN("\r\n"));
	if (first)
		out->p = start; // nothing is left of it
}

static void put_request_framing(struct head_out *out, const struct rewrite_request *r)
{
	if (r->head->body == HTTP_BODY_LENGTH)
		put_length(out, r->head->length);
	else if (r->head->body == HTTP_BODY_CHUNKED)
		put(out, SPAN("Transfer-Encoding: chunked\r\n"));
	if (r->upgrade) {
		put(out, SPAN("Connection: Upgrade\r\n"));
		put_field(out, SPAN("Upgrade"), r->head->upgrade_protocols);
	}
}

size_t rewrite_request(const struct rewrite_request *r, char *bytes, size_t size)
{
	struct head_out out = {.p = bytes, .end = bytes + size};
	put(&out, r->head->method_text);
	put(&out, r->path.n > 0 && r->path.p[0] == '/' ? SPAN(" ") : SPAN(" /"));
	put(&out, r->path);
	put(&out, SPAN(" HTTP/1.1\r\n"));
	put_field(&out, SPAN("Host"), r->authority);
	for (size_t i = 0; i < r->head->n_fields; i++) {
		const struct http_field *field = &r->head->fields[i];
		if (is_hop(field) || request_fates[field->id] == DROP || is_httpoxy(field))
			continue;
		if (field->id == HTTP_AUTHORIZATION && !r->authorization)
			continue;
		if (field->id == HTTP_COOKIE)
			put_cookie(&out, r->mapping, field);
		else if (!mapping_request(&out, r->mapping, r->head->authority, field))
			put_field(&out, field->name, field->value);
	}
	put_forwarding(&out, r);
	put_request_framing(&out, r);
	return finish(&out, bytes);
}

size_t rewrite_host(struct span head, struct span authority, char *bytes, size_t size)
{
	struct head_out out = {.p = bytes, .end = bytes + size};
	const char *field = memmem(head.p, head.n, "\r\nHost: ", 8);
	if (field == NULL)
		return 0;
	const char *host = field + 8, *end = head.p + head.n;
	const char *behind = memchr(host, '\r', (size_t)(end - host));
	if (behind == NULL || span_eq((struct span){host, (size_t)(behind - host)}, authority))
		return 0;
	put(&out, (struct span){head.p, (size_t)(host - head.p)});
	put(&out, authority);
	put(&out, (struct span){behind, (size_t)(end - behind)});
	return out.full ? 0 : (size_t)(out.p - bytes);
}

// ---- responses

static void put_response_framing(struct head_out *out, const struct rewrite_response *r)
{
	const struct http_head *head = r->head;
	const struct http_field *length = http_head_field(head, HTTP_CONTENT_LENGTH);
	if (r->no_body) {
		// What the length would be is information about the resource: passed on as sent,
		// but not where it could be taken for framing (RFC 9110 section 8.6).
		if (length != NULL && head->status >= 200 && head->status != 204)
			put_field(out, SPAN("Content-Length"), length->value);
	} else if (r->chunked) {
		put(out, SPAN("Transfer-Encoding: chunked\r\n"));
	} else if (head->body == HTTP_BODY_LENGTH) {
		put_length(out, head->length);
	}
	if (r->upgrade) {
		put(out, SPAN("Connection: Upgrade\r\n"));
		put_field(out, SPAN("Upgrade"), head->upgrade_protocols);
	} else if (r->close) {
		put(out, SPAN("Connection: close\r\n"));
	}
}

size_t rewrite_response(const struct rewrite_response *r, char *bytes, size_t size)
{
	struct head_out out = {.p = bytes, .end = bytes + size};
	put(&out, SPAN("HTTP/1.1 "));
	put_number(&out, r->head->status);
	put(&out, SPAN(" "));
	put(&out, r->head->reason.n > 0 ? r->head->reason : span_of(http_reason(r->head->status)));
	put(&out, SPAN("\r\n"));
	for (size_t i = 0; i < r->head->n_fields; i++) {
		const struct http_field *field = &r->head->fields[i];
		if (is_hop(field) || response_fates[field->id] == DROP ||
			is_not_its_business(field) || claims_our_cookie(field))
			continue;
		if (!mapping_response(&out, r->mapping, field))
			put_field(&out, field->name, field->value);
	}
	mapping_response_end(&out, r->mapping);
	put(&out, SPAN("Via: " REWRITE_VIA "\r\n"));
	put_response_framing(&out, r);
	return finish(&out, bytes);
}
