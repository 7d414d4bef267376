// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The folder lives only until it is open, so any place that can be written to will do.

#include "void_dir.h"

#include <fcntl.h>
#include <sys/stat.h>

// Between mkdtemp and open somebody who may write to the parent folder could put another one in its
// place: it is ours, and gone, exactly when nothing links to it any more after our rmdir. Mode
// 0111: a role has to enter it under a uid of its own, and there is nothing to list.
static int open_and_remove(char *path)
{
	CLEANUP(close_p) int fd = -1;
	struct stat st;

	if (mkdtemp(path) == NULL)
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (rmdir(path) < 0 || fd < 0)
		return -errno;
	if (fchmod(fd, 0111) < 0 || fstat(fd, &st) < 0)
		return -errno;
	return st.st_nlink == 0 && st.st_uid == geteuid() ? take_fd(&fd) : -EBUSY;
}

int void_dir_open(void)
{
	char places[][32] = {
		"/run/tunneld-XXXXXX", "/tmp/tunneld-XXXXXX", "/dev/shm/tunneld-XXXXXX"};
	int r = -ENOENT;

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		r = open_and_remove(places[i]);
		if (r >= 0)
			break;
	}
	return r;
}
