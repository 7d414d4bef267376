// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What a child has reached, seen from outside: /proc/PID/status, which the kernel writes and the
// child cannot change. See proc_pid_status(5). Landlock is not to be seen there.

#pragma once

#include "util.h"

#include <sys/types.h>

struct inspect_report {
	pid_t parent;
	uid_t uid[4]; // real, effective, saved, file system
	gid_t gid[4];
	unsigned n_groups; // supplementary
	uint64_t cap_inheritable, cap_permitted, cap_effective, cap_bounding,
		cap_ambient; // 1 << CAP_*
	bool no_new_privs;
	unsigned seccomp;    // 0 none, 1 strict, 2 filter
	int seccomp_filters; // how many; -1: the kernel does not say (before 5.9)
};

// Reads the status of a child that has not been waited for, so that its pid still means it. Returns
// 0 or a negative errno: -ENOENT when it is gone or /proc hides it, -EBADMSG when a field is
// missing or written in a way we do not know.
int inspect_read(pid_t pid, struct inspect_report *report) WARN_UNUSED;

// The same from TEXT, the content of a status file.
int inspect_parse(struct span text, struct inspect_report *report) WARN_UNUSED;

struct inspect_required {
	uid_t uid; // (uid_t)-1: any, groups as well (the child keeps the supervisor's)
	gid_t gid;
};

// What a report lacks; bits.
enum inspect_lack {
	INSPECT_PARENT = 1 << 0, // not our child
	INSPECT_UID = 1 << 1,
	INSPECT_GID = 1 << 2,
	INSPECT_GROUPS = 1 << 3,
	INSPECT_CAPABILITIES = 1 << 4,
	INSPECT_NO_NEW_PRIVS = 1 << 5,
	INSPECT_SECCOMP = 1 << 6,
};

// Compares with what a sealed child must be. Returns 0 or what is lacking.
unsigned inspect_compare(
	const struct inspect_report *report, const struct inspect_required *required);

// One line for the log: "uid=65616 gid=65616 groups=0 capabilities=none no_new_privs=yes
// seccomp=filter", followed by " lacks=uid,seccomp" if anything is.
enum { INSPECT_TEXT = 256 };
void inspect_format(const struct inspect_report *report, unsigned lacks, char out[INSPECT_TEXT]);
