// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// WebSocket frames (RFC 6455), for both ends. Bytes in, pieces of messages out: nothing is
// allocated and nothing of a message is kept, so that a frame may be of any length and a connection
// that is idle costs what struct websocket is.
//
// Strict: masked exactly where section 5.1 wants it, lengths in their shortest form, no reserved
// bits (we negotiate no extension), no unknown opcode, control frames whole and of at most 125
// bytes, close codes of section 7.4 and a reason in UTF-8. A message may come in fragments: whoever
// reads it gets pieces anyway. Whether a text message is UTF-8 is for the caller to judge.

#pragma once

#include "util.h"

enum websocket_role { WEBSOCKET_SERVER, WEBSOCKET_CLIENT };

enum websocket_opcode {
	WEBSOCKET_OP_MORE = 0, // the next fragment of a message
	WEBSOCKET_OP_TEXT = 1,
	WEBSOCKET_OP_BINARY = 2,
	WEBSOCKET_OP_CLOSE = 8,
	WEBSOCKET_OP_PING = 9,
	WEBSOCKET_OP_PONG = 10,
};

// Close codes, section 7.4.1. 4000 to 4999 are the application's.
enum websocket_code {
	WEBSOCKET_NORMAL = 1000,
	WEBSOCKET_GOING_AWAY = 1001,
	WEBSOCKET_PROTOCOL_ERROR = 1002,
	WEBSOCKET_UNSUPPORTED = 1003,
	WEBSOCKET_NO_CODE = 1005, // never sent: the peer gave none
	WEBSOCKET_POLICY = 1008,
	WEBSOCKET_TOO_BIG = 1009,
	WEBSOCKET_INTERNAL = 1011,
};

enum {
	WEBSOCKET_HEAD_MAX = 14,     // of a frame
	WEBSOCKET_CONTROL_MAX = 125, // payload of a control frame
	WEBSOCKET_REASON_MAX = WEBSOCKET_CONTROL_MAX - 2,
	WEBSOCKET_KEY_SIZE = 4,
};

// ---- reading

struct websocket {
	enum websocket_role role;        // ours
	uint8_t opcode;                  // of the message whose next fragment is to come, 0: none
	uint8_t head_size;               // of the frame in hand, as far as it is here
	bool in_frame;                   // its head is complete
	bool over;                       // a close frame or a violation: nothing more is read
	uint8_t control_size;            // of `control`
	uint8_t key[WEBSOCKET_KEY_SIZE]; // turned so that it fits the next byte
	uint64_t left;                   // of the frame's payload
	uint8_t head[WEBSOCKET_HEAD_MAX];
	uint8_t control[WEBSOCKET_CONTROL_MAX];
};

enum websocket_outcome {
	WEBSOCKET_MORE = 0, // all bytes are used
	WEBSOCKET_DATA,     // a piece of a message
	WEBSOCKET_PING,     // to be answered with a pong of the same payload
	WEBSOCKET_PONG,
	WEBSOCKET_CLOSE, // to be answered with a close frame, unless we have sent one
	WEBSOCKET_BAD,   // a violation, see `why`
};

struct websocket_event {
	struct span payload; // unmasked: inside the bytes given, or inside the struct websocket
	bool text;           // DATA: of a text message, not a binary one
	bool last;           // DATA: the message ends with this piece, which may be empty
	uint16_t code;       // CLOSE: the peer's, or WEBSOCKET_NO_CODE; BAD: what to answer
	const char *why;     // BAD: static text, short enough for a close frame
};

void websocket_init(struct websocket *websocket, enum websocket_role role);

// Takes the next event out of *IN, whose bytes it unmasks in place, and moves *IN behind it. Call
// it until it returns WEBSOCKET_MORE. After CLOSE or BAD it returns MORE for whatever comes.
enum websocket_outcome websocket_next(
	struct websocket *websocket, struct span *in, struct websocket_event *event);

// ---- writing

// Writes the head of a frame with N bytes of payload into OUT. KEY is the mask of a client's frame,
// NULL for a server's. LAST: no further fragment of the message follows. Returns its length.
size_t websocket_head(uint8_t out[WEBSOCKET_HEAD_MAX], enum websocket_opcode opcode, bool last,
	uint64_t n, const uint8_t *key);

// Writes a whole control frame of at most WEBSOCKET_CONTROL_MAX bytes of payload into OUT, masked
// with a fresh key where ROLE is a client. Returns its length, 0 when there is no key to be had.
enum { WEBSOCKET_CONTROL_FRAME_MAX = 6 + WEBSOCKET_CONTROL_MAX };
size_t websocket_control(uint8_t out[WEBSOCKET_CONTROL_FRAME_MAX], enum websocket_role role,
	enum websocket_opcode opcode, struct span payload);

// The same for a close frame; of WHY as much as fits is sent. Without code (0) it is empty.
size_t websocket_close(uint8_t out[WEBSOCKET_CONTROL_FRAME_MAX], enum websocket_role role,
	uint16_t code, struct span why);

// Masks or unmasks N bytes in place and turns KEY so that it fits the byte behind them.
void websocket_mask(char *bytes, size_t n, uint8_t key[WEBSOCKET_KEY_SIZE]);

// A key that nobody can foresee (section 5.3); drawn from a small store of random bytes. Returns 0
// or a negative errno of getrandom(2).
int websocket_key(uint8_t key[WEBSOCKET_KEY_SIZE]) WARN_UNUSED;
