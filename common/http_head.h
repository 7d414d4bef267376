// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// HTTP/1 message heads, parsed strictly (RFC 9110, RFC 9112) and only once complete.
//
// The one idea: routing, authorisation and rebuilding all use the result of this one parse, so
// there is no second opinion to disagree with. Whatever two parsers could read differently is
// refused (docs/http.md has the whole list). Nothing is copied: every span points into the caller's
// bytes and lives as long as they.

#pragma once

#include "util.h"

enum {
	HTTP_HEAD_MAX = 32 * 1024, // bytes of a head, empty lines before and behind it included
	HTTP_LINE_MAX = 8 * 1024,  // bytes of a request or status line, without CR LF
	HTTP_FIELDS_MAX = 100,     // field lines
};

// Outcomes of the functions below; 0 is success. Each is for the peer's mistakes: none is an errno.
enum http_outcome {
	HTTP_OK = 0,
	HTTP_MORE = 1,      // the head has not ended yet
	HTTP_BAD = 2,       // not HTTP/1 as we accept it: 400 (request), 502 (response)
	HTTP_TOO_LARGE = 3, // a limit above: 431 (request), 502 (response)
	HTTP_VERSION = 4,   // a well-formed line of another major version: 505 is answered as 400
};

// Fields the code has a use for; every other name is HTTP_OTHER.
enum http_name {
	HTTP_OTHER = 0,
	HTTP_ACCEPT,
	HTTP_AUTHORIZATION,
	HTTP_CONNECTION,
	HTTP_CONTENT_LENGTH,
	HTTP_CONTENT_TYPE,
	HTTP_COOKIE,
	HTTP_EXPECT,
	HTTP_FORWARDED,
	HTTP_HOST,
	HTTP_KEEP_ALIVE,
	HTTP_LAST_EVENT_ID,
	HTTP_LOCATION,
	HTTP_ORIGIN,
	HTTP_PROXY_AUTHENTICATE,
	HTTP_PROXY_AUTHORIZATION,
	HTTP_PROXY_CONNECTION,
	HTTP_REFERER,
	HTTP_SEC_FETCH_DEST,
	HTTP_SEC_FETCH_MODE,
	HTTP_SEC_FETCH_SITE,
	HTTP_SET_COOKIE,
	HTTP_TE,
	HTTP_TRAILER,
	HTTP_TRANSFER_ENCODING,
	HTTP_UPGRADE,
	HTTP_VIA,
	HTTP_X_FORWARDED_FOR,
	HTTP_X_FORWARDED_HOST,
	HTTP_X_FORWARDED_PORT,
	HTTP_X_FORWARDED_PREFIX,
	HTTP_X_FORWARDED_PROTO,
	HTTP_X_REAL_IP,
	HTTP_X_TUNNEL_AUTHORIZATION,
	HTTP_NAMES
};

enum http_method {
	HTTP_METHOD_OTHER = 0, // any other token
	HTTP_GET,
	HTTP_HEAD,
	HTTP_POST,
	HTTP_PUT,
	HTTP_PATCH,
	HTTP_DELETE,
	HTTP_OPTIONS,
	HTTP_TRACE,
	HTTP_CONNECT, // parsed so that it can be refused by name: its target is authority-form
};

// How the body is delimited on the wire (RFC 9112 section 6.3).
enum http_body {
	HTTP_BODY_NONE = 0,
	HTTP_BODY_LENGTH,  // exactly `length` bytes, which may be 0
	HTTP_BODY_CHUNKED, // http_chunk.h
	HTTP_BODY_CLOSE,   // responses only: until the connection ends
};

struct http_field {
	struct span name;  // as sent
	struct span value; // without surrounding white space
	enum http_name id;
	bool hop; // not to be forwarded: hop-by-hop (one of RFC 9110 7.6.1's, or named by a
		  // Connection field), or a name above with '_' or the like for '-', which CGI
		  // and its kin would take for the real one
};

struct http_head {
	size_t size;    // bytes of the head, the empty line included
	unsigned minor; // HTTP/1.<minor>: 0 or 1 (higher minors are read as 1)

	// Requests only.
	enum http_method method;
	struct span method_text;
	struct span target; // request-target as sent
	// Path and query. Of an absolute-form target the part from its path on, "/" if that is
	// empty; "*" for asterisk-form; absent for CONNECT.
	struct span path;
	// Of the Host field and, if the target has one, of the target: they are equal, ASCII case
	// apart. Absent only in HTTP/1.0 without either.
	struct span authority;
	bool expect_continue; // Expect: 100-continue from an HTTP/1.1 peer

	// Responses only.
	unsigned status; // 100 to 599
	struct span reason;

	// Framing and connection.
	enum http_body body;
	uint64_t length; // with HTTP_BODY_LENGTH, else 0; forward this, not the field's text
	// Another message may follow on the connection: version and Connection field allow it and
	// the end of this one can be told.
	bool keep_alive;
	bool upgrade; // HTTP/1.1, Connection names upgrade and an Upgrade field names a protocol
	struct span upgrade_protocols; // with upgrade: value of the (only) Upgrade field

	size_t n_fields;
	struct http_field fields[HTTP_FIELDS_MAX];
};

// Looks for the end of a head in BYTES of length N. *SCANNED is how far an earlier call has looked
// (0 at first): each byte is looked at once however it trickles in. Also refuses at once what can
// never become a head: a bare LF or CR, a NUL or other control, a start line or head over its
// limit. Leading empty lines (at most 4) before a request line are tolerated (RFC 9112 section 2.2)
// when REQUEST. Returns HTTP_OK and *SIZE (bytes up to and including the empty line), HTTP_MORE,
// HTTP_BAD or HTTP_TOO_LARGE: always the same one for the same bytes, however they were split.
int http_head_find(
	const char *bytes, size_t n, bool request, size_t *scanned, size_t *size) WARN_UNUSED;

// Parses a complete request head of SIZE bytes (from http_head_find). Returns HTTP_OK, HTTP_BAD,
// HTTP_TOO_LARGE or HTTP_VERSION; on anything but HTTP_OK *HEAD is undefined except that *WHY
// (may be NULL) names the mistake in a few words, for the `detail` of the answer.
//
// Refused besides malformed lines: Content-Length with Transfer-Encoding, two Content-Length fields
// or a list in one, transfer codings other than exactly one "chunked", Transfer-Encoding in
// HTTP/1.0, a tab behind the value of either, obs-fold, white space before a colon, no Host in
// HTTP/1.1, a Host that is not a valid authority, an absolute-form target whose authority is not
// Host's or whose scheme is not http or https, a fragment, bytes outside visible ASCII in the
// target, an unknown expectation, a second Host, Authorization, X-Tunnel-Authorization, Expect or
// Upgrade field, a Connection field that names a known field which is not hop-by-hop (Host,
// Content-Length, Authorization, Cookie ...) or Transfer-Encoding.
int http_request_parse(
	struct http_head *head, const char *bytes, size_t size, const char **why) WARN_UNUSED;

// The same for a response head. TO_HEAD: it answers a HEAD request, so it has no body whatever its
// fields say. A 1xx, 204 or 304 has none either; a 1xx or 204 that announces one all the same loses
// keep_alive. Without framing fields the body ends with the connection (HTTP_BODY_CLOSE). A 101 is
// parsed like any 1xx; whether it was asked for is the caller's to know.
int http_response_parse(struct http_head *head, const char *bytes, size_t size, bool to_head,
	const char **why) WARN_UNUSED;

// The first field with this id, or NULL.
const struct http_field *http_head_field(const struct http_head *head, enum http_name id);

// The value of the first field called NAME (ASCII case-insensitive), or the absent span. For names
// without an id.
struct span http_head_named(const struct http_head *head, struct span name);

// Takes the next element that is not empty off a comma-separated list (RFC 9110 section 5.6.1.2).
bool http_list_next(struct span *list, struct span *element);

// Whether the comma-separated LIST has TOKEN as an element (ASCII case-insensitive).
bool http_list_has(struct span list, struct span token);

// GET, HEAD, OPTIONS and TRACE (RFC 9110 section 9.2.1).
bool http_method_is_safe(enum http_method method);
