// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "ipc.h"

#include <assert.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

enum {
	RECEIVE_ROUNDS = 32, // messages handled before the loop looks at others again
	RETRY_MS = 10,       // see try_again()
	FDS_MOST =
		253, // SCM_MAX_FD: room for all a peer can send, so that MSG_CTRUNC has one cause
};

const char ipc_peer_closed[] = "the peer closed the channel";

struct ipc_queued {
	struct ipc_queued *next;
	int fd;
	size_t n;
	uint8_t bytes[];
};

// One message is in hand at a time, so there is one buffer for this in a process, and one for what
// is received below.
static uint8_t out_bytes[MESSAGE_MAX];

int ipc_pair(int fds[2])
{
	int r = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds);
	return r < 0 ? -errno : 0;
}

// ---- life

static uint32_t wanted_events(const struct ipc_channel *channel)
{
	uint32_t events = 0;
	if (!(channel->flags & IPC_SEND_ONLY) && !channel->paused)
		events |= EPOLLIN;
	if ((channel->head != NULL || channel->wants_writable) && !channel->stalled)
		events |= EPOLLOUT;
	if (channel->flags & IPC_EXCLUSIVE)
		events |= EPOLLEXCLUSIVE;
	return events;
}

static void update_events(struct ipc_channel *channel)
{
	// Modifying what is already watched allocates nothing and cannot fail.
	int r = loop_rewatch(channel->loop, &channel->watch, wanted_events(channel));
	assert(r == 0);
	(void)r;
}

static void on_ready(struct loop_watch *watch, uint32_t events);
static void on_retry(struct loop_timer *timer);

int ipc_init(struct ipc_channel *channel, struct loop *loop, int fd,
	const struct ipc_handlers *handlers, uint32_t epoch, unsigned flags, size_t queue_max)
{
	*channel = (struct ipc_channel){
		.loop = loop,
		.watch = {.fd = -1, .ready = on_ready},
		.handlers = handlers,
		.epoch = epoch,
		.phase = PHASE_START,
		.flags = (uint8_t)flags,
		.queue_max = queue_max,
		.retry = {.expired = on_retry},
	};
	channel->tail = &channel->head;
	int r = loop_watch(loop, &channel->watch, fd, wanted_events(channel));
	if (r < 0)
		close(fd);
	return r;
}

static void queued_free(struct ipc_queued *queued)
{
	close_p(&queued->fd);
	explicit_bzero(queued->bytes, queued->n);
	free(queued);
}

void ipc_deinit(struct ipc_channel *channel)
{
	if (!ipc_open(channel))
		return;
	int fd = channel->watch.fd;
	loop_timer_clear(channel->loop, &channel->retry);
	loop_unwatch(channel->loop, &channel->watch);
	close(fd);
	while (channel->head != NULL) {
		struct ipc_queued *queued = channel->head;
		channel->head = queued->next;
		queued_free(queued);
	}
	channel->tail = &channel->head;
	channel->queued = 0;
	if (channel->gone != NULL)
		*channel->gone = true;
	channel->gone = NULL;
}

static void end(struct ipc_channel *channel, const char *why)
{
	ipc_deinit(channel);
	channel->ended(channel, why);
}

// ---- sending

// Returns IPC_SENT, IPC_FULL or a negative errno.
static int transmit(int socket_fd, const void *bytes, size_t n, int fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = n};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	if (fd >= 0) {
		memset(&control, 0, sizeof control);
		msg.msg_control = &control;
		msg.msg_controllen = sizeof control;
		struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof fd);
		memcpy(CMSG_DATA(cmsg), &fd, sizeof fd);
	}
	while (sendmsg(socket_fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
		switch (errno) {
		case EINTR: continue;
		case EAGAIN:
		case ENOBUFS:
		case ETOOMANYREFS: // this user has RLIMIT_NOFILE descriptors under way already
			return IPC_FULL;
		default: return -errno;
		}
	}
	return IPC_SENT;
}

static int queue(struct ipc_channel *channel, const uint8_t *bytes, size_t n, int fd)
{
	if (channel->queued + n > channel->queue_max)
		return IPC_FULL;
	CLEANUP(close_p) int copy = -1;
	if (fd >= 0 && (copy = fcntl(fd, F_DUPFD_CLOEXEC, 0)) < 0)
		return IPC_FULL;
	struct ipc_queued *queued = malloc(sizeof *queued + n);
	if (queued == NULL)
		return -ENOMEM;
	*queued = (struct ipc_queued){.fd = take_fd(&copy), .n = n};
	memcpy(queued->bytes, bytes, n);
	*channel->tail = queued;
	channel->tail = &queued->next;
	channel->queued += n;
	update_events(channel);
	return IPC_SENT;
}

int ipc_send_epoch(struct ipc_channel *channel, uint32_t epoch, enum message type, int fd,
	const struct wire_value *values, size_t n)
{
	const struct message_type *row = message_find(type);
	size_t which;
	assert(row != NULL && (row->from & 1 << channel->handlers->self) &&
		(row->to & 1 << channel->handlers->peer) && (fd >= 0) == (row->fd == FD_ALWAYS));
	if (!message_fits(row, values, n, &which))
		return -EINVAL;
	if (!ipc_open(channel))
		return -EPIPE;

	struct wire_value all[2 + MESSAGE_FIELDS_MAX] = {wire_uint(type), wire_uint(epoch)};
	if (n > 0)
		memcpy(all + 2, values, n * sizeof *values);
	size_t size = wire_encode(out_bytes, sizeof out_bytes, all, 2 + n);
	if (size == 0)
		return -EMSGSIZE;
	int r = IPC_FULL;
	if (channel->head == NULL)
		r = transmit(channel->watch.fd, out_bytes, size, fd);
	channel->moved |= r == IPC_SENT;
	if (r != IPC_FULL)
		return r;
	r = queue(channel, out_bytes, size, fd);
	if (r == IPC_FULL && channel->writable != NULL)
		ipc_want_writable(channel);
	return r;
}

int ipc_send(struct ipc_channel *channel, enum message type, int fd,
	const struct wire_value *values, size_t n)
{
	return ipc_send_epoch(channel, channel->epoch, type, fd, values, n);
}

void ipc_want_writable(struct ipc_channel *channel)
{
	if (channel->wants_writable || !ipc_open(channel))
		return;
	channel->wants_writable = true;
	update_events(channel);
}

// Returns false when the channel is no more.
static bool flush(struct ipc_channel *channel)
{
	while (channel->head != NULL) {
		struct ipc_queued *queued = channel->head;
		int r = transmit(channel->watch.fd, queued->bytes, queued->n, queued->fd);
		if (r == IPC_FULL)
			return true;
		if (r < 0) {
			end(channel, ipc_peer_closed);
			return false;
		}
		channel->moved = true;
		channel->head = queued->next;
		if (channel->head == NULL)
			channel->tail = &channel->head;
		channel->queued -= queued->n;
		queued_free(queued);
	}
	bool tell = channel->wants_writable;
	channel->wants_writable = false;
	update_events(channel);
	if (!tell)
		return true;
	bool gone = false;
	channel->gone = &gone;
	channel->writable(channel);
	if (gone)
		return false;
	channel->gone = NULL;
	return true;
}

// A channel can be full for reasons EPOLLOUT does not know: too many descriptors under way, or no
// memory in the kernel. That event would come again and again, so when it was no help a timer takes
// its place. Returns false when the channel is no more.
static bool try_again(struct ipc_channel *channel)
{
	channel->moved = false;
	channel->stalled = false;
	if (!flush(channel))
		return false;
	bool waiting = channel->head != NULL || channel->wants_writable;
	if (waiting && !channel->moved) {
		struct instant due = instant_add_ms(channel->loop->now, RETRY_MS);
		channel->stalled = loop_timer_set(channel->loop, &channel->retry, due) == 0;
	}
	update_events(channel);
	return true;
}

static void on_retry(struct loop_timer *timer)
{
	try_again(container_of(timer, struct ipc_channel, retry));
}

// ---- receiving

struct received {
	size_t n;
	int fds[FDS_MOST];
	size_t n_fds;
	bool truncated;     // the datagram was longer than any message may be
	bool fds_truncated; // descriptors were lost here
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(FDS_MOST * sizeof(int))];
	uint8_t bytes[MESSAGE_MAX]; // last: only what messages fill takes memory
};

static void received_close(struct received *received)
{
	for (size_t i = 0; i < received->n_fds; i++)
		close_p(&received->fds[i]);
}

// Returns 1 with a datagram, 0 when there is none now, -EPIPE when there will never be one.
static int receive(int socket_fd, struct received *received)
{
	struct iovec iov = {.iov_base = received->bytes, .iov_len = sizeof received->bytes};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = received->control,
		.msg_controllen = sizeof received->control,
	};
	ssize_t n;
	// ECONNRESET, reported once: the peer died with messages of ours unread. What it said
	// before, perhaps why, is still there.
	do
		n = recvmsg(socket_fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	if (n < 0)
		return errno == EAGAIN ? 0 : -EPIPE;
	received->n = (size_t)n;
	received->n_fds = 0;
	received->truncated = msg.msg_flags & MSG_TRUNC;
	received->fds_truncated = msg.msg_flags & MSG_CTRUNC;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c != NULL; c = CMSG_NXTHDR(&msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		received->n_fds = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(received->fds, CMSG_DATA(c), received->n_fds * sizeof(int));
	}
	// A datagram of no bytes is the end of the stream to recvmsg(); nobody sends an empty one.
	return n == 0 && received->n_fds == 0 ? -EPIPE : 1;
}

static ipc_handler find_handler(const struct ipc_channel *channel, enum message type)
{
	for (size_t i = 0; i < channel->handlers->n; i++)
		if (channel->handlers->table[i].type == type)
			return channel->handlers->table[i].handle;
	return NULL;
}

// What is wrong with the message, or NULL.
static const char *judge(const struct ipc_channel *channel, const struct message_type *row,
	const struct wire_value *values, size_t n, size_t n_fds)
{
	size_t which;
	if (row == NULL || !(row->from & 1 << channel->handlers->peer) ||
		!(row->to & 1 << channel->handlers->self))
		return "unknown message";
	if (!(row->phases & channel->phase))
		return "message out of phase";
	if (!message_fits(row, values, n, &which))
		return "bad field";
	if (n_fds != (row->fd == FD_ALWAYS ? 1 : 0))
		return "wrong number of descriptors";
	return NULL;
}

// Handles one datagram. Returns NULL, or what is wrong with it.
static const char *dispatch(struct ipc_channel *channel, struct received *received)
{
	struct wire_value values[2 + MESSAGE_FIELDS_MAX];
	if (received->truncated)
		return "oversized message";
	int n = wire_decode(received->bytes, received->n, values, ARRAY_SIZE(values));
	if (n < 2 || values[0].kind != WIRE_UINT || values[1].kind != WIRE_UINT ||
		values[1].number > UINT32_MAX)
		return "not a message";
	struct ipc_message message = {
		.type = message_find(values[0].number),
		.epoch = (uint32_t)values[1].number,
		.fields = values + 2,
		.fd = -1,
	};
	bool fd_lost = received->fds_truncated && received->n_fds == 0;
	const char *wrong = judge(
		channel, message.type, message.fields, (size_t)n - 2, received->n_fds + fd_lost);
	if (wrong != NULL)
		return wrong;
	if (!(channel->flags & IPC_ANY_EPOCH) && message.epoch != channel->epoch)
		return NULL; // meant for a predecessor: dropped, its descriptor closed
	if (fd_lost) {
		if (channel->exhausted != NULL)
			channel->exhausted(channel, &message);
		return NULL;
	}
	ipc_handler handle = find_handler(channel, message.type->type);
	if (handle == NULL)
		return "message nobody handles";
	if (received->n_fds > 0)
		message.fd = take_fd(&received->fds[0]);
	int r = handle(channel, &message);
	close_p(&message.fd);
	return r < 0 ? "refused message" : NULL;
}

// Takes one datagram. Returns 1 when there may be more, 0 when not now, -1 when the channel is no
// more.
static int take_one(struct ipc_channel *channel)
{
	static struct received received;
	int r = receive(channel->watch.fd, &received);
	if (r < 0) {
		end(channel, ipc_peer_closed);
		return -1;
	}
	if (r == 0)
		return 0;
	bool gone = false;
	channel->gone = &gone;
	const char *wrong = dispatch(channel, &received);
	received_close(&received);
	if (gone)
		return -1;
	channel->gone = NULL;
	if (wrong == NULL)
		return 1;
	if (channel->flags & IPC_SHARED) {
		channel->ended(channel, wrong);
		return 1;
	}
	end(channel, wrong);
	return -1;
}

bool ipc_drain(struct ipc_channel *channel)
{
	for (int i = 0; i < RECEIVE_ROUNDS && !channel->paused; i++) {
		int r = take_one(channel);
		if (r <= 0)
			return r == 0;
	}
	return true;
}

static void on_ready(struct loop_watch *watch, uint32_t events)
{
	struct ipc_channel *channel = container_of(watch, struct ipc_channel, watch);
	if ((events & EPOLLOUT) && !try_again(channel))
		return;
	if (channel->flags & IPC_SEND_ONLY) {
		if (events & (EPOLLHUP | EPOLLERR))
			end(channel, ipc_peer_closed);
		return;
	}
	if (events & EPOLLIN)
		ipc_drain(channel);
	else if (events & (EPOLLHUP | EPOLLERR))
		end(channel, ipc_peer_closed);
}

void ipc_pause(struct ipc_channel *channel)
{
	assert(!(channel->flags & IPC_EXCLUSIVE)); // epoll_ctl(2) does not modify such a watch
	if (channel->paused || !ipc_open(channel))
		return;
	channel->paused = true;
	update_events(channel);
}

void ipc_resume(struct ipc_channel *channel)
{
	if (!channel->paused || !ipc_open(channel))
		return;
	channel->paused = false;
	update_events(channel);
}

// ---- descriptors

static bool socket_option_is(int fd, int option, int wanted)
{
	int value = -1;
	socklen_t n = sizeof value;
	return getsockopt(fd, SOL_SOCKET, option, &value, &n) == 0 && value == wanted;
}

// A TCP socket tells all about itself in one call, which a socket of another kind does not know.
static int judge_tcp(const struct tcp_info *info, bool connecting)
{
	enum { SYN_SENT = 2, CLOSE = 7, LISTEN = 10 }; // the kernel's, not in its headers for us
	switch (info->tcpi_state) {
	case LISTEN: return -EBADMSG;
	case SYN_SENT: return connecting ? 0 : -EBADMSG;
	case CLOSE:
		// Reset meanwhile, or never connected and a lie: only the latter has never seen a
		// segment.
		if (connecting)
			return 0;
		return info->tcpi_segs_in > 0 ? IPC_STREAM_OVER : -EBADMSG;
	default: return 0;
	}
}

// A pair made by an edge process.
static int judge_local(int fd)
{
	struct sockaddr_storage peer;
	socklen_t n = sizeof peer;
	bool good = socket_option_is(fd, SO_TYPE, SOCK_STREAM) &&
		    socket_option_is(fd, SO_DOMAIN, AF_UNIX) &&
		    getpeername(fd, (struct sockaddr *)&peer, &n) == 0;
	return good ? IPC_STREAM_LOCAL : -EBADMSG;
}

int ipc_check_stream(int fd, bool connecting)
{
	struct tcp_info info;
	socklen_t n = sizeof info;
	// A read that waits would stop everybody else's connections as well.
	if (!(fcntl(fd, F_GETFL) & O_NONBLOCK))
		return -EBADMSG;
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n) < 0)
		return judge_local(fd);
	if (n < offsetof(struct tcp_info, tcpi_segs_in) + sizeof info.tcpi_segs_in)
		return -EBADMSG; // Linux before 4.2
	return judge_tcp(&info, connecting);
}
