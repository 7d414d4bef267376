// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What is printed from the table of commands (commands.h).

#pragma once

#include "commands.h"

#include <stdio.h>

void help_overview(FILE *out);
void help_command(FILE *out, const struct command *command);

// The sections COMMANDS and OPTIONS of tunnel(1), in mdoc(7).
void help_manual(FILE *out);

// Completion for bash: sourced, it completes commands, options and the values that are words.
void help_completion(FILE *out);
