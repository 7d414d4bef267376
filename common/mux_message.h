// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The messages of `tunneld.v1`, docs/agent-protocol.md: each a MessagePack array in a WebSocket
// message of its own. Strict: every number and length in its shortest form, nothing behind the
// array, texts in UTF-8. Of the maps, members that are not known are passed over, so that later
// versions may say more.
//
//   HELLO  [0, 1, {instance, agent, streams, host}]   both, first
//   OPEN   [1, stream, {peer, proto}]                 relay to agent
//   DATA   [2, stream, bytes]                         both
//   CREDIT [3, stream, n]                             both
//   FIN    [4, stream]                                both
//   RESET  [5, stream, code]                          both
//   NOTICE [6, kind, value]                           relay to agent

#pragma once

#include "util.h"

enum mux_type {
	MUX_HELLO,
	MUX_OPEN,
	MUX_DATA,
	MUX_CREDIT,
	MUX_FIN,
	MUX_RESET,
	MUX_NOTICE,
	MUX_TYPES
};

enum {
	MUX_VERSION = 1,
	MUX_DATA_MAX = 64 * 1024, // bytes in one DATA
	MUX_MESSAGE_MAX = 1024,   // any other message
	MUX_DATA_HEAD_MAX = 12,   // of a DATA, before its bytes
	MUX_INSTANCE_MAX = 64,    // name of an agent's instance
	MUX_AGENT_MAX = 128,      // name and version of its program
	MUX_HOST_MAX = 260,       // authority of what is behind it
	MUX_PEER_MAX = 64,
	MUX_STREAMS_MAX = 16384, // open at a time, whatever a HELLO says
};

// Why a stream was reset; numbers on the wire. An unknown one is taken for MUX_RESET_CANCEL.
enum mux_reset {
	MUX_RESET_CANCEL = 0,     // its other side is gone or wants no more of it
	MUX_RESET_REFUSED = 1,    // no connection to the service behind the agent
	MUX_RESET_TIMEOUT = 2,    // nor within the agent's patience
	MUX_RESET_FAILED = 3,     // the connection to the service broke
	MUX_RESET_PROTO = 4,      // the service is not one for this proto
	MUX_RESET_STREAMS = 5,    // more streams than the HELLO allowed
	MUX_RESET_OVERLOADED = 6, // too much was buffered, most of it for this stream
	MUX_RESETS,
	MUX_RESET_GONE = MUX_RESETS, // never sent: the connection has ended
};

struct mux_message {
	enum mux_type type;
	uint32_t stream; // all but HELLO and NOTICE
	uint64_t number; // CREDIT: n, RESET: code, NOTICE: value, HELLO: streams (0: not said)
	struct span instance, agent, host; // HELLO; absent where not said
	struct span peer, proto;           // OPEN
	struct span kind;                  // NOTICE
};

// Decodes a whole message that is no DATA, in BYTES. Returns NULL, or what is wrong with it: static
// text, short enough for a close frame. Texts point into BYTES.
const char *mux_message_decode(struct mux_message *message, struct span bytes);

// Looks whether BYTES begin a DATA. Returns the length of what precedes its payload with *STREAM
// and *N set; 0 when more bytes are needed to tell; or -1 when it is not a well-formed DATA.
int mux_data_decode(struct span bytes, uint32_t *stream, uint32_t *n) WARN_UNUSED;

// Writes MESSAGE, any but DATA, into OUT. Returns its length; texts must be within their limits.
size_t mux_message_encode(char out[MUX_MESSAGE_MAX], const struct mux_message *message);

// Writes what precedes the payload of a DATA of N bytes. Returns its length.
size_t mux_data_encode(char out[MUX_DATA_HEAD_MAX], uint32_t stream, size_t n);
