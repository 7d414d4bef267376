// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "websocket.h"

#include "utf8.h"

#include <assert.h>
#include <sys/random.h>

// Section 5.2: the two bytes every frame begins with, and what the length in them means.
enum {
	BIT_LAST = 0x80,
	BITS_RESERVED = 0x70,
	BITS_OPCODE = 0x0f,
	BIT_CONTROL = 0x08, // of the opcode
	BIT_MASK = 0x80,
	BITS_LENGTH = 0x7f,
	LENGTH_16 = 126, // two bytes of length follow
	LENGTH_64 = 127, // eight do
	HEAD_LEAST = 2,
};

// ---- masking (section 5.3)

void websocket_mask(char *bytes, size_t n, uint8_t key[WEBSOCKET_KEY_SIZE])
{
	// A vector of 32 bytes is eight times the key, whatever registers there are for it.
	typedef uint32_t block __attribute__((vector_size(32)));
	uint32_t word;
	size_t i = 0;

	memcpy(&word, key, sizeof word);
	const block mask = {word, word, word, word, word, word, word, word};
	for (; i + sizeof mask <= n; i += sizeof mask) {
		block b;
		memcpy(&b, bytes + i, sizeof b);
		b ^= mask;
		memcpy(bytes + i, &b, sizeof b);
	}
	for (; i < n; i++)
		bytes[i] = (char)(bytes[i] ^ key[i % WEBSOCKET_KEY_SIZE]);
	uint8_t turned[WEBSOCKET_KEY_SIZE];
	for (size_t k = 0; k < WEBSOCKET_KEY_SIZE; k++)
		turned[k] = key[(n + k) % WEBSOCKET_KEY_SIZE];
	memcpy(key, turned, sizeof turned);
}

int websocket_key(uint8_t key[WEBSOCKET_KEY_SIZE])
{
	static uint8_t store[256]; // one system call for 64 frames
	static size_t left;

	if (left == 0) {
		// So many come whole and uninterrupted, or not at all, getrandom(2) says.
		if (getrandom(store, sizeof store, 0) < 0)
			return -errno;
		left = sizeof store;
	}
	left -= WEBSOCKET_KEY_SIZE;
	memcpy(key, store + left, WEBSOCKET_KEY_SIZE);
	return 0;
}

// ---- reading

void websocket_init(struct websocket *websocket, enum websocket_role role)
{
	*websocket = (struct websocket){.role = role};
}

static enum websocket_outcome bad(
	struct websocket *ws, struct websocket_event *event, uint16_t code, const char *why)
{
	ws->over = true;
	*event = (struct websocket_event){.code = code, .why = why};
	return WEBSOCKET_BAD;
}

// How long the frame's head is, as far as its bytes so far tell.
static size_t head_need(const struct websocket *ws)
{
	if (ws->head_size < HEAD_LEAST)
		return HEAD_LEAST;
	size_t length = ws->head[1] & BITS_LENGTH;
	size_t more = length == LENGTH_64 ? 8 : length == LENGTH_16 ? 2 : 0;
	return HEAD_LEAST + more + (ws->head[1] & BIT_MASK ? WEBSOCKET_KEY_SIZE : 0);
}

// Returns whether the head is complete.
static bool head_gather(struct websocket *ws, struct span *in)
{
	size_t need;
	while (ws->head_size < (need = head_need(ws))) {
		size_t n = MIN(need - ws->head_size, in->n);
		if (n == 0)
			return false;
		memcpy(ws->head + ws->head_size, in->p, n);
		ws->head_size = (uint8_t)(ws->head_size + n);
		in->p += n;
		in->n -= n;
	}
	return true;
}

static const char *opcode_wrong(const struct websocket *ws)
{
	bool last = ws->head[0] & BIT_LAST;
	switch (ws->head[0] & BITS_OPCODE) {
	case WEBSOCKET_OP_MORE: return ws->opcode == 0 ? "a continuation without a message" : NULL;
	case WEBSOCKET_OP_TEXT:
	case WEBSOCKET_OP_BINARY: return ws->opcode != 0 ? "a message inside a message" : NULL;
	case WEBSOCKET_OP_CLOSE:
	case WEBSOCKET_OP_PING:
	case WEBSOCKET_OP_PONG:
		if (!last)
			return "a control frame in fragments";
		return (ws->head[1] & BITS_LENGTH) > WEBSOCKET_CONTROL_MAX
			       ? "a control frame of more than 125 bytes"
			       : NULL;
	default: return "an unknown opcode";
	}
}

// Reads the length, which has to be in its shortest form.
static const char *length_wrong(struct websocket *ws)
{
	size_t length = ws->head[1] & BITS_LENGTH;
	size_t bytes = length == LENGTH_64 ? 8 : length == LENGTH_16 ? 2 : 0;
	uint64_t least = length == LENGTH_64 ? UINT16_MAX + 1 : LENGTH_16;

	ws->left = bytes == 0 ? length : 0;
	for (size_t i = 0; i < bytes; i++)
		ws->left = ws->left << 8 | ws->head[HEAD_LEAST + i];
	if (ws->left > INT64_MAX)
		return "a length with its highest bit set";
	return bytes > 0 && ws->left < least ? "a length that is not in its shortest form" : NULL;
}

// The head is complete: checks it and begins the frame. Returns what is wrong, or NULL.
static const char *frame_begin(struct websocket *ws)
{
	bool masked = ws->head[1] & BIT_MASK;
	const char *wrong;

	if (ws->head[0] & BITS_RESERVED)
		return "a reserved bit is set";
	if (masked != (ws->role == WEBSOCKET_SERVER))
		return masked ? "a masked frame of a server" : "an unmasked frame of a client";
	if ((wrong = opcode_wrong(ws)) != NULL || (wrong = length_wrong(ws)) != NULL)
		return wrong;
	memset(ws->key, 0, sizeof ws->key);
	if (masked)
		memcpy(ws->key, ws->head + ws->head_size - WEBSOCKET_KEY_SIZE, sizeof ws->key);
	uint8_t opcode = ws->head[0] & BITS_OPCODE;
	if (opcode == WEBSOCKET_OP_TEXT || opcode == WEBSOCKET_OP_BINARY)
		ws->opcode = opcode;
	ws->control_size = 0;
	ws->in_frame = true;
	return NULL;
}

static void frame_end(struct websocket *ws)
{
	ws->in_frame = false;
	ws->head_size = 0;
}

// Takes what there is of the frame's payload, unmasked.
static struct span payload_take(struct websocket *ws, struct span *in)
{
	struct span piece = {in->p, (size_t)MIN((uint64_t)in->n, ws->left)};
	if (ws->role == WEBSOCKET_SERVER)
		websocket_mask((char *)(uintptr_t)piece.p, piece.n, ws->key);
	ws->left -= piece.n;
	in->p += piece.n;
	in->n -= piece.n;
	return piece;
}

static bool code_ok(uint16_t code)
{
	// Section 7.4 and the registry it begins; 1005, 1006 and 1015 are never sent.
	return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
	       (code >= 3000 && code <= 4999);
}

static enum websocket_outcome close_event(struct websocket *ws, struct websocket_event *event)
{
	if (ws->control_size == 1)
		return bad(ws, event, WEBSOCKET_PROTOCOL_ERROR, "half a close code");
	event->code = WEBSOCKET_NO_CODE;
	if (ws->control_size > 0) {
		event->code = (uint16_t)(ws->control[0] << 8 | ws->control[1]);
		event->payload = (struct span){event->payload.p + 2, event->payload.n - 2};
		if (!code_ok(event->code))
			return bad(ws, event, WEBSOCKET_PROTOCOL_ERROR, "an invalid close code");
		if (!utf8_valid(event->payload))
			return bad(ws, event, WEBSOCKET_PROTOCOL_ERROR,
				"a close reason that is not UTF-8");
	}
	ws->over = true;
	return WEBSOCKET_CLOSE;
}

// WEBSOCKET_MORE: the frame is not complete.
static enum websocket_outcome control_step(
	struct websocket *ws, struct span *in, struct websocket_event *event)
{
	struct span piece = payload_take(ws, in);
	if (piece.n > 0)
		memcpy(ws->control + ws->control_size, piece.p, piece.n);
	ws->control_size = (uint8_t)(ws->control_size + piece.n);
	if (ws->left > 0)
		return WEBSOCKET_MORE;
	frame_end(ws);
	*event = (struct websocket_event){.payload = {(const char *)ws->control, ws->control_size}};
	switch (ws->head[0] & BITS_OPCODE) {
	case WEBSOCKET_OP_PING: return WEBSOCKET_PING;
	case WEBSOCKET_OP_PONG: return WEBSOCKET_PONG;
	default: return close_event(ws, event);
	}
}

static enum websocket_outcome data_step(
	struct websocket *ws, struct span *in, struct websocket_event *event)
{
	*event = (struct websocket_event){
		.payload = payload_take(ws, in),
		.text = ws->opcode == WEBSOCKET_OP_TEXT,
		.last = ws->left == 0 && (ws->head[0] & BIT_LAST),
	};
	if (ws->left == 0)
		frame_end(ws);
	if (event->last)
		ws->opcode = 0;
	return WEBSOCKET_DATA;
}

enum websocket_outcome websocket_next(
	struct websocket *ws, struct span *in, struct websocket_event *event)
{
	while (!ws->over) {
		if (!ws->in_frame) {
			if (!head_gather(ws, in))
				return WEBSOCKET_MORE;
			const char *wrong = frame_begin(ws);
			if (wrong != NULL)
				return bad(ws, event, WEBSOCKET_PROTOCOL_ERROR, wrong);
		}
		if (in->n == 0 && ws->left > 0)
			return WEBSOCKET_MORE;
		if (ws->head[0] & BIT_CONTROL) {
			enum websocket_outcome r = control_step(ws, in, event);
			if (r != WEBSOCKET_MORE)
				return r;
			continue;
		}
		data_step(ws, in, event);
		if (event->payload.n > 0 || event->last)
			return WEBSOCKET_DATA;
	}
	in->p += in->n;
	in->n = 0;
	return WEBSOCKET_MORE;
}

// ---- writing

size_t websocket_head(uint8_t out[WEBSOCKET_HEAD_MAX], enum websocket_opcode opcode, bool last,
	uint64_t n, const uint8_t *key)
{
	size_t bytes = n > UINT16_MAX ? 8 : n >= LENGTH_16 ? 2 : 0;
	uint8_t length = (uint8_t)(bytes == 8 ? LENGTH_64 : bytes == 2 ? LENGTH_16 : n);
	size_t size = HEAD_LEAST;

	out[0] = (uint8_t)((last ? BIT_LAST : 0) | opcode);
	out[1] = (uint8_t)((key != NULL ? BIT_MASK : 0) | length);
	while (bytes > 0)
		out[size++] = (uint8_t)(n >> (8 * --bytes));
	if (key != NULL) {
		memcpy(out + size, key, WEBSOCKET_KEY_SIZE);
		size += WEBSOCKET_KEY_SIZE;
	}
	return size;
}

size_t websocket_control(uint8_t out[WEBSOCKET_CONTROL_FRAME_MAX], enum websocket_role role,
	enum websocket_opcode opcode, struct span payload)
{
	uint8_t key[WEBSOCKET_KEY_SIZE] = {0};
	bool client = role == WEBSOCKET_CLIENT;

	assert(payload.n <= WEBSOCKET_CONTROL_MAX);
	if (client && websocket_key(key) < 0)
		return 0;
	size_t size = websocket_head(out, opcode, true, payload.n, client ? key : NULL);
	if (payload.n > 0)
		memcpy(out + size, payload.p, payload.n);
	websocket_mask((char *)out + size, payload.n, key);
	return size + payload.n;
}

size_t websocket_close(uint8_t out[WEBSOCKET_CONTROL_FRAME_MAX], enum websocket_role role,
	uint16_t code, struct span why)
{
	char payload[WEBSOCKET_CONTROL_MAX];
	size_t n = MIN(why.n, (size_t)WEBSOCKET_REASON_MAX);

	if (code == 0)
		return websocket_control(out, role, WEBSOCKET_OP_CLOSE, (struct span){NULL, 0});
	payload[0] = (char)(code >> 8);
	payload[1] = (char)code;
	while (n > 0 && n < why.n && ((uint8_t)why.p[n] & 0xc0) == 0x80)
		n--; // not in the middle of a character
	if (n > 0)
		memcpy(payload + 2, why.p, n);
	return websocket_control(out, role, WEBSOCKET_OP_CLOSE, (struct span){payload, n + 2});
}
