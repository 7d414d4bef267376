// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Private to the head parser, but for http_is_token(): what http_head.c (lines), http_name.c (names
// and lists) and http_rules.c (what the fields mean together) share.

#pragma once

#include "http_head.h"

// Character classes (RFC 9110 section 5.6.2, RFC 9112 section 3.2). Neither CR nor LF has one.
enum {
	HTTP_TCHAR = 1,       // may stand in a token
	HTTP_TARGET_CHAR = 2, // visible ASCII but '#'
	HTTP_MARK = 4,        // a tchar that is no letter, digit or hyphen
};
extern const uint8_t http_classes[256];

static inline unsigned http_class(char c)
{
	return http_classes[(unsigned char)c];
}

static inline bool http_is_blank(char c)
{
	return c == ' ' || c == '\t';
}

// Sets of enum http_name.
#define HTTP_BIT(id) (UINT64_C(1) << (id))
extern const uint64_t http_hop_by_hop;

// One parse. While it runs P is inside the head, at the next byte to read.
struct http_parser {
	struct http_head *head;
	const char *p;
	const char *end;
	const char *why; // set with any outcome but HTTP_OK
	uint64_t seen;   // set of the names so far
	bool request;
};

static inline int http_refuse(struct http_parser *in, int outcome, const char *why)
{
	in->why = why;
	return outcome;
}

// http_name.c
bool http_is_token(struct span text);
enum http_name http_name_id(struct span token);
bool http_name_is_lookalike(struct span token); // a known name with other marks for '-'

// http_rules.c: the last steps of a parse, when all fields are there.
int http_rules_common(struct http_parser *in) WARN_UNUSED;  // Connection, Upgrade, framing
int http_rules_request(struct http_parser *in) WARN_UNUSED; // target and Host, Expect
void http_rules_response(struct http_head *head, bool to_head);
