// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What a program that stands for one parser reads and writes, so that several can be compared by
// test_parsers.py. In: cases, each a byte of kind, a 32-bit little-endian length, and bytes as a
// peer may send them. Out: for each case one msgpack array, about the first message in it.

#pragma once

#include <endian.h>
#include <err.h>
#include <msgpack.h>
#include <msgpack/fbuffer.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { CASE_MAX = 256 * 1024 };

enum case_kind { CASE_REQUEST = 'q', CASE_RESPONSE = 'r', CASE_RESPONSE_TO_HEAD = 'h' };

enum verdict {
	VERDICT_ACCEPT = 'A', // a complete message
	VERDICT_MORE = 'M',   // well as far as it goes
	VERDICT_REFUSE = 'R',
};

// The members of the array, in this order; `names` and `values` are arrays themselves.
struct result {
	enum verdict verdict;
	const char *reason; // of a refusal; "head" or "body": of what there has to be more
	uint64_t end;       // where the message ends, or how far it was read
	const char *start;  // method or status
	size_t start_n;
	const char *target;
	size_t target_n;
	unsigned minor;
	const char *framing; // "none" (a length of 0 too), "length", "chunked", "close"
	uint64_t length;
	size_t body_n;
	char body[CASE_MAX];
	size_t n_fields;
	struct {
		const char *name, *value;
		size_t name_n, value_n;
	} fields[1024];
};

static inline void case_pack(msgpack_packer *out, const char *bytes, size_t n)
{
	msgpack_pack_bin(out, n);
	msgpack_pack_bin_body(out, n > 0 ? bytes : "", n);
}

static inline void case_write(const struct result *r)
{
	msgpack_packer out;
	char verdict = (char)r->verdict;

	msgpack_packer_init(&out, stdout, msgpack_fbuffer_write);
	msgpack_pack_array(&out, 11);
	case_pack(&out, &verdict, 1);
	case_pack(&out, r->reason, strlen(r->reason));
	msgpack_pack_uint64(&out, r->end);
	case_pack(&out, r->start, r->start_n);
	case_pack(&out, r->target, r->target_n);
	msgpack_pack_unsigned_int(&out, r->minor);
	case_pack(&out, r->framing, strlen(r->framing));
	msgpack_pack_uint64(&out, r->length);
	case_pack(&out, r->body, r->body_n);
	msgpack_pack_array(&out, r->n_fields);
	for (size_t i = 0; i < r->n_fields; i++)
		case_pack(&out, r->fields[i].name, r->fields[i].name_n);
	msgpack_pack_array(&out, r->n_fields);
	for (size_t i = 0; i < r->n_fields; i++)
		case_pack(&out, r->fields[i].value, r->fields[i].value_n);
}

// The next case into BYTES, which hold CASE_MAX. False at the end of the input.
static inline bool case_read(enum case_kind *kind, char *bytes, size_t *n)
{
	unsigned char lead[5];
	uint32_t size;

	if (fread(lead, 1, sizeof lead, stdin) != sizeof lead)
		return false;
	memcpy(&size, lead + 1, sizeof size);
	*kind = (enum case_kind)lead[0];
	*n = le32toh(size);
	if (*n > CASE_MAX || fread(bytes, 1, *n, stdin) != *n)
		errx(1, "a case that is cut short");
	return true;
}
