// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "messages.h"

#include "code.h"
#include "counters.h"
#include "metrics.h"
#include "networks.h"
#include "origin.h"
#include "secret.h"

#define SUP   (1 << ROLE_SUPERVISOR)
#define GATE  (1 << ROLE_GATE)
#define API   (1 << ROLE_API)
#define RELAY (1 << ROLE_RELAY)
#define RES   (1 << ROLE_RESOLVER)
#define ATT   (1 << ROLE_ATTESTOR)
#define EDGE  (1 << ROLE_EDGE)

#define U(name, most)                    \
	{                                \
		name, WIRE_UINT, most, 0 \
	}
#define B(name)                       \
	{                             \
		name, WIRE_BOOL, 1, 0 \
	}
#define S(name, least, most)                \
	{                                   \
		name, WIRE_STR, most, least \
	}
#define X(name, least, most)                \
	{                                   \
		name, WIRE_BIN, most, least \
	}

#define ID         S("tunnel", 3, TUNNEL_ID_MAX)
#define REQUEST    U("request", UINT64_MAX)
#define HASH(nm)   X(nm, SECRET_HASH_SIZE, SECRET_HASH_SIZE)
#define DIGEST(nm) X(nm, 32, 32)
#define COUNT      UINT64_MAX
#define U32        UINT32_MAX
#define SECONDS    0x7fffffff
#define MS         (SECONDS * 1000ull)
#define COUNTER_FIELDS                                                                         \
	U("connections", COUNT), U("open", COUNT), U("requests", COUNT), U("bytes_in", COUNT), \
		U("bytes_out", COUNT), U("last_activity", COUNT), U("agents", COUNT)

// Fields stand apart, so that a row is as large as its own fields.
// clang-format off
#define FIELDS(...) (const struct message_field[]){__VA_ARGS__, {.name = ""}}
#define NO_FIELDS   (const struct message_field[]){{.name = ""}}
// clang-format on

const struct message_type message_types[] = {
	{MSG_READY, "READY",
		"The child has sealed itself; what it reached, as bits of `seal_reached`.",
		GATE | API | RELAY | RES | ATT | EDGE, SUP, PHASE_START, FD_NEVER,
		FIELDS(U("reached", 31))},
	{MSG_LOG, "LOG", "A line for the log: level 0 error, 1 warning, 2 information, 3 debug.",
		GATE | API | RELAY | RES | ATT | EDGE, SUP, PHASE_START | PHASE_RUN, FD_NEVER,
		FIELDS(U("level", 3), S("text", 1, 1024))},

	{MSG_REQUESTS, "REQUESTS",
		"Entries of the request log (`common/request_log.h`), and how many were left out.",
		GATE | API | RELAY, SUP, PHASE_RUN, FD_NEVER,
		FIELDS(U("dropped", U32), X("entries", 0, REQUEST_BATCH_SIZE))},

	{MSG_ORIGINS, "ORIGINS",
		"Before the settings: whose X-Forwarded-For is believed, as networks (`common/networks.h`); where "
		"tunnels are found, as URLs (`common/origin.h`); whether the API has listeners of its own.",
		SUP, GATE | API | RELAY, PHASE_START, FD_NEVER,
		FIELDS(X("trusted_proxies", 0, NETWORKS_MAX *NETWORK_SIZE),
			S("path_url", 1, ORIGIN_TEXT_MAX), S("port_url", 0, ORIGIN_TEXT_MAX),
			S("wildcard_url", 0, ORIGIN_TEXT_MAX), B("control"))},

	{MSG_GATE_SETUP, "GATE_SETUP", "Settings of a gate; the first message it gets.", SUP, GATE,
		PHASE_START, FD_NEVER,
		FIELDS(U("head_timeout_ms", MS), U("max_pending", 1000000),
			U("request_log", 1000000), U("max_per_tunnel", 1000000),
			U("pending_timeout_ms", MS))},
	{MSG_LISTENER, "LISTENER",
		"A listening socket to accept visitors on, its number, what it is for (`listener_use`), and whether "
		"each connection has to begin with a PROXY header.",
		SUP, GATE | EDGE, PHASE_RUN, FD_ALWAYS,
		FIELDS(U("listener", LISTENERS_MAX - 1), U("use", LISTENER_USES - 1), B("proxy"))},
	{MSG_GATE_COUNTS, "GATE_COUNTS",
		"For metrics, at most once a second: what has happened since the last one (visitors "
		"accepted, cut off without a word, answered with an error), and who waits now.",
		GATE, SUP, PHASE_RUN, FD_NEVER,
		FIELDS(U("accepted", U32), U("cut", U32), U("bad_request", U32),
			U("head_too_large", U32), U("request_timeout", U32), U("draining", U32),
			U("reading", U32), U("parked", U32), U("closing", U32),
			U("descriptors", U32))},
	{MSG_ROUTE_ADD, "ROUTE_ADD",
		"A live tunnel, the number of the listener that is its own (0: none), and the sending end of its "
		"relay's visitor channel; replaces an older one.",
		SUP, GATE, PHASE_RUN, FD_ALWAYS, FIELDS(ID, U("listener", LISTENERS_MAX - 1))},
	{MSG_ROUTE_DROP, "ROUTE_DROP", "The tunnel has no relay any more.", SUP, GATE, PHASE_RUN,
		FD_NEVER, FIELDS(ID)},

	{MSG_RELAY_SETUP, "RELAY_SETUP",
		"The tunnel's CONFIG, the hash of its visitor secret, the waits, its end on CLOCK_BOOTTIME, and "
		"whether people are shown a notice; the first message.",
		SUP, RELAY, PHASE_START, FD_NEVER,
		FIELDS(X("config", 1, 4096), HASH("secret_hash"), U("head_timeout_ms", MS),
			U("idle_timeout_ms", MS), U("connect_timeout_ms", MS),
			U("failure_rate", 1000000), U("request_log", 1000000),
			U("agent_grace_ms", MS), U("deadline_us", INT64_MAX), B("notice"))},
	{MSG_DIAL, "DIAL",
		"Asks for a connection to the backend; attempt 0 is the address that was asked for last.",
		RELAY, SUP, PHASE_RUN, FD_NEVER, FIELDS(REQUEST, U("attempt", ADDRESSES_MAX))},
	{MSG_DIALED, "DIALED",
		"A socket that is connecting to the backend, and how many attempts there are to make.",
		SUP, RELAY, PHASE_RUN, FD_ALWAYS, FIELDS(REQUEST, U("addresses", ADDRESSES_MAX))},
	{MSG_PAGE_OUT, "PAGE_OUT",
		"A visitor connection that needs a page: the code (0: the notice), whether it was a HEAD request, "
		"seconds for Retry-After. With `auth_failed` these say that failures came too fast: a 429.",
		RELAY, SUP, PHASE_RUN, FD_ALWAYS,
		FIELDS(U("code", CODES - 1), B("to_head"), U("retry_after", SECONDS))},
	{MSG_DIAL_FAILED, "DIAL_FAILED", "There is no connection; why, as `dial_failure`.", SUP,
		RELAY, PHASE_RUN, FD_NEVER, FIELDS(REQUEST, U("reason", DIAL_FAILURES - 1))},
	{MSG_USED_UP, "USED_UP", "A budget of the tunnel is used up: the supervisor ends it.",
		RELAY, SUP, PHASE_RUN, FD_NEVER, FIELDS(S("budget", 1, 16))},
	{MSG_RELAY_CONFIG, "RELAY_CONFIG",
		"A new CONFIG that replaces the relay's and differs from it in its life only, and the new end.",
		SUP, RELAY, PHASE_RUN, FD_NEVER,
		FIELDS(X("config", 1, 4096), U("deadline_us", INT64_MAX))},
	{MSG_AGENT, "AGENT",
		"The connection of an agent of this pull tunnel, a WebSocket from here on, and what has been "
		"read of it behind the request head.",
		SUP, RELAY, PHASE_RUN, FD_ALWAYS, FIELDS(X("bytes", 0, MESSAGE_HEAD_MAX))},
	{MSG_DRAIN, "DRAIN",
		"The server stops: the relay of a pull tunnel says so to its agents, ends their connections in "
		"order, and exits.",
		SUP, RELAY, PHASE_RUN, FD_NEVER, NO_FIELDS},
	{MSG_AGENT_MEMORY, "AGENT_MEMORY",
		"How many bytes the relay of a pull tunnel may keep for visitors that do not read.",
		SUP, RELAY, PHASE_RUN, FD_NEVER, FIELDS(U("bytes", COUNT))},

	{MSG_API_SETUP, "API_SETUP", "Settings of the API worker; the first message it gets.", SUP,
		API, PHASE_START, FD_NEVER,
		FIELDS(HASH("owner_token_hash"), S("version", 1, 64), S("boot_id", 36, 36),
			U("max_tunnels", 1000000), U("max_timeout_s", SECONDS),
			U("default_timeout_s", SECONDS), U("max_connections", 1000000),
			U("request_rate", 1000000), U("create_rate", 1000000),
			U("retention_s", SECONDS), U("failure_rate", 1000000),
			U("max_tokens", 1000000), U("request_log", 1000000),
			U("max_event_streams", 1000), U("idempotency_answers", 1000000),
			U("max_api_connections", 1000000), U("head_timeout_ms", MS),
			U("api_timeout_ms", MS), U("agent_rate", 1000000), U("attestation", 3),
			S("control_host", 0, 255), S("abuse_contact", 0, 300))},
	{MSG_SPAWN, "SPAWN",
		"Starts a tunnel: its settings (CONFIG is made of them), its whole life, and for a tunnel "
		"that lived before its BOOTTIME deadline (0: none) and counters. Without a backend its agents "
		"connect to it. `origin` is empty for the best there is, `port` the one it had, or 0.",
		API, SUP, PHASE_RUN, FD_NEVER,
		FIELDS(REQUEST, ID, S("name", 0, 128), S("backend", 0, 300), S("auth", 4, 6),
			S("prefix", 4, 5), HASH("secret_hash"), B("owner"), U("life_ms", MS),
			U("deadline_us", INT64_MAX), U("max_connections", COUNT),
			U("max_requests", COUNT), U("max_bytes", COUNT), U("request_rate", 1000000),
			X("counters", 0, COUNTERS_N * 10 + 2), S("origin", 0, 8),
			U("port", UINT16_MAX))},
	{MSG_LIVE, "LIVE", "A tunnel that lives: its deadline on CLOCK_BOOTTIME and its counters.",
		SUP, API, PHASE_RUN, FD_NEVER,
		FIELDS(ID, U("deadline_us", INT64_MAX), COUNTER_FIELDS)},
	{MSG_END, "END", "Ends a tunnel: 2 revoked, 4 failed (`end_reason`).", API, SUP, PHASE_RUN,
		FD_NEVER, FIELDS(REQUEST, ID, U("reason", END_REASONS - 1))},
	{MSG_LIVE_DONE, "LIVE_DONE", "All that live have been named.", SUP, API, PHASE_RUN,
		FD_NEVER, NO_FIELDS},
	{MSG_COUNTERS_GET, "COUNTERS_GET", "Asks for a tunnel's counters.", API, SUP, PHASE_RUN,
		FD_NEVER, FIELDS(REQUEST, ID)},
	{MSG_EXTEND, "EXTEND",
		"Moves the end of a tunnel that lives to so many milliseconds from now.", API, SUP,
		PHASE_RUN, FD_NEVER, FIELDS(REQUEST, ID, U("left_ms", MS))},
	{MSG_EXTENDED, "EXTENDED", "The tunnel lives and has a new deadline.", SUP, API, PHASE_RUN,
		FD_NEVER, FIELDS(REQUEST, U("deadline_us", INT64_MAX))},
	{MSG_EXTEND_FAILED, "EXTEND_FAILED",
		"The tunnel's end is where it was: a code and a sentence.", SUP, API, PHASE_RUN,
		FD_NEVER, FIELDS(REQUEST, U("code", CODES - 1), S("detail", 0, 512))},
	{MSG_AGENT_IN, "AGENT_IN",
		"The connection of an agent that has been answered 101, for the relay of this tunnel, and what "
		"has been read behind the request head.",
		API, SUP, PHASE_RUN, FD_ALWAYS, FIELDS(ID, X("bytes", 0, MESSAGE_HEAD_MAX))},
	{MSG_SPAWNED, "SPAWNED",
		"The relay is sealed, inspected and reachable; its deadline, the origin that comes first, and its "
		"own port (0: none).",
		SUP, API, PHASE_RUN, FD_NEVER,
		FIELDS(REQUEST, U("deadline_us", INT64_MAX), S("origin", 4, 8),
			U("port", UINT16_MAX))},
	{MSG_ENDED_ACK, "ENDED_ACK", "The end of this tunnel is stored.", API, SUP, PHASE_RUN,
		FD_NEVER, FIELDS(ID)},
	{MSG_SPAWN_FAILED, "SPAWN_FAILED", "The tunnel was not started: a code and a sentence.",
		SUP, API, PHASE_RUN, FD_NEVER,
		FIELDS(REQUEST, U("code", CODES - 1), S("detail", 0, 512))},
	{MSG_SNAPSHOT, "SNAPSHOT",
		"Asks once more for what comes after API_SETUP: LIVE of every tunnel, LIVE_DONE, ENDED.",
		API, SUP, PHASE_RUN, FD_NEVER, NO_FIELDS},
	{MSG_ENDED, "ENDED",
		"A tunnel's relay is dead: why, and its last counters. Repeated to the next API worker until "
		"acknowledged.",
		SUP, API, PHASE_RUN, FD_NEVER,
		FIELDS(ID, U("reason", END_REASONS - 1), COUNTER_FIELDS)},
	{MSG_STOPPED, "STOPPED", "The database is closed; the worker exits.", API, SUP, PHASE_RUN,
		FD_NEVER, NO_FIELDS},
	{MSG_COUNTERS, "COUNTERS",
		"The answer to COUNTERS_GET; all 0 when the tunnel does not live.", SUP, API,
		PHASE_RUN, FD_NEVER, FIELDS(REQUEST, COUNTER_FIELDS)},
	{MSG_PAGE, "PAGE",
		"A PAGE_OUT of a relay, with the tunnel's id put there by the supervisor. The worker answers "
		"once and closes.",
		SUP, API, PHASE_RUN, FD_ALWAYS,
		FIELDS(ID, U("code", CODES - 1), B("to_head"), U("retry_after", SECONDS))},
	{MSG_METRICS_GET, "METRICS_GET", "Asks for what the supervisor counts.", API, SUP,
		PHASE_RUN, FD_NEVER, FIELDS(REQUEST)},
	{MSG_METRICS, "METRICS", "The answer to METRICS_GET: a `struct metrics`.", SUP, API,
		PHASE_RUN, FD_NEVER,
		FIELDS(REQUEST, X("numbers", sizeof(struct metrics), sizeof(struct metrics)))},
	{MSG_STOP, "STOP", "Close the database and exit.", SUP, API, PHASE_START | PHASE_RUN,
		FD_NEVER, NO_FIELDS},

	{MSG_EDGE_SETUP, "EDGE_SETUP", "Settings of an edge; the first message it gets.", SUP, EDGE,
		PHASE_START, FD_NEVER,
		FIELDS(U("handshake_timeout_ms", MS), U("max_handshakes", 1000000))},
	{MSG_EDGE_KEY, "EDGE_KEY",
		"A certificate chain (PEM) and the file with its key, `index` of `count`; the first is for "
		"visitors who name no other. The last one makes all of them count, instead of older ones.",
		SUP, EDGE, PHASE_RUN, FD_ALWAYS,
		FIELDS(U("index", CHAINS_MAX - 1), U("count", CHAINS_MAX),
			X("chain", 1, CHAIN_MAX))},
	{MSG_TICKET_KEYS, "TICKET_KEYS",
		"What session tickets are sealed with from now on, and what those of before were.",
		SUP, EDGE, PHASE_RUN, FD_NEVER,
		FIELDS(X("current", TICKET_KEY_SIZE, TICKET_KEY_SIZE),
			X("previous", 0, TICKET_KEY_SIZE))},
	{MSG_EDGE_COUNTS, "EDGE_COUNTS",
		"For metrics, at most once a second: handshakes of visitors that were completed and that "
		"failed since the last one, and who is there now (in a handshake, waiting for a gate, open).",
		EDGE, SUP, PHASE_RUN, FD_NEVER,
		FIELDS(U("completed", U32), U("failed", U32), U("handshakes", U32),
			U("offered", U32), U("open", U32), U("descriptors", U32))},
	{MSG_EDGE_DIAL, "EDGE_DIAL",
		"A socket that is connecting to a backend: TLS is to be spoken on it to `host`, whose "
		"certificate has to be for that name unless it may be any.",
		SUP, EDGE, PHASE_RUN, FD_ALWAYS,
		FIELDS(REQUEST, S("host", 1, 253), B("unchecked"), U("timeout_ms", MS))},
	{MSG_EDGE_DIALED, "EDGE_DIALED", "The end of a socket pair with the decrypted stream.",
		EDGE, SUP, PHASE_RUN, FD_ALWAYS, FIELDS(REQUEST)},
	{MSG_EDGE_DIAL_FAILED, "EDGE_DIAL_FAILED", "There is none; why, as `dial_failure`.", EDGE,
		SUP, PHASE_RUN, FD_NEVER, FIELDS(REQUEST, U("reason", DIAL_FAILURES - 1))},
	{MSG_KEY_JOB, "KEY_JOB",
		"To `tunneld-edge --keygen`. With a chain: the file with its key, to be checked. Without: "
		"the file with a key, or an empty one for a new key, of which a certificate is to be made, for "
		"`names` (with commas between), valid for `life_s`, with quote and event log if there are any.",
		SUP, EDGE, PHASE_START | PHASE_RUN, FD_ALWAYS,
		FIELDS(S("names", 0, 1024), X("chain", 0, CHAIN_MAX), U("life_s", SECONDS),
			X("quote", 0, RATLS_QUOTE_MAX), X("event_log", 0, RATLS_LOG_MAX))},
	{MSG_KEY_MADE, "KEY_MADE",
		"The key of the job is good: its public half (SubjectPublicKeyInfo), and the chain to be "
		"used with it.",
		EDGE, SUP, PHASE_RUN, FD_NEVER,
		FIELDS(X("spki", 1, SPKI_MAX), X("chain", 1, CHAIN_MAX))},
	{MSG_KEY_REFUSED, "KEY_REFUSED", "It is not; why, for people.", EDGE, SUP, PHASE_RUN,
		FD_NEVER, FIELDS(S("why", 1, 512))},

	{MSG_RESOLVE, "RESOLVE", "The one name to look up.", SUP, RES, PHASE_START, FD_NEVER,
		FIELDS(S("name", 1, 253))},
	{MSG_RESOLVED, "RESOLVED", "Its addresses, 16 bytes each (IPv4 mapped), best first.", RES,
		SUP, PHASE_RUN, FD_NEVER, FIELDS(X("addresses", 16, 16 * ADDRESSES_MAX))},
	{MSG_RESOLVE_FAILED, "RESOLVE_FAILED", "The look-up failed; why, for people.", RES, SUP,
		PHASE_RUN, FD_NEVER, FIELDS(S("why", 1, 256))},

	{MSG_ATTEST_SETUP, "ATTEST_SETUP",
		"What the attestor is to state about this instance, and whether it has to fetch "
		"`collateral`; the first message it gets.",
		SUP, ATT, PHASE_START, FD_NEVER,
		FIELDS(S("version", 1, 64), S("commit", 1, 80), S("tree_sha256", 64, 64),
			DIGEST("config_sha256"), U("started_at", INT64_MAX),
			U("started_us", INT64_MAX), U("fresh_rate", 1000000),
			X("components", 1, 16384), B("collateral"))},
	{MSG_TLS_KEYS, "TLS_KEYS",
		"The TLS keys of this instance, all of them: with the first of these, and each that "
		"changes something, there is an instance statement anew. `own`: the SubjectPublicKeyInfo "
		"of a key made here whose certificate is to carry a quote (RATLS), or empty.",
		SUP, ATT, PHASE_RUN, FD_NEVER, FIELDS(X("keys", 0, 16384), X("own", 0, SPKI_MAX))},
	{MSG_GUEST_WANTED, "GUEST_WANTED", "Asks for a connection to the guest service.", ATT, SUP,
		PHASE_RUN, FD_NEVER, NO_FIELDS},
	{MSG_GUEST, "GUEST",
		"A connection to the guest service; `old`: one that speaks the API from before dstack 0.4.",
		SUP, ATT, PHASE_RUN, FD_ALWAYS, FIELDS(B("old"))},
	{MSG_GUEST_FAILED, "GUEST_FAILED", "There is no guest service, or nobody accepts there.",
		SUP, ATT, PHASE_RUN, FD_NEVER, NO_FIELDS},
	{MSG_CERTIFIED, "CERTIFIED",
		"A piece of the document that certifies the instance key, from `offset` on, of `size` bytes "
		"in all; from `tail` on it is the end of other documents. `instance` is the SHA-256 of the "
		"instance statement, `quoted` whether there is a quote.",
		ATT, SUP, PHASE_RUN, FD_NEVER,
		FIELDS(U("offset", CERTIFICATE_MAX), U("size", CERTIFICATE_MAX),
			U("tail", CERTIFICATE_MAX), B("quoted"), DIGEST("instance"),
			X("piece", 1, CERTIFICATE_PIECE_MAX))},
	{MSG_STATE, "STATE",
		"Has something signed about a tunnel: with a nonce a statement for `asker`, an API worker; "
		"with the reason of its end (`end_reason`) a receipt.",
		SUP, ATT, PHASE_RUN, FD_NEVER,
		FIELDS(REQUEST, U("asker", U32), X("nonce", 0, NONCE_MAX),
			U("reason", END_REASONS - 1), U("age_ms", INT64_MAX), X("config", 1, 4096),
			U("uid", U32), U("seccomp", 2), B("no_new_privs"), U("capabilities", COUNT),
			B("landlock"), COUNTER_FIELDS)},
	{MSG_STATED, "STATED", "The answer to STATE: what was signed, and the signature.", ATT, SUP,
		PHASE_RUN, FD_NEVER,
		FIELDS(REQUEST, U("asker", U32), ID, X("statement", 1, STATEMENT_MAX),
			X("signature", 64, 64), DIGEST("instance"))},
	{MSG_FRESH, "FRESH", "Asks for a quote about a nonce, for `asker`, an API worker.", SUP,
		ATT, PHASE_RUN, FD_NEVER,
		FIELDS(REQUEST, U("asker", U32), X("nonce", NONCE_MIN, NONCE_MAX))},
	{MSG_QUOTED, "QUOTED", "The answer to FRESH: a document, or a code and a sentence.", ATT,
		SUP, PHASE_RUN, FD_NEVER,
		FIELDS(REQUEST, U("asker", U32), U("code", CODES - 1), U("retry_after", SECONDS),
			S("detail", 0, 128), X("document", 0, FRESH_MAX))},
	{MSG_RATLS, "RATLS",
		"A quote about the TLS key that was made here, and the event log (JSON) beside it: its "
		"certificate is made again and carries them.",
		ATT, SUP, PHASE_RUN, FD_NEVER,
		FIELDS(X("quote", 1, RATLS_QUOTE_MAX), X("event_log", 0, RATLS_LOG_MAX))},

	{MSG_COLLATERAL_WANTED, "COLLATERAL_WANTED",
		"Asks for a connection to where the operator's collateral is.", ATT, SUP, PHASE_RUN,
		FD_NEVER, NO_FIELDS},
	{MSG_COLLATERAL, "COLLATERAL",
		"A connection, or one being made, to `host`, which is to be asked for `path` by HTTP.",
		SUP, ATT, PHASE_RUN, FD_ALWAYS, FIELDS(S("host", 1, 300), S("path", 1, 1024))},
	{MSG_COLLATERAL_FAILED, "COLLATERAL_FAILED", "There is none.", SUP, ATT, PHASE_RUN,
		FD_NEVER, NO_FIELDS},

	{MSG_STATEMENT_GET, "STATEMENT_GET", "Asks for a statement about a tunnel that lives.", API,
		SUP, PHASE_RUN, FD_NEVER, FIELDS(REQUEST, ID, X("nonce", NONCE_MIN, NONCE_MAX))},
	{MSG_STATEMENT, "STATEMENT",
		"The answer to STATEMENT_GET: what was signed, or a code (not `none`).", SUP, API,
		PHASE_RUN, FD_NEVER,
		FIELDS(REQUEST, U("code", CODES - 1), X("statement", 0, STATEMENT_MAX),
			X("signature", 0, 64))},
	{MSG_FRESH_GET, "FRESH_GET", "Asks for a quote about a nonce.", API, SUP, PHASE_RUN,
		FD_NEVER, FIELDS(REQUEST, X("nonce", NONCE_MIN, NONCE_MAX))},
	{MSG_FRESH_QUOTE, "FRESH_QUOTE",
		"The answer to FRESH_GET: a document, or a code (not `none`) and a sentence.", SUP,
		API, PHASE_RUN, FD_NEVER,
		FIELDS(REQUEST, U("code", CODES - 1), U("retry_after", SECONDS),
			S("detail", 0, 128), X("document", 0, FRESH_MAX))},
	{MSG_CERTIFICATE, "CERTIFICATE",
		"A piece of what CERTIFIED says, as it says it: told to each worker, and again when it has "
		"changed. `former`: it was said by an attestor that is no more, and a RECEIPT of that follows.",
		SUP, API, PHASE_RUN, FD_NEVER,
		FIELDS(U("offset", CERTIFICATE_MAX), U("size", CERTIFICATE_MAX),
			U("tail", CERTIFICATE_MAX), B("quoted"), DIGEST("instance"),
			X("piece", 1, CERTIFICATE_PIECE_MAX), B("former"))},
	{MSG_RECEIPT, "RECEIPT",
		"What was signed at the end of a tunnel, and the instance statement (its SHA-256) that "
		"certifies the key. Comes right before its ENDED.",
		SUP, API, PHASE_RUN, FD_NEVER,
		FIELDS(ID, X("statement", 1, STATEMENT_MAX), X("signature", 64, 64),
			DIGEST("instance"))},

	{MSG_VISITOR, "VISITOR",
		"A visitor connection: its peer's address as the gate knows it, what the listener is for that "
		"it came by (`listener_use`), whether it came by TLS, the tunnel whose own origin it was sent to "
		"(empty: none), and the bytes read so far.",
		GATE, API | RELAY, PHASE_RUN, FD_ALWAYS,
		FIELDS(X("peer", PEER_SIZE, PEER_SIZE), U("use", LISTENER_USES - 1), B("tls"),
			S("own", 0, TUNNEL_ID_MAX), X("bytes", 1, MESSAGE_HEAD_MAX))},
	{MSG_STREAM, "STREAM",
		"A visitor who has come by TLS: the end of a socket pair with the decrypted stream, the "
		"peer's address, the listener, what that is for (`listener_use`), and the first bytes.",
		EDGE, GATE, PHASE_RUN, FD_ALWAYS,
		FIELDS(X("peer", PEER_SIZE, PEER_SIZE), U("listener", LISTENERS_MAX - 1),
			U("use", LISTENER_USES - 1), X("bytes", 1, STREAM_BYTES_MAX))},
};

const size_t message_n_types = ARRAY_SIZE(message_types);

enum { MESSAGE_LAST = 127 };

const struct message_type *message_find(uint64_t type)
{
	// Filled once: type numbers are small, so the row is found by index.
	static const struct message_type *rows[MESSAGE_LAST + 1];
	if (rows[MSG_READY] == NULL)
		for (size_t i = 0; i < message_n_types; i++)
			rows[message_types[i].type] = &message_types[i];
	return type <= MESSAGE_LAST ? rows[type] : NULL;
}

size_t message_n_fields(const struct message_type *type)
{
	size_t n = 0;
	while (type->fields[n].name[0] != '\0')
		n++;
	return n;
}

static bool field_fits(const struct message_field *field, const struct wire_value *value)
{
	if (value->kind != field->kind)
		return false;
	bool sized = value->kind == WIRE_STR || value->kind == WIRE_BIN;
	uint64_t measure = sized ? value->bytes.n : value->number;
	return measure >= field->min && measure <= field->max;
}

bool message_fits(
	const struct message_type *type, const struct wire_value *values, size_t n, size_t *which)
{
	size_t i = 0;
	for (; i < n && type->fields[i].name[0] != '\0'; i++)
		if (!field_fits(&type->fields[i], &values[i]))
			break;
	*which = i;
	return i == n && type->fields[i].name[0] == '\0';
}

const char *ipc_role_name(enum ipc_role role)
{
	static const char *const names[ROLES] = {
		[ROLE_SUPERVISOR] = "supervisor",
		[ROLE_GATE] = "gate",
		[ROLE_API] = "api",
		[ROLE_RELAY] = "relay",
		[ROLE_RESOLVER] = "resolver",
		[ROLE_ATTESTOR] = "attestor",
		[ROLE_EDGE] = "edge",
	};
	return names[role];
}

const char *end_reason_name(enum end_reason reason)
{
	static const char *const names[END_REASONS] = {
		[END_NONE] = "none",
		[END_EXPIRED] = "expired",
		[END_REVOKED] = "revoked",
		[END_EXHAUSTED] = "exhausted",
		[END_FAILED] = "failed",
	};
	return names[reason];
}
