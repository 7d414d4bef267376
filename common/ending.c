// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "ending.h"

#include <sys/socket.h>

// The descriptor that goes with the mark is never received: any will do.
static int send_mark(int fd, enum ending how)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	const int any = STDIN_FILENO;
	char mark = (char)how;
	struct iovec iov = {.iov_base = &mark, .iov_len = 1};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof control,
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof any);
	memcpy(CMSG_DATA(cmsg), &any, sizeof any);
	while (sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
		switch (errno) {
		case EINTR: continue;
		case EAGAIN:
		case ENOBUFS:
		case ETOOMANYREFS: return ENDING_AGAIN;
		default: return -errno;
		}
	}
	return 0;
}

int ending_say(int fd, bool local, enum ending how)
{
	if (local)
		return send_mark(fd, how);
	return shutdown(fd, SHUT_WR) < 0 ? -errno : 0;
}

ssize_t ending_read(int fd, void *bytes, size_t size, int *said)
{
	struct iovec iov = {.iov_base = bytes, .iov_len = size};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	do
		n = recvmsg(fd, &msg, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	*said = -1;
	if (n <= 0)
		return n == 0 ? -ECONNRESET : -errno;
	// A read stops behind bytes that carried a descriptor, so the mark is its last byte.
	if (!(msg.msg_flags & MSG_CTRUNC))
		return n;
	uint8_t mark = ((const uint8_t *)bytes)[n - 1];
	*said = MIN(mark, ENDINGS - 1);
	return n - 1;
}
