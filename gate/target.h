// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What a request target leads to. The one place where a path decides which process gets a visitor.

#pragma once

#include "util.h"

enum target_kind {
	TARGET_OTHER = 0, // everything that belongs to the API worker: /_api, /_t, health, mistakes
	TARGET_TUNNEL,    // /t/ID, /t/ID/..., /t/ID?...
	TARGET_BARE,      // /ID, /ID/..., /ID?...: the same path behind /t is meant
};

struct target {
	enum target_kind kind;
	struct span id; // of the tunnel, inside PATH; whether it lives is for the routes to say
};

// PATH is that of http_request_parse(): nothing is decoded here, so a path means what its bytes are
// and an escaped spelling of an id is none.
struct target target_of(struct span path);
