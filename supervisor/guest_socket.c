// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "guest_socket.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

// Newest first; a service of 0.4 to 0.6 has both, and the old one can do less.
static const char *const usual[] = {
	"/var/run/dstack.sock",
	"/run/dstack.sock",
	"/var/run/dstack/dstack.sock",
	"/run/dstack/dstack.sock",
	"/var/run/tappd.sock",
	"/run/tappd.sock",
	"/var/run/dstack/tappd.sock",
	"/run/dstack/tappd.sock",
};

static bool is_old(const char *path)
{
	const char *slash = strrchr(path, '/');

	return strcmp(slash != NULL ? slash + 1 : path, "tappd.sock") == 0;
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	CLEANUP(close_p) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (strlen(path) >= sizeof address.sun_path)
		return -ENAMETOOLONG;
	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	// Local sockets connect at once, or not at all: EAGAIN is a full queue.
	if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
		return -errno;
	return take_fd(&fd);
}

int guest_socket_connect(const char *path, bool *old)
{
	int fd = -ENOENT;

	if (path[0] != '\0') {
		*old = is_old(path);
		return connect_to(path);
	}
	for (size_t i = 0; i < ARRAY_SIZE(usual) && fd < 0; i++) {
		*old = is_old(usual[i]);
		fd = connect_to(usual[i]);
	}
	return fd;
}
