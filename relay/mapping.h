// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Addresses in fields, between where the backend believes it is and where visitors find it. It is
// at the root of its own origin; they may find it below /t/<id>, on an origin it shares with other
// tunnels. docs/path-prefix.md has each rule with its reason. Bodies are never touched.
//
// The one idea: an absolute path the backend names is one of its own, so it is moved below the
// prefix, unless it is there already. Nothing it says about cookies or service workers reaches
// beyond.

#pragma once

#include "head_out.h"
#include "http_head.h"

struct mapping {
	struct span prefix;         // "/t/<id>"; empty on an origin of the tunnel's own
	bool outside;               // the folder of the request is not the prefix's, but / or /t
	bool keep;                  // the backend knows of the prefix and has it in its paths
	struct span backend;        // its authority
	struct span backend_scheme; // "http" or "https"
	struct span own;            // authority of the address that visitors have been told
	bool routing;     // a page: the browser is to show whose it is when it asks for other paths
	struct span pass; // pass.h, to be shown with that; empty: none is needed
	bool https;       // that is how the visitor sees us
	bool jar;         // cookies of other tunnels come here: a port, of the same host as theirs
	struct span id;   // of the tunnel
};

// Writes FIELD of an answer the way the visitor has to see it. Returns false when it is none of
// those that are mapped: nothing is written then.
bool mapping_response(
	struct head_out *out, const struct mapping *mapping, const struct http_field *field);

// Writes what an answer has besides the backend's fields.
void mapping_response_end(struct head_out *out, const struct mapping *mapping);

// The same for a field of a request, which has come to the host VISITED.
bool mapping_request(struct head_out *out, const struct mapping *mapping, struct span visited,
	const struct http_field *field);

// Whether a piece of a Cookie field has a name that was given to one of this backend's cookies so
// that it is no other tunnel's.
bool mapping_is_own(const struct mapping *mapping, struct span piece);

// One cookie of a Cookie field: with the name the backend has given it.
void mapping_cookie(struct head_out *out, const struct mapping *mapping, struct span piece);

// Whether a Cookie field with this VALUE may hold one with another name.
bool mapping_renames(const struct mapping *mapping, struct span value);

// Whether browsers would take PATH, as a URL, for a host and more.
bool mapping_names_a_host(struct span path);
