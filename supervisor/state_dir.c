// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "state_dir.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

#define API_FOLDER "api"

int state_dir_open(const char *path, char why[STATE_DIR_WHY_MAX])
{
	CLEANUP(close_p) int fd = -1;
	struct stat st;

	if (mkdir(path, 0700) < 0 && errno != EEXIST) {
		int error = errno;
		snprintf(why, STATE_DIR_WHY_MAX,
			"state_dir %s cannot be made: %s; make it, owned by the user that starts "
			"tunneld, or set state_dir to another place",
			path, strerror(error));
		return -error;
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0) {
		int error = errno;
		snprintf(why, STATE_DIR_WHY_MAX, "state_dir %s cannot be opened: %s", path,
			strerror(error));
		return -error;
	}
	if (st.st_uid != geteuid()) {
		snprintf(why, STATE_DIR_WHY_MAX,
			"state_dir %s belongs to user id %u; it must belong to the one that starts "
			"tunneld, which is %u",
			path, st.st_uid, geteuid());
		return -EPERM;
	}
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
		snprintf(why, STATE_DIR_WHY_MAX,
			"state_dir %s can be written to by others: chmod go-w it", path);
		return -EPERM;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		int error = errno;
		snprintf(why, STATE_DIR_WHY_MAX, "state_dir %s is in use by another tunneld: %s",
			path, strerror(error));
		return -error;
	}
	return take_fd(&fd);
}

// Makes the folder, whole or not at all.
static int make_api(int dir_fd, uid_t uid)
{
	if (mkdirat(dir_fd, API_FOLDER, 0700) < 0)
		return errno == EEXIST ? 0 : -errno;
	if (uid == (uid_t)-1 ||
		fchownat(dir_fd, API_FOLDER, uid, (gid_t)uid, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	int error = errno;
	unlinkat(dir_fd, API_FOLDER, AT_REMOVEDIR);
	return -error;
}

int state_dir_open_api(int dir_fd, const char *path, uid_t uid, char why[STATE_DIR_WHY_MAX])
{
	CLEANUP(close_p) int fd = -1;
	uid_t owner = uid == (uid_t)-1 ? geteuid() : uid;
	struct stat st;
	int r = make_api(dir_fd, uid);

	if (r == 0) {
		fd = openat(dir_fd, API_FOLDER, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 || fstat(fd, &st) < 0)
			r = -errno;
	}
	if (r < 0) {
		snprintf(why, STATE_DIR_WHY_MAX,
			"%s/" API_FOLDER " cannot be made, or given to user id %u: %s", path, owner,
			strerror(-r));
		return r;
	}
	if (st.st_uid != owner) {
		snprintf(why, STATE_DIR_WHY_MAX,
			"%s/" API_FOLDER " belongs to user id %u, but the API worker's is %u "
			"(relay_uid_base, or started by another user before): chown -R %u:%u it",
			path, st.st_uid, owner, owner, owner);
		return -EPERM;
	}
	if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
		snprintf(why, STATE_DIR_WHY_MAX,
			"%s/" API_FOLDER " is open to group or others: chmod 700 it", path);
		return -EPERM;
	}
	return take_fd(&fd);
}
