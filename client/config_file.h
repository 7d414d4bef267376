// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The user's configuration file: lines "key = value" with the server, its token, its
// certificates, and what its evidence has to be.
//
// A file others can write leads tokens to their servers, one others can read gives the token away,
// so such a file is refused.

#pragma once

#include "buf.h"
#include "failure.h"

enum { CONFIG_FILE_MAX = 16 * 1024 };

struct config {
	char *server; // each NULL: not there
	char *token;  // secret
	char *ca;
	char *attest, *policy, *collateral; // of the options of these names
};

void config_deinit(struct config *config); // wipes the token

// Parses TEXT. Returns 0, 1 with *LINE and *WHY (static text), or -ENOMEM; on anything but 0
// *CONFIG is empty.
int config_parse(
	struct config *config, struct span text, unsigned *line, const char **why) WARN_UNUSED;

// Where the file is, whether it is there or not. Returns 0, or EXIT_CODE_USAGE when neither
// XDG_CONFIG_HOME nor HOME says.
enum { CONFIG_PATH_MAX = 4096 };
int config_path(char path[CONFIG_PATH_MAX], struct failure *failure) WARN_UNUSED;

// Reads it; no file is an empty one. Returns 0, EXIT_CODE_USAGE with how to mend it, or a negative
// errno.
int config_read(struct config *config, struct failure *failure) WARN_UNUSED;

// Writes it, mode 0600, complete or not at all; its folder is made if need be. Returns 0 or an exit
// code.
int config_write(const struct config *config, struct failure *failure) WARN_UNUSED;
