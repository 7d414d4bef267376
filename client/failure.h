// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Why a command did not do what was asked, for people.
//
// Functions of client/ return 0, an exit code with a sentence in their failure, or a negative errno
// (memory, descriptors) without one. main() prints it.

#pragma once

#include "exit_code.h"
#include "util.h"

enum { FAILURE_TEXT_MAX = 1024 };

struct failure {
	char text[FAILURE_TEXT_MAX]; // not clean: may repeat what a server said (clean.h)
};

// Writes the sentence (no full stop, cut if need be) and returns CODE.
int failure_set(struct failure *failure, enum exit_code code, const char *format, ...) PRINTF(3, 4);

// Prints the sentence to standard error, clean, with the program's name in front.
void failure_print(const struct failure *failure);
