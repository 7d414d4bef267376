// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What is signed about one tunnel: while it lives, with the asker's nonce (a tunnel statement), and
// once when it has ended (a receipt). All of it is the supervisor's word, CONFIG being the very
// bytes that the relay enforces; counters are the relay's.
//
//     {"type":"tunneld-tunnel/1","nonce":HEX,"untrusted_time":TIME,"uptime_ms":N,"tunnel":{...},
//      "relay":{"sha256":HEX,"uid":N,"seccomp":"filter","no_new_privs":true,"capabilities":N,
//      "landlock":true},"counters":{...}}
//     {"type":"tunneld-receipt/1","untrusted_time":..,"uptime_ms":..,"tunnel":..,"relay":..,
//      "counters":..,"started_at":TIME,"ended_at":TIME,"reason":"expired"}

#pragma once

#include "buf.h"
#include "counters.h"
#include "facts.h"
#include "messages.h"

#define TUNNEL_TYPE  "tunneld-tunnel/1"
#define RECEIPT_TYPE "tunneld-receipt/1"

struct statement {
	struct span nonce;      // of a tunnel statement
	struct span config;     // CONFIG
	enum end_reason reason; // END_NONE: a tunnel statement
	uint64_t age_ms;        // since the tunnel's beginning
	struct statement_relay {
		uint64_t uid, seccomp, capabilities;
		bool no_new_privs, landlock;
	} relay;
	uint64_t counters[COUNTERS_N];
};

// Reads STATE. Returns 0 or -EBADMSG: neither a statement nor a receipt.
int statement_read(struct statement *statement, const struct wire_value *fields) WARN_UNUSED;

static inline const char *statement_type(const struct statement *statement)
{
	return statement->reason == END_NONE ? TUNNEL_TYPE : RECEIPT_TYPE;
}

// Appends it and writes the tunnel's id. Returns 0, -EBADMSG when CONFIG is none, or a negative
// errno of buf_add().
int statement_format(struct buf *out, const struct statement *statement, const struct facts *facts,
	char id[TUNNEL_ID_MAX + 1]) WARN_UNUSED;
