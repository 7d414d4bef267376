// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "passage.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

enum { READ_SIZE = 64 * 1024 };

// One of the two ends. Edge-triggered: the flags are cleared by calls that found nothing to do.
struct end {
	struct passage *passage;
	struct transport *transport;
	struct loop_watch watch;
	bool readable, writable;
	bool ended; // has sent its FIN
	bool shut;  // was sent ours
	struct buf out;
};

struct passage {
	struct passages *passages;
	struct passage *next, **prev;
	struct opening opening;
	struct loop_timer patience;
	struct end local, remote;
	struct span request; // what of it is not sent yet
	bool through;        // the server has let us in
	bool basic;          // asked the other way
	struct answer answer;
};

// ---- the end

static void end_close(struct end *end, struct loop *loop, bool reset)
{
	const struct linger now = {.l_onoff = 1};
	if (end->transport == NULL)
		return;
	if (reset)
		setsockopt(end->transport->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	loop_unwatch(loop, &end->watch);
	end->transport = transport_free(end->transport);
}

// RESET: neither end may take it for an orderly one.
static void passage_free(struct passage *passage, bool reset)
{
	struct passages *passages = passage->passages;
	opening_cancel(&passage->opening);
	loop_timer_clear(passages->loop, &passage->patience);
	end_close(&passage->local, passages->loop, reset);
	end_close(&passage->remote, passages->loop, reset);
	buf_reset(&passage->local.out);
	buf_reset(&passage->remote.out);
	answer_deinit(&passage->answer);
	*passage->prev = passage->next;
	if (passage->next != NULL)
		passage->next->prev = passage->prev;
	passages->n--;
	free(passage);
}

static void refuse(struct passage *passage, unsigned status, struct span why)
{
	struct passages *passages = passage->passages;
	passages->refused(passages, status, why);
	passage_free(passage, true);
}

// ---- the pipe

// Returns 0, or a negative errno: the passage is over.
static int end_flush(struct end *end)
{
	while (end->writable && buf_len(&end->out) > 0) {
		struct span s = buf_span(&end->out);
		const struct iovec piece = {.iov_base = (void *)(uintptr_t)s.p, .iov_len = s.n};
		ssize_t n = transport_writev(end->transport, &piece, 1);
		if (n == -EAGAIN)
			end->writable = false;
		else if (n < 0)
			return (int)n;
		else
			buf_consume(&end->out, (size_t)n);
	}
	return 0;
}

// Moves what FROM has and TO takes.
static int move(struct end *from, struct end *to)
{
	int r = end_flush(to);
	while (r == 0 && from->readable && !from->ended && buf_len(&to->out) < READ_SIZE) {
		char *room = buf_room(&to->out, READ_SIZE);
		if (room == NULL)
			return -errno;
		ssize_t n = transport_read(from->transport, room, READ_SIZE);
		if (n > 0)
			buf_added(&to->out, (size_t)n);
		else if (n == 0)
			from->ended = true;
		else if (n == -EAGAIN)
			from->readable = false;
		else
			return (int)n;
		r = end_flush(to);
	}
	if (buf_len(&to->out) == 0)
		buf_reset(&to->out); // an idle passage holds no memory for bytes
	if (r == 0 && from->ended && !to->shut && buf_len(&to->out) == 0) {
		r = transport_shutdown(to->transport);
		to->shut = r == 0;
	}
	return r == -EAGAIN ? 0 : r; // the next event tries again
}

static void go_on(struct passage *passage)
{
	int r = move(&passage->local, &passage->remote);
	if (r == 0)
		r = move(&passage->remote, &passage->local);
	if (r < 0)
		passage_free(passage, true);
	else if (passage->local.shut && passage->remote.shut)
		passage_free(passage, false);
}

// ---- the entry

static void send_request(struct passage *passage)
{
	struct end *remote = &passage->remote;
	while (remote->writable && passage->request.n > 0) {
		const struct iovec piece = {.iov_base = (void *)(uintptr_t)passage->request.p,
			.iov_len = passage->request.n};
		ssize_t n = transport_writev(remote->transport, &piece, 1);
		if (n < 0) {
			remote->writable = false; // an error is met again when the answer is read
			return;
		}
		passage->request.p += n;
		passage->request.n -= (size_t)n;
	}
}

static bool is_ours(const struct passage *passage)
{
	return span_eq_nocase(http_head_named(&passage->answer.head, SPAN("Upgrade")), SPAN("tcp"));
}

static void start_opening(struct passage *passage);

// Asks once more, the way this tunnel wants it; so does every passage from now on.
static bool ask_again(struct passage *passage)
{
	struct passages *passages = passage->passages;
	struct span challenge = http_head_named(&passage->answer.head, SPAN("WWW-Authenticate"));
	if (passage->basic || passages->basic.p == NULL || challenge.n < 5 ||
		!span_eq_nocase((struct span){challenge.p, 5}, SPAN("Basic")))
		return false;
	passages->request = passages->basic;
	end_close(&passage->remote, passages->loop, false);
	answer_deinit(&passage->answer);
	passage->basic = true;
	start_opening(passage);
	return true;
}

// Each returns whether the passage goes on with what it has.

static bool turned_away(struct passage *passage)
{
	unsigned status = passage->answer.head.status;
	if (status != 401 || !ask_again(passage))
		refuse(passage, status, (struct span){NULL, 0});
	return false;
}

static bool let_in(struct passage *passage, struct span rest)
{
	if (!is_ours(passage) || buf_add_span(&passage->local.out, rest) < 0) {
		refuse(passage, 0, SPAN("the server's 101 is not one for TCP"));
		return false;
	}
	passage->through = true;
	loop_timer_clear(passage->passages->loop, &passage->patience);
	return true;
}

static bool take_answer(struct passage *passage, struct span in)
{
	struct span data;
	for (;;) {
		switch (answer_next(&passage->answer, &in, &data)) {
		case ANSWER_MORE: return true;
		case ANSWER_HEAD:
			if (passage->answer.head.status != 101)
				return turned_away(passage);
			break;
		case ANSWER_DATA: break; // a 101 has none
		case ANSWER_BAD: refuse(passage, 0, span_of(passage->answer.why)); return false;
		case ANSWER_END: return let_in(passage, in);
		}
	}
}

static void read_answer(struct passage *passage)
{
	char bytes[4096];
	while (!passage->through && passage->remote.readable) {
		ssize_t n = transport_read(passage->remote.transport, bytes, sizeof bytes);
		if (n == -EAGAIN) {
			passage->remote.readable = false;
			return;
		}
		if (n <= 0) {
			refuse(passage, 0, SPAN("the server closed the connection"));
			return;
		}
		if (!take_answer(passage, (struct span){bytes, (size_t)n}))
			return;
	}
	if (passage->through)
		go_on(passage);
}

// ---- events

static void note(struct end *end, uint32_t events)
{
	// TLS may have to read in order to write, and the other way round.
	bool both = end->transport->ssl != NULL || (events & (EPOLLHUP | EPOLLERR)) != 0;
	if (both || (events & (EPOLLIN | EPOLLRDHUP)) != 0)
		end->readable = true;
	if (both || (events & EPOLLOUT) != 0)
		end->writable = true;
}

static void on_ready(struct loop_watch *watch, uint32_t events)
{
	struct end *end = container_of(watch, struct end, watch);
	struct passage *passage = end->passage;
	note(end, events);
	if (passage->through) {
		go_on(passage);
	} else if (end == &passage->remote) {
		send_request(passage);
		read_answer(passage);
	} else if (events & (EPOLLHUP | EPOLLERR)) {
		passage_free(passage, true); // gone before it was let in
	}
}

static int end_watch(struct end *end)
{
	end->watch.ready = on_ready;
	return loop_watch(end->passage->passages->loop, &end->watch, end->transport->fd,
		EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

static void on_impatient(struct loop_timer *timer)
{
	refuse(container_of(timer, struct passage, patience), 0,
		SPAN("the server does not answer"));
}

static void on_opened(struct opening *opening, struct transport *transport, int r)
{
	struct passage *passage = container_of(opening, struct passage, opening);
	passage->remote.transport = transport;
	if (r == 0)
		r = end_watch(&passage->remote);
	if (r != 0)
		refuse(passage, 0, span_of(r > 0 ? opening->failure.text : strerror(-r)));
}

static void start_opening(struct passage *passage)
{
	struct passages *passages = passage->passages;
	passage->request = passages->request;
	passage->remote = (struct end){.passage = passage, .watch.fd = -1};
	buf_init(&passage->remote.out, PASSAGE_PIECE_MAX);
	answer_init(&passage->answer, false);
	passage->opening = (struct opening){
		.loop = passages->loop,
		.route = *passages->route,
		.deadline = passage->patience.due,
		.opened = on_opened,
	};
	int r = opening_start(&passage->opening);
	if (r < 0)
		refuse(passage, 0, span_of(strerror(-r)));
}

int passage_new(struct passages *passages, int fd)
{
	struct passage *passage = malloc(sizeof *passage);
	int on = 1;
	if (passage == NULL) {
		close(fd);
		return -ENOMEM;
	}
	*passage = (struct passage){
		.passages = passages,
		.patience.expired = on_impatient,
		.local = {.passage = passage, .watch.fd = -1},
		.remote = {.passage = passage, .watch.fd = -1},
		.next = passages->first,
		.prev = &passages->first,
	};
	buf_init(&passage->local.out, PASSAGE_PIECE_MAX);
	if (passage->next != NULL)
		passage->next->prev = &passage->next;
	passages->first = passage;
	passages->n++;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	int r = transport_new(&passage->local.transport, fd, NULL);
	if (r == 0)
		r = end_watch(&passage->local);
	if (r == 0)
		r = loop_timer_set(passages->loop, &passage->patience,
			instant_add_ms(passages->loop->now, PASSAGE_MS));
	if (r < 0)
		passage_free(passage, true);
	else
		start_opening(passage);
	return r;
}

void passages_deinit(struct passages *passages)
{
	while (passages->first != NULL)
		passage_free(passages->first, true);
}
