// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Every message that crosses between our processes, as one table: who sends it to whom, in which
// phase, with which fields, and whether a descriptor travels along. docs/ipc.md explains them; a
// test keeps page and table equal. Messages to the supervisor have odd numbers, its own even ones,
// those between other processes are 64 to 99.

#pragma once

#include "wire.h"

enum ipc_role {
	ROLE_SUPERVISOR,
	ROLE_GATE,
	ROLE_API,
	ROLE_RELAY,
	ROLE_RESOLVER,
	ROLE_ATTESTOR,
	ROLE_EDGE,
	ROLES
};

// Its name in the log, metrics and documents.
const char *ipc_role_name(enum ipc_role role);

// Phases of a channel as its receiver sees them; a message is accepted in those its row names.
enum ipc_phase {
	PHASE_START = 1 << 0, // supervisor: child not READY; child: not set up
	PHASE_RUN = 1 << 1,
};

enum message {
	// every child to the supervisor
	MSG_READY = 1,
	MSG_LOG = 3,
	MSG_REQUESTS = 7,

	// supervisor and gate
	MSG_GATE_SETUP = 2,
	MSG_LISTENER = 4,
	MSG_GATE_COUNTS = 5,
	MSG_ROUTE_ADD = 6,
	MSG_ROUTE_DROP = 8,

	// supervisor and relay
	MSG_RELAY_SETUP = 10,
	MSG_DIAL = 11,
	MSG_DIALED = 12,
	MSG_PAGE_OUT = 13,
	MSG_DIAL_FAILED = 14,
	MSG_USED_UP = 15,
	MSG_RELAY_CONFIG = 16,
	MSG_AGENT = 18,
	MSG_DRAIN = 46,
	MSG_AGENT_MEMORY = 48,

	// supervisor and API worker
	MSG_API_SETUP = 20,
	MSG_SPAWN = 21,
	MSG_LIVE = 22,
	MSG_END = 23,
	MSG_LIVE_DONE = 24,
	MSG_COUNTERS_GET = 25,
	MSG_SPAWNED = 26,
	MSG_ENDED_ACK = 27,
	MSG_SPAWN_FAILED = 28,
	MSG_SNAPSHOT = 29,
	MSG_ENDED = 30,
	MSG_STOPPED = 31,
	MSG_COUNTERS = 32,
	MSG_METRICS_GET = 33,
	MSG_PAGE = 34,
	MSG_EXTEND = 35,
	MSG_STOP = 36,
	MSG_METRICS = 38,
	MSG_EXTENDED = 42,
	MSG_EXTEND_FAILED = 44,
	MSG_AGENT_IN = 45,

	// supervisor and edge
	MSG_EDGE_SETUP = 50,
	MSG_KEY_MADE = 51,
	MSG_KEY_JOB = 52,
	MSG_KEY_REFUSED = 53,
	MSG_EDGE_KEY = 54,
	MSG_EDGE_DIALED = 55,
	MSG_TICKET_KEYS = 56,
	MSG_EDGE_DIAL_FAILED = 57,
	MSG_EDGE_DIAL = 58,
	MSG_EDGE_COUNTS = 59,

	// supervisor and resolver
	MSG_RESOLVE = 40,
	MSG_RESOLVED = 41,
	MSG_RESOLVE_FAILED = 43,

	// supervisor and whoever reads requests
	MSG_ORIGINS = 60,

	// supervisor and attestor
	MSG_ATTEST_SETUP = 100,
	MSG_GUEST_WANTED = 101,
	MSG_TLS_KEYS = 102,
	MSG_CERTIFIED = 103,
	MSG_GUEST = 104,
	MSG_STATED = 105,
	MSG_GUEST_FAILED = 106,
	MSG_QUOTED = 107,
	MSG_STATE = 108,
	MSG_FRESH = 110,
	MSG_RATLS = 113,
	MSG_COLLATERAL_WANTED = 115,
	MSG_COLLATERAL = 120,
	MSG_COLLATERAL_FAILED = 122,

	// supervisor and API worker, about evidence
	MSG_STATEMENT_GET = 109,
	MSG_FRESH_GET = 111,
	MSG_CERTIFICATE = 112,
	MSG_STATEMENT = 114,
	MSG_FRESH_QUOTE = 116,
	MSG_RECEIPT = 118,

	// gates to API worker and to relays
	MSG_VISITOR = 64,

	// edges to gates
	MSG_STREAM = 65,
};

enum { MESSAGE_FIELDS_MAX = 32 };

// Without pointers: what holds one is relocated at start, and every relay has its own copy then.
struct message_field {
	char name[20];
	enum wire_kind kind;
	uint64_t max; // greatest number, or most bytes
	uint64_t min; // least number, or fewest bytes
};

enum message_fd { FD_NEVER = 0, FD_ALWAYS };

struct message_type {
	enum message type;
	const char *name;
	const char *what; // a sentence for docs/ipc.md
	uint8_t from, to; // masks of 1 << enum ipc_role
	uint8_t phases;   // of the receiver
	enum message_fd fd;
	const struct message_field *fields; // up to the first without a name
};

extern const struct message_type message_types[];
extern const size_t message_n_types;

// The row of TYPE, or NULL.
const struct message_type *message_find(uint64_t type);

// Number of fields of a row.
size_t message_n_fields(const struct message_type *type);

// Whether VALUES fit the row's fields in number, kind and bounds; else *WHICH is the first that
// does not.
bool message_fits(
	const struct message_type *type, const struct wire_value *values, size_t n, size_t *which);

enum {
	TUNNEL_ID_MAX = 32,           // "t-" and base32 of 16 bytes is 28
	MESSAGE_HEAD_MAX = 48 * 1024, // bytes that travel with a descriptor
	MESSAGE_MAX = 64 * 1024,      // one datagram
	PEER_SIZE = 18,               // IPv6 or mapped IPv4 address, then port, big endian
	ADDRESSES_MAX = 16,           // of one name
	LISTENERS_MAX = 8192,         // of one tunneld; their numbers are below
	STREAM_BYTES_MAX = 16 * 1024, // that come with a stream: one TLS record
	CHAIN_MAX = 32 * 1024,        // a certificate and those that vouch for it, as PEM
	SPKI_MAX = 4096,              // SubjectPublicKeyInfo, DER
	CHAINS_MAX = 16,              // for SNI to choose from
	TICKET_KEY_SIZE = 80,         // name, AES-256 key and HMAC key of session tickets

	// Evidence: bytes of a statement, of an answer with a fresh quote, of the whole certificate
	// and what a message holds of it.
	STATEMENT_MAX = 8192,
	FRESH_MAX = 48 * 1024,
	CERTIFICATE_MAX = 1 << 20,
	CERTIFICATE_PIECE_MAX = 32 * 1024,
	// What a TLS certificate has room for: as PEM it has to fit CHAIN_MAX.
	RATLS_QUOTE_MAX = 10 * 1024,
	RATLS_LOG_MAX = 12 * 1024,
	NONCE_MIN = 16,
	NONCE_MAX = 64,
};

// What a listener is for.
enum listener_use {
	LISTENER_VISITORS = 0, // the addresses of tunneld itself
	LISTENER_METRICS = 1,  // all that comes is the API worker's
	LISTENER_CONTROL = 2,  // the same: the API has an origin of its own there
	LISTENER_PORT = 3,     // one of port_pool: of one tunnel at a time, or of none
	LISTENER_USES
};

// Why a tunnel ended; part of MSG_ENDED, stored and shown by name.
enum end_reason { END_NONE = 0, END_EXPIRED, END_REVOKED, END_EXHAUSTED, END_FAILED, END_REASONS };

// "expired" ...; the state a tunnel with this reason is in.
const char *end_reason_name(enum end_reason reason);

// Why MSG_DIAL_FAILED.
enum dial_failure {
	DIAL_REFUSED = 1,
	DIAL_TIMEOUT,
	DIAL_FORBIDDEN,
	DIAL_UNRESOLVED,
	DIAL_EXHAUSTED,
	DIAL_TLS, // no handshake that both sides agree to
	DIAL_CERT_EXPIRED,
	DIAL_CERT_NAME,
	DIAL_CERT_UNTRUSTED,
	DIAL_FAILURES
};
