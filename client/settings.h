// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Which server, and by which token: of an option, else the environment, else the configuration
// file, else the default.

#pragma once

#include "commands.h"
#include "opening.h"

#define SETTINGS_DEFAULT_SERVER "http://127.0.0.1:8080"

struct settings {
	struct url server;                  // http or https
	char *token;                        // NULL: none was given. Secret
	char *ca_file;                      // NULL: the roots of the system
	char *attest, *policy, *collateral; // what attest_gate.h needs; each NULL: not given

	struct proxy proxy;
	struct tls_trust *trust; // with https
	struct route route;      // to the server; points into this struct
};

// Reads options, environment and file, and makes everything ready for connections (with https the
// roots are loaded). TUNNEL_TOKEN is wiped from the environment. A token that would travel in clear
// text over a network is warned of on standard error. Returns 0, EXIT_CODE_USAGE or a negative
// errno.
int settings_load(struct settings *settings, const struct invocation *invocation,
	struct failure *failure) WARN_UNUSED;
// The same without the configuration file's token: for a login.
int settings_load_fresh(struct settings *settings, const struct invocation *invocation,
	struct failure *failure) WARN_UNUSED;
// The same for SERVER and without a token: for visitors.
int settings_for_server(struct settings *settings, const struct invocation *invocation,
	const struct url *server, struct failure *failure) WARN_UNUSED;
// Wipes and frees. A zeroed struct is left alone.
void settings_deinit(struct settings *settings);

// 0, or EXIT_CODE_USAGE with what to do when no token was given.
int settings_need_token(const struct settings *settings, struct failure *failure) WARN_UNUSED;
