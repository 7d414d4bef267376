// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// MessagePack as far as these messages need it, by hand: the first bytes of a DATA have to be
// understood before the rest is here, and an agent's messages nest.

#include "mux_message.h"

#include "utf8.h"

#include <assert.h>

// ---- reading: each takes one value off the front, or returns false

static bool take(struct span *in, size_t n, const uint8_t **ret)
{
	if (in->n < n)
		return false;
	*ret = (const uint8_t *)in->p;
	in->p += n;
	in->n -= n;
	return true;
}

static uint64_t big_endian(const uint8_t *p, size_t n)
{
	uint64_t value = 0;
	for (size_t i = 0; i < n; i++)
		value = value << 8 | p[i];
	return value;
}

// A number whose size was told by its first byte, and which fits no smaller form: LEAST.
static bool take_sized(struct span *in, size_t n, uint64_t least, uint64_t *ret)
{
	const uint8_t *p;
	if (!take(in, n, &p))
		return false;
	*ret = big_endian(p, n);
	return *ret >= least;
}

static bool take_uint(struct span *in, uint64_t most, uint64_t *ret)
{
	const uint8_t *first;
	if (!take(in, 1, &first))
		return false;
	bool ok = true;
	switch (*first) {
	case 0xcc: ok = take_sized(in, 1, 0x80, ret); break;
	case 0xcd: ok = take_sized(in, 2, 0x100, ret); break;
	case 0xce: ok = take_sized(in, 4, 0x10000, ret); break;
	case 0xcf: ok = take_sized(in, 8, 0x100000000, ret); break;
	default: ok = *first < 0x80; *ret = *first;
	}
	return ok && *ret <= most;
}

// A count of items in an array (BASE 0x90) or a map (0x80); more than 15 is more than we know.
static bool take_count(struct span *in, uint8_t base, size_t *ret)
{
	const uint8_t *first;
	if (!take(in, 1, &first) || (*first & 0xf0) != base)
		return false;
	*ret = *first & 0x0f;
	return true;
}

static bool take_text(struct span *in, size_t most, struct span *ret)
{
	const uint8_t *first, *bytes;
	uint64_t n;
	if (!take(in, 1, &first))
		return false;
	bool ok = true;
	if ((*first & 0xe0) == 0xa0)
		n = *first & 0x1f;
	else if (*first == 0xd9)
		ok = take_sized(in, 1, 32, &n);
	else if (*first == 0xda)
		ok = take_sized(in, 2, 0x100, &n);
	else
		return false;
	if (!ok || n > most || !take(in, n, &bytes))
		return false;
	*ret = (struct span){(const char *)bytes, n};
	return utf8_valid(*ret);
}

// Passes over a value of any kind but arrays, maps and extensions.
static bool skip_value(struct span *in)
{
	enum { F = 1, T = 2 }; // by the low bits from 0xc0: a value of so many bytes, or a length
	static const struct {
		uint8_t kind, bytes;
	} forms[32] = {
		[0x00] = {F, 0}, // nil
		[0x02] = {F, 0}, // false
		[0x03] = {F, 0}, // true
		[0x04] = {T, 1}, // bin
		[0x05] = {T, 2},
		[0x06] = {T, 4},
		[0x0a] = {F, 4}, // float
		[0x0b] = {F, 8},
		[0x0c] = {F, 1}, // uint
		[0x0d] = {F, 2},
		[0x0e] = {F, 4},
		[0x0f] = {F, 8},
		[0x10] = {F, 1}, // int
		[0x11] = {F, 2},
		[0x12] = {F, 4},
		[0x13] = {F, 8},
		[0x19] = {T, 1}, // str
		[0x1a] = {T, 2},
		[0x1b] = {T, 4},
	};
	const uint8_t *p;
	if (!take(in, 1, &p))
		return false;
	if (*p < 0x80 || *p >= 0xe0)
		return true; // a small number
	if (*p >= 0xa0 && *p < 0xc0)
		return take(in, *p & 0x1f, &p); // a short str
	uint8_t kind = *p >= 0xc0 ? forms[*p & 0x1f].kind : 0;
	uint8_t bytes = *p >= 0xc0 ? forms[*p & 0x1f].bytes : 0;
	if (kind == 0 || !take(in, bytes, &p))
		return false;
	return kind == F || take(in, big_endian(p, bytes), &p);
}

// ---- maps

// Without pointers, as in messages.h.
struct member {
	char name[12];
	uint16_t at;   // of a span in struct mux_message, or of its number
	uint16_t most; // bytes; 0: it is the number
};

#define TEXT(name, most)                                          \
	{                                                         \
#name, offsetof(struct mux_message, name), (most) \
	}
static const struct member hello_members[] = {
	TEXT(instance, MUX_INSTANCE_MAX),
	TEXT(agent, MUX_AGENT_MAX),
	TEXT(host, MUX_HOST_MAX),
	{"streams", offsetof(struct mux_message, number), 0},
	{"", 0, 0},
};
static const struct member open_members[] = {
	TEXT(peer, MUX_PEER_MAX),
	TEXT(proto, MUX_PEER_MAX),
	{"", 0, 0},
};
#undef TEXT

static bool take_member(struct span *in, const struct member *members, struct mux_message *message)
{
	struct span key;
	if (!take_text(in, UINT8_MAX, &key))
		return false;
	const struct member *m = members;
	while (m->name[0] != '\0' && !span_eq(key, span_of(m->name)))
		m++;
	if (m->name[0] == '\0')
		return skip_value(in);
	void *field = (char *)message + m->at;
	if (m->most == 0)
		return take_uint(in, UINT32_MAX, field);
	return take_text(in, m->most, field);
}

static bool take_map(struct span *in, const struct member *members, struct mux_message *message)
{
	size_t n;
	if (!take_count(in, 0x80, &n))
		return false;
	while (n-- > 0)
		if (!take_member(in, members, message))
			return false;
	return true;
}

// ---- messages

// What follows the type: `s` a stream, `n` a number, `k` a kind, `h` and `o` the two maps, `v` the
// version.
static const struct form {
	char items[4];
	char wrong[20];
} forms[MUX_TYPES] = {
	[MUX_HELLO] = {"vh", "a malformed HELLO"},
	[MUX_OPEN] = {"so", "a malformed OPEN"},
	[MUX_DATA] = {"", "a malformed DATA"},
	[MUX_CREDIT] = {"sn", "a malformed CREDIT"},
	[MUX_FIN] = {"s", "a malformed FIN"},
	[MUX_RESET] = {"sn", "a malformed RESET"},
	[MUX_NOTICE] = {"kn", "a malformed NOTICE"},
};

static bool take_item(struct span *in, char item, struct mux_message *message)
{
	uint64_t number;
	switch (item) {
	case 'v': return take_uint(in, UINT32_MAX, &number) && number == MUX_VERSION;
	case 'h': return take_map(in, hello_members, message) && message->instance.n > 0;
	case 'o': return take_map(in, open_members, message);
	case 'k': return take_text(in, MUX_PEER_MAX, &message->kind);
	case 'n': return take_uint(in, UINT32_MAX, &message->number);
	default: break;
	}
	if (!take_uint(in, UINT32_MAX, &number) || number == 0)
		return false;
	message->stream = (uint32_t)number;
	return true;
}

const char *mux_message_decode(struct mux_message *message, struct span bytes)
{
	struct mux_message result = {0};
	uint64_t type;
	size_t n;
	if (!take_count(&bytes, 0x90, &n) || n == 0)
		return "a message that is not an array";
	if (!take_uint(&bytes, UINT32_MAX, &type) || type >= MUX_TYPES)
		return "a message of an unknown type";
	const struct form *form = &forms[type];
	size_t items = strlen(form->items);
	result.type = (enum mux_type)type;
	if (type == MUX_DATA || n != items + 1)
		return form->wrong;
	for (size_t i = 0; i < items; i++)
		if (!take_item(&bytes, form->items[i], &result))
			return form->wrong;
	if (bytes.n > 0)
		return "bytes behind a message";
	*message = result;
	return NULL;
}

// How many bytes a value that begins with FIRST takes as a number, or as head of a bin.
static size_t head_size(uint8_t first)
{
	switch (first) {
	case 0xcc:
	case 0xc4: return 2;
	case 0xcd:
	case 0xc5: return 3;
	case 0xce:
	case 0xc6: return 5;
	default: return 1;
	}
}

int mux_data_decode(struct span bytes, uint32_t *stream, uint32_t *n)
{
	const uint8_t *p = (const uint8_t *)bytes.p;
	uint64_t id, size;
	if (bytes.n > 0 && p[0] != 0x93)
		return -1;
	if (bytes.n > 1 && p[1] != MUX_DATA)
		return -1;
	if (bytes.n < 3 || bytes.n < 2 + head_size(p[2]) + 1)
		return 0;
	size_t at = 2 + head_size(p[2]);
	size_t head = at + head_size(p[at]);
	if (bytes.n < head)
		return 0;
	struct span in = {bytes.p + 2, at - 2};
	if (!take_uint(&in, UINT32_MAX, &id) || id == 0)
		return -1;
	in = (struct span){bytes.p + at + 1, head - at - 1};
	static const uint64_t least[] = {[1] = 0, [2] = 0x100, [4] = 0x10000};
	if (p[at] < 0xc4 || p[at] > 0xc6 || !take_sized(&in, in.n, least[in.n], &size))
		return -1;
	*stream = (uint32_t)id;
	*n = (uint32_t)size;
	return (int)head;
}

// ---- writing

struct out {
	char *p, *end;
};

static void put(struct out *out, const void *bytes, size_t n)
{
	assert(n <= (size_t)(out->end - out->p));
	if (n > 0)
		memcpy(out->p, bytes, n);
	out->p += n;
}

static void put_byte(struct out *out, unsigned byte)
{
	put(out, &(uint8_t){(uint8_t)byte}, 1);
}

static void put_sized(struct out *out, unsigned first, uint64_t value, size_t n)
{
	put_byte(out, first);
	while (n > 0)
		put_byte(out, (unsigned)(value >> (8 * --n)) & 0xff);
}

static void put_uint(struct out *out, uint64_t n)
{
	if (n < 0x80)
		put_byte(out, (unsigned)n);
	else if (n < 0x100)
		put_sized(out, 0xcc, n, 1);
	else if (n < 0x10000)
		put_sized(out, 0xcd, n, 2);
	else
		put_sized(out, 0xce, n, 4);
}

static void put_text(struct out *out, struct span s)
{
	if (s.n < 32)
		put_byte(out, 0xa0 | (unsigned)s.n);
	else if (s.n < 0x100)
		put_sized(out, 0xd9, s.n, 1);
	else
		put_sized(out, 0xda, s.n, 2);
	put(out, s.p, s.n);
}

static void put_map(
	struct out *out, const struct member *members, const struct mux_message *message)
{
	uint8_t *count = (uint8_t *)out->p;
	put_byte(out, 0x80);
	for (const struct member *m = members; m->name[0] != '\0'; m++) {
		const void *field = (const char *)message + m->at;
		if (m->most > 0 && ((const struct span *)field)->p == NULL)
			continue;
		put_text(out, span_of(m->name));
		if (m->most > 0)
			put_text(out, *(const struct span *)field);
		else
			put_uint(out, *(const uint64_t *)field);
		++*count;
	}
}

size_t mux_message_encode(char bytes[MUX_MESSAGE_MAX], const struct mux_message *message)
{
	struct out out = {bytes, bytes + MUX_MESSAGE_MAX};
	const char *items = forms[message->type].items;
	put_byte(&out, 0x91 + (unsigned)strlen(items));
	put_byte(&out, message->type);
	for (; *items != '\0'; items++) {
		switch (*items) {
		case 'v': put_uint(&out, MUX_VERSION); break;
		case 'h': put_map(&out, hello_members, message); break;
		case 'o': put_map(&out, open_members, message); break;
		case 'k': put_text(&out, message->kind); break;
		case 'n': put_uint(&out, message->number); break;
		default: put_uint(&out, message->stream);
		}
	}
	return (size_t)(out.p - bytes);
}

size_t mux_data_encode(char bytes[MUX_DATA_HEAD_MAX], uint32_t stream, size_t n)
{
	struct out out = {bytes, bytes + MUX_DATA_HEAD_MAX};
	put_byte(&out, 0x93);
	put_byte(&out, MUX_DATA);
	put_uint(&out, stream);
	if (n < 0x100)
		put_sized(&out, 0xc4, n, 1);
	else if (n < 0x10000)
		put_sized(&out, 0xc5, n, 2);
	else
		put_sized(&out, 0xc6, n, 4);
	return (size_t)(out.p - bytes);
}
