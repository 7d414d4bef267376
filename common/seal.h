// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// How a child gives up what it does not need: once, in main(), before it reads its first message.
//
// The order is fixed and each step reads back what it did: chroot, groups, gid, uid (regaining them
// is tried and must fail), parent-death signal and a check that the parent is still there, rlimits,
// non-dumpable, no_new_privs, Landlock where the kernel has it, seccomp last.

#pragma once

#include "util.h"

#include <sys/resource.h>
#include <sys/types.h>

// What the supervisor tells a child on its command line: numbers only, nothing secret.
struct seal_args {
	uint32_t epoch; // generation of this child; first argument
	pid_t parent;   // the supervisor; second
	uid_t uid;      // third; (uid_t)-1: keep, the supervisor does not run as root
	gid_t gid;      // fourth
	int root_fd;    // fifth: folder to chroot into, -1: none
};

// Parses argv[1..5]. Returns 0, or -EINVAL on anything but exactly these five decimal numbers.
int seal_args_parse(struct seal_args *args, int argc, char *const *argv) WARN_UNUSED;

// A role's own part, defined as a constant table in its sandbox.c.
struct seal_profile {
	const char *role;
	const struct seal_limit {
		int resource; // RLIMIT_*
		rlim_t value; // soft and hard; never raised above the inherited hard limit
		const char *why;
	} * limits;
	size_t n_limits;
	// Landlock: everything is refused but working below root_fd's folder (the API worker)...
	bool files;
	// ...reading these files and folders, up to NULL (the list itself may be NULL)...
	const char *const *readable;
	// ...and opening TCP connections (the resolver, to a name server).
	bool connects;
	// seccomp program, made at build time from the role's sandbox_rules
	const struct sock_filter *filter;
	size_t n_filter;
};

// Descriptors a gate, an edge and the API worker may hold, where the limit they inherit is not
// lower.
enum {
	SEAL_GATE_DESCRIPTORS = 65536,
	SEAL_EDGE_DESCRIPTORS = 65536,
	SEAL_API_DESCRIPTORS = 16384,
};
// Bytes that the key of an instance may have.
enum { SEAL_KEY_SIZE = 32 * 1024 };

// What was reached; goes into the READY message. Bits.
enum seal_reached {
	SEAL_CHROOT = 1 << 0,
	SEAL_UID = 1 << 1,
	SEAL_NO_NEW_PRIVS = 1 << 2,
	SEAL_LANDLOCK = 1 << 3,
	SEAL_SECCOMP = 1 << 4,
};

// Enters the sandbox. *REACHED is written on success and on failure. Any step that is possible here
// but fails is an error (a kernel without Landlock or seccomp is not). WHERE (may be NULL) gets the
// name of the step that failed. Returns 0 or a negative errno.
int seal_enter(const struct seal_profile *profile, const struct seal_args *args, unsigned *reached,
	const char **where) WARN_UNUSED;
