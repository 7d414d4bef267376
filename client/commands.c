// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The table.

#include "commands.h"

#include "handlers.h"

#include <assert.h>

static_assert(OPTION_COUNT <= 64, "options are bits of a 64-bit number");

#define OPTIONS_SERVER (OPTION_BIT(SERVER) | OPTION_BIT(TOKEN_FILE) | OPTION_BIT(CA))

const struct option_def option_table[OPTION_COUNT] = {
	[OPTION_HELP] = {"help", 'h', NULL, NULL, "print this and exit", NULL},
	[OPTION_SERVER] = {"server", 's', "URL", NULL,
		"the server (else TUNNEL_SERVER, the configuration file, http://127.0.0.1:8080)",
		".Ar URL\n"
		"is http, https, ws (the same as http) or wss (the same as https)\n"
		"with a name or address and, if need be, a port.\n"},
	[OPTION_TOKEN_FILE] = {"token-file", '\0', "FILE", NULL,
		"read the token from FILE (-: standard input); else TUNNEL_TOKEN or the "
		"configuration file",
		"There is no option for the token itself: every user of a machine can read\n"
		"command lines.\n"},
	[OPTION_CA] = {"ca", '\0', "FILE", NULL,
		"trust the certificates in FILE (PEM) and no others when the server uses TLS",
		NULL},
	[OPTION_JSON] = {"json", '\0', NULL, NULL, "print JSON, for programs", NULL},
};

const struct command command_table[] = {
	{
		.name = "completion",
		.operands = "bash",
		.min_operands = 1,
		.max_operands = 1,
		.run = completion_run,
		.summary = "prints completion for bash",
		.manual = "To have it in every shell, put\n"
			  ".Ql source <(tunnel completion bash)\n"
			  "into\n"
			  ".Pa ~/.bashrc .\n",
	},
	{
		.name = "version",
		.operands = "",
		.options = OPTION_BIT(JSON),
		.run = version_run,
		.summary = "prints the version of this program",
	},
};
const size_t command_count = ARRAY_SIZE(command_table);
