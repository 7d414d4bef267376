// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "file.h"

ssize_t file_read(int fd, void *bytes, size_t size)
{
	size_t n = 0;

	while (n < size) {
		ssize_t got = read(fd, (char *)bytes + n, size - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		n += (size_t)got;
	}
	return (ssize_t)n;
}

int file_write(int fd, const void *bytes, size_t n)
{
	const char *next = bytes;

	while (n > 0) {
		ssize_t put = write(fd, next, n);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -errno;
		next += put;
		n -= (size_t)put;
	}
	return 0;
}
