// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The programs of the roles, as sealed copies in memory: what was hashed is what runs, whatever
// happens to the files afterwards.

#pragma once

#include "util.h"

enum { PROGRAM_SIZE_MAX = 64 << 20 };

struct program {
	const char *name; // "tunneld-relay", borrowed
	int fd;           // memfd, close-on-exec, sealed against every change
	uint64_t size;
	char sha256[65];    // of its bytes, lower-case hex
	const char *filter; // the same of its seccomp filter, borrowed; set by whoever knows it
};

// Writes the SHA-256 of what can be read from FD. Returns 0 or a negative errno.
int program_hash(int fd, char sha256[65]) WARN_UNUSED;

// Opens the folder PATH, or with NULL the one that holds the running program. Returns a descriptor
// (O_PATH, close-on-exec) or a negative errno.
int program_dir_open(const char *path) WARN_UNUSED;

// Copies NAME (borrowed, kept) from the folder DIR_FD. Returns 0 or a negative errno: -ENOEXEC when
// it is no regular file, -EFBIG above PROGRAM_SIZE_MAX, -EACCES where the kernel forbids executable
// memory files (sysctl vm.memfd_noexec=2).
int program_load(struct program *program, int dir_fd, const char *name) WARN_UNUSED;
void program_deinit(struct program *program);
