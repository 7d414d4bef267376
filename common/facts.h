// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// How a visitor's connection came: settled once, by whoever accepted it, before a byte of a request
// is looked at. Nothing that the visitor sends changes it.

#pragma once

#include "messages.h"

struct facts {
	// Whom it is from: the socket's peer or, where the listener requires a PROXY header, the
	// one that header names.
	uint8_t peer[PEER_SIZE];
	uint16_t listener;     // its number
	enum listener_use use; // what that listener is for
	bool proxy;            // a PROXY header has to come yet
	bool local;            // the end of an edge's socket pair (ending.h), not TCP
	bool tls;              // encrypted on its way to us, or to a proxy that we believe
};

// The fields of MSG_VISITOR, in their order. The first three tell facts.
enum { FACTS_PEER, FACTS_USE, FACTS_TLS, FACTS_OWN, FACTS_BYTES };

// Reads these of FIELDS, which have been held against their row; the listener is not told.
static inline struct facts facts_read(const struct wire_value *fields)
{
	struct facts facts = {
		.use = (enum listener_use)fields[FACTS_USE].number,
		.tls = fields[FACTS_TLS].number != 0,
	};
	memcpy(facts.peer, fields[FACTS_PEER].bytes.p, PEER_SIZE);
	return facts;
}
