// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "event_digest.h"

#include "buf.h"
#include "bytes.h"
#include "crypto.h"
#include "hex.h"

// Version 1: type (little endian), name and payload, with colons between.
static int add_version_1(struct buf *buf, const struct event *event)
{
	int r = buf_add(buf, "\x01\x00\x00\x08:", 5);
	if (r == 0)
		r = buf_add_span(buf, event->name);
	if (r == 0)
		r = buf_add(buf, ":", 1);
	return r == 0 ? buf_add_span(buf, event->payload) : r;
}

// A character of a JSON string as RFC 8785 section 3.2.2.2 writes it.
static int add_character(struct buf *buf, unsigned char c)
{
	static const char shorts[] = "btnvfr"; // from 8 on; \v has no short form
	if (c == '"' || c == '\\')
		return buf_printf(buf, "\\%c", c);
	if (c >= 0x20)
		return buf_add(buf, &c, 1);
	if (c >= '\b' && c <= '\r' && c != '\v')
		return buf_printf(buf, "\\%c", shorts[c - '\b']);
	return buf_printf(buf, "\\u%04x", c);
}

static int add_hex(struct buf *buf, struct span bytes)
{
	char *room = buf_room(buf, 2 * bytes.n + 1); // and a NUL that is not counted
	if (room == NULL)
		return -ENOMEM;
	hex_encode(room, bytes.p, bytes.n);
	buf_added(buf, 2 * bytes.n);
	return 0;
}

// Version 2: a canonical JSON object.
static int add_version_2(struct buf *buf, const struct event *event)
{
	int r = buf_add_span(buf, SPAN("{\"name\":\""));
	for (size_t i = 0; r == 0 && i < event->name.n; i++)
		r = add_character(buf, (unsigned char)event->name.p[i]);
	if (r == 0)
		r = buf_add_span(buf, SPAN("\",\"payload\":\""));
	if (r == 0)
		r = add_hex(buf, event->payload);
	return r == 0 ? buf_printf(buf, "\",\"type\":%u}", EVENT_RUNTIME) : r;
}

bool event_digest_make(const struct event *event, uint8_t out[MEASUREMENT_SIZE])
{
	struct buf buf;
	buf_init(&buf, 2 * EVENT_LOG_MAX + 256);
	int r = event->version == 2 ? add_version_2(&buf, event) : add_version_1(&buf, event);
	struct span made = buf_span(&buf);
	bool good = r == 0 && (event->preimage.p == NULL || span_eq(made, event->preimage)) &&
		    digest_make(EVP_sha384(), &(struct digest_input){{made}}, out);
	buf_reset(&buf);
	return good;
}
