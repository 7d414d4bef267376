// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What runs, by its hashes: tunneld itself, the sealed copies of the other programs with their
// filters, and the shared libraries that the dynamic loader gives to them. For the evidence.

#pragma once

#include "program.h"

enum {
	COMPONENTS_MAX = 64,
	COMPONENT_NAME_MAX = 64,
	COMPONENTS_TEXT_MAX = 16 * 1024, // bytes of all, encoded
};

struct components {
	struct component {
		char name[COMPONENT_NAME_MAX + 1];
		char sha256[65];    // lower-case hex
		const char *filter; // the same of its seccomp filter, borrowed; NULL: none
	} items[COMPONENTS_MAX];
	size_t n;
};

// Adds one, unless there is one of that name. Returns 0, or -E2BIG.
int components_add(struct components *components, const char *name, const char *sha256,
	const char *filter) WARN_UNUSED;

// Adds the program at PATH, under NAME. Returns 0 or a negative errno.
int components_add_file(
	struct components *components, const char *path, const char *name) WARN_UNUSED;

// Adds the shared libraries of PROGRAM, the loader among them, as that finds them now. Nothing when
// it is linked statically. Starts a process and waits for it. Returns 0 or a negative errno.
int components_add_libraries(
	struct components *components, const struct program *program) WARN_UNUSED;

// Writes them as one flat MessagePack array: name, hash, hash of the filter or nothing, of each.
// Returns the length, 0 when OUT is too small.
size_t components_encode(const struct components *components, uint8_t *out, size_t size);
