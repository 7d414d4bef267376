// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The one table of commands and options: it drives the parsing, --help, tunnel(1) and completion.
//
// A new command is a row of command_table and a handler; a new option is a member of enum
// option_id, a row of option_table, and its bit in the commands that have it.

#pragma once

#include "failure.h"

enum option_id {
	OPTION_HELP,
	OPTION_SERVER,
	OPTION_TOKEN_FILE,
	OPTION_CA,
	OPTION_JSON,
	OPTION_ALL,
	OPTION_TIMEOUT,
	OPTION_AUTH,
	OPTION_NAME,
	OPTION_PREFIX,
	OPTION_ORIGIN,
	OPTION_CONNECTIONS,
	OPTION_REQUESTS,
	OPTION_BYTES,
	OPTION_RATE,
	OPTION_QUOTE,
	OPTION_EVENT_LOG,
	OPTION_APP_COMPOSE,
	OPTION_COLLATERAL,
	OPTION_REPORT_DATA,
	OPTION_SPKI,
	OPTION_ROOT_CA,
	OPTION_POLICY,
	OPTION_AT,
	OPTION_ATTEST,
	OPTION_TUNNEL,
	OPTION_NONCE,
	OPTION_FRESH,
	OPTION_SAVE,
	OPTION_OFFLINE,
	OPTION_ATTACH,
	OPTION_DEMO,
	OPTION_QR,
	OPTION_OUTPUT,
	OPTION_QUIET,
	OPTION_REQUIRE_BACKEND,
	OPTION_RECONNECT_AFTER,
	OPTION_LOCAL,
	OPTION_SECRET_FILE,
	OPTION_COUNT
};

#define OPTION_BIT(id) (UINT64_C(1) << OPTION_##id)

struct option_def {
	const char *name;   // without "--"
	char letter;        // of its short form, or NUL
	const char *value;  // what stands behind it, in upper case (FILE, TIME ...); NULL: a flag
	const char *words;  // the only right values, separated by blanks; NULL: others
	const char *help;   // one line, begins in lower case
	const char *manual; // more, in mdoc(7); may be NULL
};
extern const struct option_def option_table[OPTION_COUNT];

struct invocation;

enum { OPERANDS_ANY = 1 << 16 };

struct command {
	const char *name;
	const char *operands; // as shown ("ID TIME"), "" for none
	uint32_t min_operands, max_operands;
	uint64_t options; // OPTION_BIT()s besides --help, which all have
	bool implied;     // is meant when the first word is a target or an option and no command
	// Does it. Returns as failure.h says.
	int (*run)(const struct invocation *invocation, struct failure *failure);
	const char *summary; // one line, begins in lower case
	const char *manual;  // more, in mdoc(7); may be NULL
};
extern const struct command command_table[];
extern const size_t command_count;

const struct command *command_find(struct span name); // or NULL

// A command line, taken apart. Everything points into argv.
struct invocation {
	const struct command *command;    // NULL: only help for tunnel itself was asked for
	const char *values[OPTION_COUNT]; // of options that were given; of flags ""
	const char **operands;
	size_t n_operands;
};

static inline bool option_given(const struct invocation *invocation, enum option_id id)
{
	return invocation->values[id] != NULL;
}

// Takes apart ARGV, which has one word at least. Options may stand before, between and behind
// operands; "--" ends them. Returns 0, EXIT_CODE_USAGE or -ENOMEM. invocation_deinit() is needed
// after success only.
int invocation_parse(struct invocation *invocation, int argc, char *const *argv,
	struct failure *failure) WARN_UNUSED;
void invocation_deinit(struct invocation *invocation);
