// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The owner token: taken from the configuration or from a file only its owner can read, which is
// made with a new random token when it is not there. Only the SHA-256 leaves this module.

#pragma once

#include "secret.h"
#include "token_text.h"

struct token {
	struct secret_hash hash;
	bool created; // the file was made just now: the one who started tunneld has not seen the
		      // token yet
};

// Of a token that was given as TEXT. Returns 0, or 1 as token_text_check().
int token_from_text(struct token *token, struct span text, const char **why) WARN_UNUSED;

// Of the token in the file PATH: one line, the line end may be missing. The file must be a regular
// one, owned by the user tunneld runs as or by root, and closed to group and others (a symbolic
// link to such a file will do). When there is no file it is made, mode 0600, complete or not at
// all, in a folder that must exist. Returns 0, TOKEN_REFUSED with *WHY set (static text that says
// what to do), or a negative errno from the file system.
enum { TOKEN_REFUSED = 1 };
int token_from_file(struct token *token, const char *path, const char **why) WARN_UNUSED;
