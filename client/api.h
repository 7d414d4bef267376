// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Calls of the server's HTTP API (docs/api.md), and what its refusals mean.

#pragma once

#include "http.h"
#include "settings.h"
#include "tunnel_ref.h"

#include <jansson.h>

enum { API_ANSWER_MAX = 8 * 1024 * 1024, API_SECONDS = 30 };

struct api_call {
	const char *method; // NULL: GET
	const char *path;
	json_t *body;       // borrowed; NULL: none
	const char *fields; // more field lines, or NULL
};

// Calls. Returns 0 with the JSON document of a 2xx answer in *RET (the caller's), an exit code with
// its sentence, or a negative errno. The token is sent if there is one.
int api_call(const struct settings *settings, const struct api_call *call, json_t **ret,
	struct failure *failure) WARN_UNUSED;

// As api_call() for a list that may have several pages: all of them, one array.
int api_list(const struct settings *settings, const char *path, json_t **ret,
	struct failure *failure) WARN_UNUSED;

// What the answer STATUS with this body (problem+json, or anything) means: writes the sentence and
// returns the exit code. SETTINGS says who it was that refused.
int api_refusal(const struct settings *settings, unsigned status, struct span body,
	struct failure *failure) WARN_UNUSED;

// The exit code for a problem's code, which may be unknown, and the status it came with.
enum exit_code api_exit_code(const char *code, unsigned status);

// The text of a member, or "".
const char *api_text(const json_t *object, const char *name);

// Finds out the id of the tunnel that REF names, an id or URL; asks the server if the URL has none
// in it. Returns 0, EXIT_CODE_USAGE, EXIT_CODE_NO_TUNNEL, or as api_call().
int api_find_tunnel(const struct settings *settings, const char *ref, char id[TUNNEL_ID_SIZE],
	struct failure *failure) WARN_UNUSED;
