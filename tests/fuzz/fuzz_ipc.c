// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The input is cut into datagrams, each led by a byte: its low bits say how long it is, its highest
// whether a descriptor goes along. They arrive on the control channel of a relay, as the supervisor
// reads it. Whatever comes, a handler only ever sees what fits the table, and no descriptor is left
// over.

#include "check.h"
#include "ipc.h"

#include <fcntl.h>
#include <sys/socket.h>

enum { EPOCH = 1, FD_BIT = 0x80, BLOCK = 4 };

static struct loop loop;
static bool over;

static int on_message(struct ipc_channel *channel, struct ipc_message *message)
{
	const struct message_type *type = message->type;
	size_t n = message_n_fields(type), which;

	CHECK(type->from & 1 << ROLE_RELAY && type->to & 1 << ROLE_SUPERVISOR);
	CHECK(type->phases & channel->phase);
	CHECK(message->epoch == EPOCH);
	CHECK((message->fd >= 0) == (type->fd == FD_ALWAYS));
	CHECK(message_fits(type, message->fields, n, &which));
	for (size_t i = 0; i < n; i++) // for a sanitizer to see
		if (message->fields[i].bytes.n > 0)
			CHECK(memchr(message->fields[i].bytes.p, 0, message->fields[i].bytes.n) ==
					NULL ||
				message->fields[i].kind == WIRE_BIN);
	if (type->type == MSG_READY)
		channel->phase = PHASE_RUN;
	return 0;
}

static void on_ended(struct ipc_channel *channel, const char *why)
{
	CHECK(!over && why != NULL && !ipc_open(channel));
	over = true;
}

static const struct ipc_handlers handlers = {
	.self = ROLE_SUPERVISOR,
	.peer = ROLE_RELAY,
	.table =
		(const struct ipc_handling[]){
			{MSG_READY, on_message},
			{MSG_LOG, on_message},
			{MSG_DIAL, on_message},
			{MSG_PAGE_OUT, on_message},
			{MSG_USED_UP, on_message},
		},
	.n = 5,
};

static void send_datagram(int fd, const uint8_t *data, size_t n, bool with_fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {.align = {CMSG_LEN(sizeof fd), SOL_SOCKET, SCM_RIGHTS}};
	struct iovec iov = {(void *)(uintptr_t)data, n};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (with_fd) {
		memcpy(CMSG_DATA(&control.align), &fd, sizeof fd);
		msg.msg_control = &control;
		msg.msg_controllen = sizeof control;
	}
	CHECK(sendmsg(fd, &msg, MSG_NOSIGNAL) == (ssize_t)n || over);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static bool ready;
	struct ipc_channel channel;
	int pair[2], before, after;

	if (!ready)
		CHECK(loop_init(&loop) == 0);
	ready = true;
	before = fcntl(0, F_DUPFD_CLOEXEC, 0);
	close(before);
	CHECK(ipc_pair(pair) == 0);
	CHECK(ipc_init(&channel, &loop, pair[0], &handlers, EPOCH, 0, 0) == 0);
	channel.ended = on_ended;
	over = false;
	while (n > 0 && !over) {
		size_t size = MIN((size_t)(*data & ~FD_BIT) * BLOCK, n - 1);
		send_datagram(pair[1], data + 1, size, *data & FD_BIT);
		data += 1 + size;
		n -= 1 + size;
		CHECK(ipc_drain(&channel) == !over);
	}
	ipc_deinit(&channel);
	close(pair[1]);
	after = fcntl(0, F_DUPFD_CLOEXEC, 0);
	close(after);
	CHECK(before == after);
	return 0;
}
