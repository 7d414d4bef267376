// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// A tunnel as its visitors know it: a URL, and the secret, which may stand behind the URL's '#'.

#pragma once

#include "failure.h"
#include "url.h"

enum { VISIT_PATH_MAX = 1024, VISIT_SECRET_MAX = 256 };

struct visit {
	struct url server;
	char path[VISIT_PATH_MAX + 1];     // ends with '/'
	char secret[VISIT_SECRET_MAX + 1]; // "" when there is none
};

// Parses TEXT: http(s)://host[:port][/path][#secret]. Returns 0, or 1 with *WHY (static text);
// *VISIT is written only on success.
int visit_parse(struct visit *visit, struct span text, const char **why) WARN_UNUSED;

// Fills in a secret the URL does not have: the first line of FILE ("-": standard input) unless that
// is NULL, else TUNNEL_SECRET, which is taken out of the environment. Returns 0, EXIT_CODE_USAGE,
// or a negative errno.
int visit_find_secret(struct visit *visit, const char *file, struct failure *failure) WARN_UNUSED;

void visit_wipe(struct visit *visit);
