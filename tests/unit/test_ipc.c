// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Channels: what arrives as it was sent, what ends a channel, what is dropped, what is queued, and
// where descriptors end up in each case. The table of messages is checked for sense.

#include "ipc.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum { EPOCH = 7, QUEUE = 4096 };

static struct loop loop;
static struct ipc_channel channel; // the supervisor's end, to a relay
static int peer;                   // the relay's end, raw
static const char *ended;
static unsigned n_handled, n_exhausted, n_writable, n_closed;
static uint64_t last_number;
static int taken_fd;
static int (*extra)(struct ipc_channel *channel, struct ipc_message *message);

// ---- the test's supervisor

static int on_message(struct ipc_channel *c, struct ipc_message *message)
{
	n_handled++;
	last_number = message_n_fields(message->type) > 0 ? message->fields[0].number : 0;
	return extra != NULL ? extra(c, message) : 0;
}

static int on_page_out(struct ipc_channel *c, struct ipc_message *message)
{
	n_handled++;
	taken_fd = take_fd(&message->fd);
	return 0;
}

static const struct ipc_handlers handlers = {
	.self = ROLE_SUPERVISOR,
	.peer = ROLE_RELAY,
	.table =
		(const struct ipc_handling[]){
			{MSG_READY, on_message},
			{MSG_LOG, on_message},
			{MSG_DIAL, on_message},
			{MSG_PAGE_OUT, on_page_out},
		},
	.n = 4,
};

static void on_ended(struct ipc_channel *c, const char *why)
{
	ended = why;
	n_closed += !ipc_open(c);
}

static void on_exhausted(struct ipc_channel *c, const struct ipc_message *lost)
{
	n_exhausted++;
}

static void on_writable(struct ipc_channel *c)
{
	n_writable++;
}

static void on_pass(struct loop_task *task)
{
	loop_stop(&loop, 0);
}

// Lets the loop look at everything that is there.
static void pass(void)
{
	static struct loop_task task = {.run = on_pass};

	for (int i = 0; i < 3; i++) {
		loop_task_set(&loop, &task);
		assert_int_equal(loop_run(&loop), 0);
		loop.stopped = false;
	}
}

static void set_up_channel(unsigned flags, size_t queue_max)
{
	int pair[2];

	assert_int_equal(ipc_pair(pair), 0);
	peer = pair[1];
	assert_int_equal(ipc_init(&channel, &loop, pair[0], &handlers, EPOCH, flags, queue_max), 0);
	channel.phase = PHASE_RUN;
	channel.ended = on_ended;
	channel.exhausted = on_exhausted;
	channel.writable = on_writable;
}

static int setup(void **state)
{
	ended = NULL;
	extra = NULL;
	n_handled = n_exhausted = n_writable = n_closed = 0;
	taken_fd = -1;
	if (loop_init(&loop) < 0)
		return -1;
	set_up_channel(0, QUEUE);
	return 0;
}

static int teardown(void **state)
{
	ipc_deinit(&channel);
	ipc_deinit(&channel); // harmless
	close_p(&peer);
	close_p(&taken_fd);
	loop_deinit(&loop);
	return 0;
}

// ---- the test's relay

static void send_raw(const void *bytes, size_t n, const int *fds, size_t n_fds)
{
	union {
		char bytes[CMSG_SPACE(8 * sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec iov = {(void *)(uintptr_t)bytes, n};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (n_fds > 0) {
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		struct cmsghdr *cmsg = &control.align; // the first is at the start
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(cmsg), fds, n_fds * sizeof(int));
	}
	assert_int_equal(sendmsg(peer, &msg, MSG_NOSIGNAL | MSG_DONTWAIT), n);
}

#define ARRAY(...) ((const struct wire_value[]){__VA_ARGS__})
#define SEND(fds, n_fds, ...) \
	send_values(fds, n_fds, ARRAY(__VA_ARGS__), ARRAY_SIZE(ARRAY(__VA_ARGS__)))

static void send_values(const int *fds, size_t n_fds, const struct wire_value *values, size_t n)
{
	static uint8_t bytes[80000];
	size_t size = wire_encode(bytes, sizeof bytes, values, n);

	assert_int_not_equal(size, 0);
	send_raw(bytes, size, fds, n_fds);
}

static unsigned open_descriptors(void)
{
	unsigned n = 0;
	DIR *dir = opendir("/proc/self/fd");

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
}

// ---- receiving

static void test_delivered(void **state)
{
	SEND(NULL, 0, wire_uint(MSG_DIAL), wire_uint(EPOCH), wire_uint(42), wire_uint(0));
	SEND(NULL, 0, wire_uint(MSG_LOG), wire_uint(EPOCH), wire_uint(2), wire_str(SPAN("x")));
	pass();
	assert_int_equal(n_handled, 2);
	assert_int_equal(last_number, 2);
	assert_null(ended);
}

static void test_descriptor(void **state)
{
	int pair[2];
	char byte = 0;

	assert_int_equal(ipc_pair(pair), 0);
	SEND(&pair[0], 1, wire_uint(MSG_PAGE_OUT), wire_uint(EPOCH), wire_uint(1), wire_bool(false),
		wire_uint(0));
	close(pair[0]);
	pass();
	assert_int_equal(n_handled, 1);
	assert_in_range(taken_fd, 0, 1000);
	assert_int_equal(fcntl(taken_fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(send(pair[1], "!", 1, 0), 1); // it is the one that was sent
	assert_int_equal(recv(taken_fd, &byte, 1, 0), 1);
	assert_int_equal(byte, '!');
	close(pair[1]);
}

// Everything here ends the channel, with its descriptors closed.
static void expect_violation(const char *why, unsigned descriptors)
{
	pass();
	assert_non_null(ended);
	assert_string_equal(ended, why);
	assert_int_equal(n_closed, 1);
	assert_false(ipc_open(&channel));
	assert_int_equal(n_handled, 0);
	assert_int_equal(open_descriptors(), descriptors - 1); // the channel's own
	close_p(&peer);
	ended = NULL;
	n_closed = 0;
	set_up_channel(0, QUEUE);
}

static void test_violations(void **state)
{
	static const uint8_t long_bytes[MESSAGE_MAX + 1] = {0x91, 1};
	const struct wire_value type = wire_uint(MSG_DIAL), epoch = wire_uint(EPOCH);
	const struct wire_value n = wire_uint(1);
	int pair[2];
	unsigned open;

	assert_int_equal(ipc_pair(pair), 0);
	open = open_descriptors();
	send_raw("garbage", 7, NULL, 0);
	expect_violation("not a message", open);
	send_raw(long_bytes, sizeof long_bytes, NULL, 0);
	expect_violation("oversized message", open);
	SEND(NULL, 0, type);
	expect_violation("not a message", open);
	SEND(NULL, 0, type, wire_uint(UINT64_C(1) << 32), n, n);
	expect_violation("not a message", open);
	SEND(NULL, 0, wire_uint(200), epoch);
	expect_violation("unknown message", open);
	SEND(NULL, 0, wire_uint(UINT64_MAX), epoch);
	expect_violation("unknown message", open);
	// A message of another role, and one of the supervisor's own.
	SEND(NULL, 0, wire_uint(MSG_ENDED_ACK), epoch, wire_str(SPAN("t-abc")));
	expect_violation("unknown message", open);
	SEND(NULL, 0, wire_uint(MSG_STOP), epoch);
	expect_violation("unknown message", open);
	SEND(NULL, 0, wire_uint(MSG_READY), epoch, n);
	expect_violation("message out of phase", open);
	SEND(NULL, 0, type, epoch, n);
	expect_violation("bad field", open);
	SEND(NULL, 0, type, epoch, n, n, n);
	expect_violation("bad field", open);
	SEND(NULL, 0, type, epoch, n, wire_bool(true));
	expect_violation("bad field", open);
	SEND(NULL, 0, type, epoch, n, wire_uint(ADDRESSES_MAX + 1));
	expect_violation("bad field", open);
	SEND(NULL, 0, wire_uint(MSG_LOG), epoch, wire_uint(0), wire_str(SPAN("")));
	expect_violation("bad field", open);
	SEND(pair, 1, type, epoch, n, n);
	expect_violation("wrong number of descriptors", open);
	SEND(NULL, 0, wire_uint(MSG_PAGE_OUT), epoch, n, wire_bool(false), n);
	expect_violation("wrong number of descriptors", open);
	SEND(pair, 2, wire_uint(MSG_PAGE_OUT), epoch, n, wire_bool(false), n);
	expect_violation("wrong number of descriptors", open);
	SEND(NULL, 0, wire_uint(MSG_USED_UP), epoch, wire_str(SPAN("x")));
	expect_violation("message nobody handles", open);
	close(pair[0]);
	close(pair[1]);
}

static int refuse(struct ipc_channel *c, struct ipc_message *message)
{
	return -EBADMSG;
}

static void test_refused_by_handler(void **state)
{
	extra = refuse;
	SEND(NULL, 0, wire_uint(MSG_DIAL), wire_uint(EPOCH), wire_uint(1), wire_uint(0));
	SEND(NULL, 0, wire_uint(MSG_DIAL), wire_uint(EPOCH), wire_uint(2), wire_uint(0));
	pass();
	assert_string_equal(ended, "refused message");
	assert_int_equal(n_handled, 1);
}

static void test_peer_closes(void **state)
{
	SEND(NULL, 0, wire_uint(MSG_DIAL), wire_uint(EPOCH), wire_uint(9), wire_uint(0));
	close_p(&peer);
	pass();
	assert_int_equal(n_handled, 1); // what was said before counts
	assert_ptr_equal(ended, ipc_peer_closed);
}

// Another epoch: meant for a predecessor. Dropped with its descriptor, and the channel goes on.
static void test_epoch(void **state)
{
	int pair[2];

	assert_int_equal(ipc_pair(pair), 0);
	unsigned open = open_descriptors();
	SEND(pair, 1, wire_uint(MSG_PAGE_OUT), wire_uint(EPOCH - 1), wire_uint(1), wire_bool(false),
		wire_uint(0));
	pass();
	assert_int_equal(n_handled, 0);
	assert_int_equal(open_descriptors(), open);
	SEND(NULL, 0, wire_uint(MSG_DIAL), wire_uint(EPOCH), wire_uint(1), wire_uint(0));
	pass();
	assert_int_equal(n_handled, 1);
	assert_null(ended);
	close(pair[0]);
	close(pair[1]);
}

// On a channel with several senders a bad message costs only itself.
static void test_shared(void **state)
{
	ipc_deinit(&channel);
	close_p(&peer);
	set_up_channel(IPC_SHARED, 0);
	send_raw("garbage", 7, NULL, 0);
	pass();
	assert_string_equal(ended, "not a message");
	assert_int_equal(n_closed, 0);
	SEND(NULL, 0, wire_uint(MSG_DIAL), wire_uint(EPOCH), wire_uint(1), wire_uint(0));
	pass();
	assert_int_equal(n_handled, 1);
}

static int close_it(struct ipc_channel *c, struct ipc_message *message)
{
	ipc_deinit(c);
	return 0;
}

static void test_closed_by_handler(void **state)
{
	extra = close_it;
	SEND(NULL, 0, wire_uint(MSG_DIAL), wire_uint(EPOCH), wire_uint(1), wire_uint(0));
	SEND(NULL, 0, wire_uint(MSG_DIAL), wire_uint(EPOCH), wire_uint(2), wire_uint(0));
	pass();
	assert_int_equal(n_handled, 1);
	assert_null(ended); // it did not end by itself
}

// MSG_CTRUNC: our own want of descriptors. The message is lost and the peer is not to blame.
static void test_exhausted(void **state)
{
	struct rlimit before, low;
	int pair[2];

	assert_int_equal(ipc_pair(pair), 0);
	SEND(pair, 1, wire_uint(MSG_PAGE_OUT), wire_uint(EPOCH), wire_uint(1), wire_bool(false),
		wire_uint(0));
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	low = before;
	low.rlim_cur = (rlim_t)pair[1] + 1; // everything below is in use
	int filler[256], n = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	while (n < 256 && (filler[n] = dup(pair[0])) >= 0)
		n++;
	pass();
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(n_exhausted, 1);
	assert_int_equal(n_handled, 0);
	assert_null(ended);
	while (n > 0)
		close(filler[--n]);
	SEND(pair, 1, wire_uint(MSG_PAGE_OUT), wire_uint(EPOCH), wire_uint(1), wire_bool(false),
		wire_uint(0));
	pass();
	assert_int_equal(n_handled, 1);
	close(pair[0]);
	close(pair[1]);
}

static void test_paused(void **state)
{
	ipc_pause(&channel);
	SEND(NULL, 0, wire_uint(MSG_DIAL), wire_uint(EPOCH), wire_uint(1), wire_uint(0));
	pass();
	assert_int_equal(n_handled, 0);
	ipc_resume(&channel);
	pass();
	assert_int_equal(n_handled, 1);
}

// ---- sending

static ssize_t receive_one(struct wire_value *values, size_t max)
{
	static uint8_t bytes[MESSAGE_MAX];
	ssize_t n = recv(peer, bytes, sizeof bytes, MSG_DONTWAIT);

	return n <= 0 ? -1 : wire_decode(bytes, (size_t)n, values, max);
}

static int post(uint64_t request)
{
	return ipc_post(&channel, MSG_DIAL_FAILED, -1, wire_uint(request), wire_uint(DIAL_REFUSED));
}

static void test_sent(void **state)
{
	struct wire_value values[4];

	assert_int_equal(post(5), IPC_SENT);
	assert_int_equal(receive_one(values, 4), 4);
	assert_int_equal(values[0].number, MSG_DIAL_FAILED);
	assert_int_equal(values[1].number, EPOCH);
	assert_int_equal(values[2].number, 5);
	const struct wire_value fields[] = {wire_uint(6), wire_uint(DIAL_REFUSED)};
	assert_int_equal(ipc_send_epoch(&channel, 99, MSG_DIAL_FAILED, -1, fields, 2), IPC_SENT);
	assert_int_equal(receive_one(values, 4), 4);
	assert_int_equal(values[1].number, 99);
	// What the peer would refuse is not sent.
	assert_int_equal(
		ipc_post(&channel, MSG_DIAL_FAILED, -1, wire_uint(1), wire_uint(99)), -EINVAL);
	assert_int_equal(receive_one(values, 4), -1);
	ipc_deinit(&channel);
	assert_int_equal(post(7), -EPIPE);
}

// A slow peer: queued up to the cap, then full; everything sent arrives, in order.
static void test_queue(void **state)
{
	struct wire_value values[4];
	uint64_t sent = 0, got = 0;
	int r;

	while ((r = post(sent)) == IPC_SENT)
		sent++;
	assert_int_equal(r, IPC_FULL);
	assert_in_range(channel.queued, QUEUE - 16, QUEUE);
	assert_int_equal(n_writable, 0);
	while (got < sent) {
		while (receive_one(values, 4) == 4)
			assert_int_equal(values[2].number, got++);
		pass();
	}
	assert_int_equal(channel.queued, 0);
	assert_int_equal(n_writable, 1);
	assert_int_equal(post(sent), IPC_SENT);
}

// Queued descriptors are copies, and closed when the channel is.
static void test_queued_descriptors(void **state)
{
	int pair[2];

	assert_int_equal(ipc_pair(pair), 0);
	unsigned open = open_descriptors();
	while (ipc_post(&channel, MSG_DIALED, pair[0], wire_uint(1), wire_uint(1)) == IPC_SENT)
		;
	assert_true(open_descriptors() > open + 10);
	ipc_deinit(&channel);
	close_p(&peer);
	assert_int_equal(open_descriptors(), open - 2);
	close(pair[0]);
	close(pair[1]);
}

static void test_want_writable(void **state)
{
	ipc_want_writable(&channel);
	ipc_want_writable(&channel);
	pass();
	assert_int_equal(n_writable, 1);
	pass();
	assert_int_equal(n_writable, 1); // once
}

static void test_no_queue(void **state)
{
	struct wire_value values[4];

	ipc_deinit(&channel);
	close_p(&peer);
	set_up_channel(IPC_SEND_ONLY, 0);
	while (post(1) == IPC_SENT)
		;
	assert_int_equal(channel.queued, 0);
	while (receive_one(values, 4) == 4)
		;
	pass();
	assert_int_equal(n_writable, 1);
	assert_int_equal(post(2), IPC_SENT);
}

// ---- streams

static int tcp(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0); // waits: connect() and accept4() are to be over when they return
	return fd;
}

static void no_wait(int fd)
{
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
}

static void test_check_stream(void **state)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
	socklen_t size = sizeof address;
	int listener = tcp(), idle = tcp(), client = tcp(), pair[2], pipes[2];

	assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(listener, 5), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
	assert_int_equal(connect(client, (struct sockaddr *)&address, size), 0);
	int accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(accepted >= 0);
	// One that makes its reader wait would stop everything else that reader does.
	assert_int_equal(ipc_check_stream(accepted, false), -EBADMSG);
	no_wait(accepted);
	no_wait(client);
	no_wait(listener);
	no_wait(idle);
	assert_int_equal(ipc_check_stream(accepted, false), 0);
	assert_int_equal(ipc_check_stream(client, false), 0);
	assert_int_equal(ipc_check_stream(listener, false), -EBADMSG);
	assert_int_equal(ipc_check_stream(listener, true), -EBADMSG);
	assert_int_equal(ipc_check_stream(idle, false), -EBADMSG);
	assert_int_equal(ipc_check_stream(idle, true), 0);

	// Reset by its peer while it was under way: nobody's fault.
	struct linger hard = {1, 0};
	assert_int_equal(setsockopt(client, SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
	close(client);
	assert_int_equal(ipc_check_stream(accepted, false), IPC_STREAM_OVER);

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	assert_int_equal(ipc_check_stream(pair[0], false), IPC_STREAM_LOCAL);
	close(pair[0]);
	close(pair[1]);
	assert_int_equal(ipc_pair(pair), 0); // not a stream
	assert_int_equal(ipc_check_stream(pair[0], false), -EBADMSG);
	assert_int_equal(pipe2(pipes, O_NONBLOCK), 0);
	assert_int_equal(ipc_check_stream(pipes[0], false), -EBADMSG);

	int datagrams = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	int local = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(connect(datagrams, (struct sockaddr *)&address, size), 0);
	assert_int_equal(ipc_check_stream(datagrams, false), -EBADMSG);
	assert_int_equal(ipc_check_stream(local, false), -EBADMSG);
	assert_int_equal(
		bind(local, &(struct sockaddr){.sa_family = AF_UNIX}, sizeof(sa_family_t)), 0);
	assert_int_equal(listen(local, 5), 0);
	assert_int_equal(ipc_check_stream(local, false), -EBADMSG);
	close(datagrams);
	close(local);
	const int all[] = {listener, idle, accepted, pair[0], pair[1], pipes[0], pipes[1]};
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		close(all[i]);
}

// ---- the table

static void test_table(void **state)
{
	const unsigned supervisor = 1 << ROLE_SUPERVISOR, all = (1 << ROLES) - 1;

	for (size_t i = 0; i < message_n_types; i++) {
		const struct message_type *type = &message_types[i];
		bool from_supervisor = type->from == supervisor;
		bool to_supervisor = type->to == supervisor;
		assert_ptr_equal(message_find(type->type), type);
		assert_true(type->from != 0 && type->to != 0);
		assert_int_equal((type->from | type->to) & ~all, 0);
		assert_int_equal(type->from & type->to, 0);
		if (type->type >= 64 && type->type < 100)
			assert_true(!from_supervisor && !to_supervisor);
		else
			assert_true(type->type % 2 != 0 ? to_supervisor : from_supervisor);
		assert_in_range(type->phases, PHASE_START, PHASE_START | PHASE_RUN);
		assert_true(strlen(type->what) > 10);
		// The largest of its kind fits into a datagram.
		size_t most = 0;
		for (size_t f = 0; f < message_n_fields(type); f++) {
			const struct message_field *field = &type->fields[f];
			assert_true(field->min <= field->max);
			bool sized = field->kind == WIRE_STR || field->kind == WIRE_BIN;
			most += sized ? field->max + 5 : 9;
		}
		assert_true(most + 20 <= MESSAGE_MAX);
		assert_true(message_n_fields(type) <= MESSAGE_FIELDS_MAX);
	}
	assert_null(message_find(0));
	assert_null(message_find(UINT64_MAX));
}

#define IPC_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IPC_TEST(test_delivered),
		IPC_TEST(test_descriptor),
		IPC_TEST(test_violations),
		IPC_TEST(test_refused_by_handler),
		IPC_TEST(test_peer_closes),
		IPC_TEST(test_epoch),
		IPC_TEST(test_shared),
		IPC_TEST(test_closed_by_handler),
		IPC_TEST(test_exhausted),
		IPC_TEST(test_paused),
		IPC_TEST(test_sent),
		IPC_TEST(test_queue),
		IPC_TEST(test_queued_descriptors),
		IPC_TEST(test_want_writable),
		IPC_TEST(test_no_queue),
		cmocka_unit_test(test_check_stream),
		cmocka_unit_test(test_table),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
