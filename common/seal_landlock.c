// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Landlock refuses only what a ruleset says it handles, so the one idea here is to handle all that
// the kernel's ABI version knows. Values are our own copies: the distribution's header stops at
// ABI 2.

#include "seal_landlock.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define FS_ABI1         ((1ull << 13) - 1)
#define FS_REFER        (1ull << 13) // ABI 2
#define FS_TRUNCATE     (1ull << 14) // ABI 3
#define FS_IOCTL_DEV    (1ull << 15) // ABI 5
#define NET_BIND_TCP    (1ull << 0)  // ABI 4
#define NET_CONNECT_TCP (1ull << 1)  // ABI 4
#define SCOPE_UNIX      (1ull << 0)  // ABI 6: abstract Unix sockets of others
#define SCOPE_SIGNAL    (1ull << 1)  // ABI 6: signals to others

// What SQLite does below its folder: no links, no devices, no folders of its own.
#define FS_WORK                                                                \
	(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |        \
		LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | \
		LANDLOCK_ACCESS_FS_MAKE_REG | FS_TRUNCATE)

// struct landlock_ruleset_attr of ABI 6. An older kernel accepts it as long as the members it does
// not know are zero.
struct ruleset {
	uint64_t fs;
	uint64_t net;
	uint64_t scoped;
};

static struct ruleset ruleset_for(int abi, bool connects)
{
	struct ruleset set = {.fs = FS_ABI1};

	if (abi >= 2)
		set.fs |= FS_REFER;
	if (abi >= 3)
		set.fs |= FS_TRUNCATE;
	if (abi >= 4)
		set.net = NET_BIND_TCP | (connects ? 0 : NET_CONNECT_TCP);
	if (abi >= 5)
		set.fs |= FS_IOCTL_DEV;
	if (abi >= 6)
		set.scoped = SCOPE_UNIX | SCOPE_SIGNAL;
	return set;
}

static int allow_below(int ruleset_fd, int folder_fd, uint64_t access)
{
	const struct landlock_path_beneath_attr rule = {
		.allowed_access = access,
		.parent_fd = folder_fd,
	};

	return syscall(SYS_landlock_add_rule, ruleset_fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0
		       ? -errno
		       : 0;
}

static int allow_reading(int ruleset_fd, const char *path)
{
	CLEANUP(close_p) int fd = open(path, O_PATH | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return 0;
	if (fstat(fd, &st) < 0)
		return -errno;
	// READ_DIR on a file is refused by the kernel.
	return allow_below(ruleset_fd, fd,
		LANDLOCK_ACCESS_FS_READ_FILE |
			(S_ISDIR(st.st_mode) ? LANDLOCK_ACCESS_FS_READ_DIR : 0));
}

int seal_landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	return abi > 0 ? (int)abi : 0;
}

int seal_landlock_enter(const struct seal_landlock_rules *rules)
{
	int abi = seal_landlock_abi();
	struct ruleset set = ruleset_for(abi, rules->connects);
	CLEANUP(close_p) int fd = -1;
	int r = 0;

	if (abi == 0)
		return SEAL_LANDLOCK_ABSENT;
	fd = (int)syscall(SYS_landlock_create_ruleset, &set, sizeof(set), 0);
	if (fd < 0)
		return -errno;
	if (rules->work_fd >= 0)
		r = allow_below(fd, rules->work_fd, FS_WORK & set.fs);
	for (size_t i = 0; r == 0 && rules->readable != NULL && rules->readable[i] != NULL; i++)
		r = allow_reading(fd, rules->readable[i]);
	if (r < 0)
		return r;
	if (syscall(SYS_landlock_restrict_self, fd, 0) < 0)
		return -errno;
	return SEAL_LANDLOCK_ENTERED;
}
