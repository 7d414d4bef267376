// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What the API worker may do: answer connections it was handed, and keep SQLite's files in its one
// folder. It has no call that makes or connects a socket, or starts or signals a process.
//
// The file rows were found by tracing SQLite 3.40 through its life in WAL mode: creation, recovery,
// checkpoints, vacuum, a change to and from a rollback journal, contention. Arguments of openat()
// are pointers and cannot be checked here: the folder is the business of chroot and Landlock. What
// SQLite looks for outside it is not there: /dev/urandom, so sqlite3_randomness() has to be called
// once before the seal, and a folder for temporary files, so temp_store has to be memory.
//
// Compiled twice: with SANDBOX_TABLE for sandbox_compile, and into the role with what that made.

#include "common/sandbox_rows.h"

#ifdef SANDBOX_TABLE

const char sandbox_role[] = "api";

// clang-format off
const struct sandbox_rule sandbox_rules[] = {
	SANDBOX_ROWS_SOCKETS,
	SANDBOX_SETSOCKOPT(IPPROTO_TCP, TCP_USER_TIMEOUT, "an event stream nobody reads ends"),
	{"pread64", "SQLite: pages"},
	{"pwrite64", "SQLite: pages"},
	{"fdatasync", "SQLite: a commit reaches the disk"},
	{"fsync", "SQLite: a new file's name reaches the disk"},
	{"fcntl", "F_SETLK: SQLite's locks", {ARG_INT(1, F_SETLK)}},
	{"fcntl", "F_GETLK: SQLite's locks", {ARG_INT(1, F_GETLK)}},
	{"ftruncate", "SQLite: the WAL and its index change size"},
	{"lseek", "SQLite: size of a file"},
	{"openat", "SQLite: database, WAL and index, in the state folder"},
	{"newfstatat", "SQLite: size and identity of its files"},
	{"readlink", "SQLite: whether a path is a symbolic link"},
	{"getpid", "SQLite: whether it has been forked"},
	{"access", "SQLite: looks for a folder for temporary files"},
	{"unlink", "SQLite: the WAL and its index at the end"},
	{"getcwd", "SQLite: makes its file name absolute"},
	{"geteuid", "SQLite: whether it runs as root"},
	{"fchown", "SQLite as root (no uid range mapped): the WAL gets the database's owner"},
	{"fchmod", "SQLite: the WAL gets the database's mode"},
	{"clock_nanosleep", "SQLite: waits for a lock"},
	{"gettimeofday", "SQLite: clock, where the kernel does not offer it without a call"},
	SANDBOX_ROWS_MEMORY,
	SANDBOX_ROWS_PROCESS,
	SANDBOX_ROWS_SANITIZERS
};
// clang-format on

const size_t sandbox_n_rules = ARRAY_SIZE(sandbox_rules);

#else

#include "api/sandbox.h"

#include <api_filter.h>

static const struct seal_limit limits[] = {
	{RLIMIT_CORE, 0, "token hashes stay out of core files"},
	{RLIMIT_NPROC, 0, "no second process"},
	{RLIMIT_MEMLOCK, 0, "no locked memory"},
	{RLIMIT_NOFILE, SEAL_API_DESCRIPTORS, "connections to the API and to pages, three files"},
	{RLIMIT_FSIZE, 4ul << 30, "the database cannot fill the disk"},
#if !SANDBOX_SANITIZERS // their shadow memory counts as data
	{RLIMIT_DATA, 1ul << 30, "requests cannot take the machine's memory"},
#endif
};

const struct seal_profile api_seal_profile = {
	.role = "api",
	.limits = limits,
	.n_limits = ARRAY_SIZE(limits),
	.files = true,
	.filter = sandbox_filter,
	.n_filter = ARRAY_SIZE(sandbox_filter),
};

SANDBOX_SANITIZER_OPTIONS

#endif
