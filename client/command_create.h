// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Making tunnels, for the commands that do.

#pragma once

#include "settings.h"

#include <jansson.h>

// Options that are members of a new tunnel.
#define CREATE_OPTIONS                                                                    \
	(OPTION_BIT(TIMEOUT) | OPTION_BIT(AUTH) | OPTION_BIT(NAME) | OPTION_BIT(PREFIX) | \
		OPTION_BIT(ORIGIN) | OPTION_BIT(CONNECTIONS) | OPTION_BIT(REQUESTS) |     \
		OPTION_BIT(BYTES) | OPTION_BIT(RATE))

// Makes the body of POST /_api/tunnels of those options, without a backend. Returns 0,
// EXIT_CODE_USAGE or -ENOMEM.
int create_members(
	json_t **ret, const struct invocation *invocation, struct failure *failure) WARN_UNUSED;

// Makes a tunnel of BODY (borrowed); asks twice if the answer is lost. Returns as api_call(), with
// the tunnel as the server describes it, secret included, in *RET.
int create_tunnel(const struct settings *settings, json_t *body, json_t **ret,
	struct failure *failure) WARN_UNUSED;
