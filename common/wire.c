// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "wire.h"

#include "utf8.h"

#include <msgpack/pack.h>
#include <msgpack/unpack.h>
#include <msgpack/unpack_define.h>

// ---- encoding

struct sink {
	char *p;
	size_t left;
};

static int sink_write(void *data, const char *bytes, size_t n)
{
	struct sink *sink = data;
	if (n > sink->left)
		return -1;
	if (n > 0)
		memcpy(sink->p, bytes, n);
	sink->p += n;
	sink->left -= n;
	return 0;
}

static int pack(msgpack_packer *packer, const struct wire_value *v)
{
	switch (v->kind) {
	case WIRE_UINT: return msgpack_pack_uint64(packer, v->number);
	case WIRE_BOOL: return v->number ? msgpack_pack_true(packer) : msgpack_pack_false(packer);
	case WIRE_STR: return msgpack_pack_str_with_body(packer, v->bytes.p, v->bytes.n);
	case WIRE_BIN: return msgpack_pack_bin_with_body(packer, v->bytes.p, v->bytes.n);
	case WIRE_NONE: break;
	}
	return -1;
}

size_t wire_encode(void *out, size_t size, const struct wire_value *values, size_t n)
{
	struct sink sink = {.p = out, .left = size};
	msgpack_packer packer;
	msgpack_packer_init(&packer, &sink, sink_write);
	if (msgpack_pack_array(&packer, n) != 0)
		return 0;
	for (size_t i = 0; i < n; i++)
		if (pack(&packer, &values[i]) != 0)
			return 0;
	return size - sink.left;
}

// ---- decoding: msgpack-c's parser with callbacks of our own, as its template is meant to be used,
// because its ready-made unpacker allocates what a length claims before the bytes are there

struct reader {
	struct wire_value *values;
	size_t n, max;
	bool open; // the one array has begun
};

#define msgpack_unpack_struct(name)     struct reader##name
#define msgpack_unpack_func(type, name) static type reader##name
#define msgpack_unpack_callback(name)   read##name
#define msgpack_unpack_object           struct wire_value
#define msgpack_unpack_user             struct reader
#undef MSGPACK_EMBED_STACK_SIZE
#define MSGPACK_EMBED_STACK_SIZE 2

static inline struct wire_value read_root(struct reader *r)
{
	return (struct wire_value){.kind = WIRE_NONE};
}

static inline int read_array(struct reader *r, unsigned n, struct wire_value *v)
{
	if (r->open || n == 0 || n > r->max)
		return -1;
	r->open = true;
	return 0;
}

static inline int read_array_item(struct reader *r, struct wire_value *array, struct wire_value v)
{
	r->values[r->n++] = v; // n <= max was checked when the array began
	return 0;
}

static inline int read_number(struct reader *r, uint64_t n, struct wire_value *v)
{
	*v = wire_uint(n);
	return r->open ? 0 : -1;
}

#define READ_UNSIGNED(name, type)                                                    \
	static inline int read##name(struct reader *r, type n, struct wire_value *v) \
	{                                                                            \
		return read_number(r, n, v);                                         \
	}
#define READ_SIGNED(name, type)                                                      \
	static inline int read##name(struct reader *r, type n, struct wire_value *v) \
	{                                                                            \
		return n < 0 ? -1 : read_number(r, (uint64_t)n, v);                  \
	}
#define REFUSE(name, ...)                         \
	static inline int read##name(__VA_ARGS__) \
	{                                         \
		return -1;                        \
	}

READ_UNSIGNED(_uint8, uint8_t)
READ_UNSIGNED(_uint16, uint16_t)
READ_UNSIGNED(_uint32, uint32_t)
READ_UNSIGNED(_uint64, uint64_t)
READ_SIGNED(_int8, int8_t)
READ_SIGNED(_int16, int16_t)
READ_SIGNED(_int32, int32_t)
READ_SIGNED(_int64, int64_t)
REFUSE(_float, struct reader *r, float n, struct wire_value *v)
REFUSE(_double, struct reader *r, double n, struct wire_value *v)
REFUSE(_nil, struct reader *r, struct wire_value *v)
REFUSE(_map, struct reader *r, unsigned n, struct wire_value *v)
REFUSE(_map_item, struct reader *r, struct wire_value *m, struct wire_value k, struct wire_value v)
REFUSE(_ext, struct reader *r, const char *base, const char *p, unsigned n, struct wire_value *v)

static inline int read_true(struct reader *r, struct wire_value *v)
{
	*v = wire_bool(true);
	return r->open ? 0 : -1;
}

static inline int read_false(struct reader *r, struct wire_value *v)
{
	*v = wire_bool(false);
	return r->open ? 0 : -1;
}

static inline int read_str(
	struct reader *r, const char *base, const char *p, unsigned n, struct wire_value *v)
{
	*v = wire_str((struct span){n > 0 ? p : "", n}); // P is NULL for an empty one
	return r->open && utf8_valid(v->bytes) && memchr(v->bytes.p, 0, n) == NULL ? 0 : -1;
}

static inline int read_bin(
	struct reader *r, const char *base, const char *p, unsigned n, struct wire_value *v)
{
	*v = wire_bin(n > 0 ? p : "", n);
	return r->open ? 0 : -1;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wcast-qual"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wswitch-enum"
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wimplicit-fallthrough"
#include <msgpack/unpack_template.h>
#pragma GCC diagnostic pop

int wire_decode(const void *bytes, size_t n, struct wire_value *values, size_t max)
{
	struct reader_context context;
	context.user = (struct reader){.values = values, .max = max};
	reader_init(&context);
	size_t used = 0;
	int r = reader_execute(&context, bytes, n, &used);
	if (r != 1 || used != n)
		return -EBADMSG;
	return (int)context.user.n;
}
