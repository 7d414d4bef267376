// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Whatever ends a link only marks it (AGENT_LINK_GONE); it is taken apart by its task, when nothing
// of it is on the stack.

#include "agent_link.h"

#include "agent_stream.h"
#include "api.h"
#include "http.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/socket.h>

enum {
	READ_TURN = 1024 * 1024, // bytes before others have their turn
	REFUSAL_MAX = 64 * 1024,
	RECORD_MAX = 16 * 1024, // of TLS
	NONCE_SIZE = 16,
};

// ---- the end

// FINAL and STATUS as agent_link_down() has them; the sentence is in agent->failure.
static void go(struct agent_link *link, bool final, unsigned status)
{
	if (link->state == AGENT_LINK_GONE)
		return;
	link->state = AGENT_LINK_GONE;
	loop_task_set(link->agent->loop, &link->task);
	agent_link_down(link->agent, link, final, status);
}

static void PRINTF(2, 3) lose(struct agent_link *link, const char *format, ...)
{
	struct failure *failure = &link->agent->failure;
	va_list args;
	if (link->state == AGENT_LINK_GONE)
		return;
	va_start(args, format);
	vsnprintf(failure->text, sizeof failure->text, format, args);
	va_end(args);
	go(link, false, 0);
}

static void lose_errno(struct agent_link *link, int error)
{
	lose(link, "%s", strerror(-error));
}

void agent_link_free(struct agent_link *link)
{
	struct loop *loop = link->agent->loop;
	if (link->mux.handlers != NULL) {
		mux_close(&link->mux, WEBSOCKET_GOING_AWAY, "");
		(void)!mux_flush(&link->mux);
		mux_deinit(&link->mux);
	}
	opening_cancel(&link->opening);
	loop_unwatch(loop, &link->watch);
	loop_timer_clear(loop, &link->timer);
	loop_task_clear(&link->task);
	link->transport = transport_free(link->transport);
	buf_wipe(&link->request);
	answer_deinit(&link->answer);
	buf_reset(&link->refusal);
	*link->prev = link->next;
	if (link->next != NULL)
		link->next->prev = link->prev;
	link->agent->n_links--;
	free(link);
}

static void mux_over(struct agent_link *link)
{
	const struct mux_end *end = &link->mux.end;
	(void)!mux_flush(&link->mux); // our close frame, if it goes
	if (end->by_peer && end->code == MUX_CLOSE_TOO_MANY) {
		snprintf(link->agent->failure.text, sizeof link->agent->failure.text,
			"the tunnel has as many agents as it may have");
		go(link, true, 429);
	} else if (end->by_peer) {
		lose(link, "the server closed the connection%s%s", end->why[0] != '\0' ? ": " : "",
			end->why);
	} else {
		lose(link, "the server did not keep to the protocol: %s", end->why);
	}
}

// ---- writing

// TLS makes a record of each piece, so small ones become one first.
static ssize_t write_records(struct agent_link *link, const struct iovec *pieces, int n)
{
	char record[RECORD_MAX];
	size_t size = 0;
	for (int i = 0; i < n && size < sizeof record; i++) {
		size_t take = MIN(pieces[i].iov_len, sizeof record - size);
		memcpy(record + size, pieces[i].iov_base, take);
		size += take;
	}
	const struct iovec one = {.iov_base = record, .iov_len = size};
	return transport_writev(link->transport, &one, 1);
}

static ssize_t on_write(struct mux *mux, const struct iovec *pieces, int n)
{
	struct agent_link *link = agent_link_of(mux);
	if (!link->writable)
		return 0;
	ssize_t sent = link->transport->ssl != NULL ? write_records(link, pieces, n)
						    : transport_writev(link->transport, pieces, n);
	if (sent != -EAGAIN)
		return sent;
	link->writable = false;
	return 0;
}

void agent_link_wake(struct agent_link *link)
{
	loop_task_set(link->agent->loop, &link->task);
}

static void on_queued(struct mux *mux)
{
	agent_link_wake(agent_link_of(mux));
}

static void flush(struct agent_link *link)
{
	if (link->state < AGENT_LINK_GREETING)
		return;
	int r = link->writable ? mux_flush(&link->mux) : MUX_PENDING;
	if (r < 0)
		lose_errno(link, r);
	else if (r == 0 && link->state == AGENT_LINK_RETIRED && link->mux.n_streams == 0) {
		mux_close(&link->mux, WEBSOCKET_NORMAL, "");
		(void)!mux_flush(&link->mux);
		lose(link, "it was replaced");
	}
}

// ---- what the relay says

static void on_hello(struct mux *mux, const struct mux_message *hello)
{
	struct agent_link *link = agent_link_of(mux);
	(void)hello;
	link->state = AGENT_LINK_UP;
	agent_link_up(link->agent, link);
	if (loop_timer_set(link->agent->loop, &link->timer,
		    instant_add_ms(link->agent->loop->now, AGENT_PING_MS)) < 0)
		lose_errno(link, -ENOMEM);
}

static void on_notice(struct mux *mux, const struct mux_message *notice)
{
	struct agent_link *link = agent_link_of(mux);
	struct journal *journal = link->agent->journal;
	// Only now is it certain that no stream is opened here any more: the relay may have sent
	// one before it heard of the link that replaces this one.
	if (span_eq(notice->kind, SPAN("replaced")) && link->state == AGENT_LINK_UP) {
		link->state = AGENT_LINK_RETIRED;
		agent_link_retired(link->agent, link);
		agent_link_wake(link);
	}
	if (link != link->agent->current)
		return; // the one that has replaced it is told the same
	if (span_eq(notice->kind, SPAN("expiring")))
		journal_expiring(journal, (unsigned)MIN(notice->number, (uint64_t)UINT32_MAX));
	else if (span_eq(notice->kind, SPAN("draining")))
		journal_note(journal, "the server is about to stop");
}

static const struct mux_handlers handlers = {
	.write = on_write,
	.queued = on_queued,
	.hello = on_hello,
	.open = agent_stream_open,
	.notice = on_notice,
	.data = agent_stream_data,
	.fin = agent_stream_fin,
	.reset = agent_stream_reset,
	.writable = agent_stream_writable,
};

static void mux_bytes(struct agent_link *link, char *bytes, size_t n)
{
	int r = mux_input(&link->mux, bytes, n);
	if (r < 0)
		lose_errno(link, r);
	else if (r == MUX_ENDED)
		mux_over(link);
	else if (link->mux.queue != NULL)
		agent_link_wake(link);
}

// ---- the upgrade

static int make_request(struct agent_link *link)
{
	const struct agent_options *o = &link->agent->options;
	uint8_t nonce[NONCE_SIZE];
	char key[32], fields[256], path[128];
	if (getrandom(nonce, sizeof nonce, 0) != sizeof nonce)
		return -EIO;
	EVP_EncodeBlock((unsigned char *)key, nonce, sizeof nonce);
	websocket_accept(span_of(key), link->accept);
	snprintf(path, sizeof path, "/_api/tunnels/%s/agent", o->id);
	snprintf(fields, sizeof fields,
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n"
		"Sec-WebSocket-Protocol: tunneld.v1\r\n",
		key);
	const struct http_request request = {
		.path = path, .token = o->token, .upgrade = "websocket", .fields = fields};
	buf_init(&link->request, 16 * 1024);
	return http_request_format(&link->request, &o->settings->server, &request);
}

static void send_request(struct agent_link *link)
{
	while (link->writable && buf_len(&link->request) > 0) {
		struct span s = buf_span(&link->request);
		const struct iovec piece = {.iov_base = (void *)(uintptr_t)s.p, .iov_len = s.n};
		ssize_t n = transport_writev(link->transport, &piece, 1);
		if (n == -EAGAIN)
			link->writable = false;
		else if (n < 0)
			lose_errno(link, (int)n);
		if (n < 0)
			return;
		buf_consume(&link->request, (size_t)n);
	}
}

static bool is_ours(const struct agent_link *link)
{
	const struct answer *answer = &link->answer;
	return span_eq_nocase(http_head_named(&answer->head, SPAN("Upgrade")), SPAN("websocket")) &&
	       span_eq(http_head_named(&answer->head, SPAN("Sec-WebSocket-Accept")),
		       (struct span){link->accept, sizeof link->accept}) &&
	       span_eq(http_head_named(&answer->head, SPAN("Sec-WebSocket-Protocol")),
		       SPAN("tunneld.v1"));
}

static void greet(struct agent_link *link)
{
	struct agent *agent = link->agent;
	const struct mux_message hello = {
		.type = MUX_HELLO,
		.number = agent->streams_max,
		.instance = span_of(agent->instance),
		.agent = SPAN("tunnel/" TUNNELD_VERSION),
		.host = span_of(agent->host),
	};
	if (!is_ours(link)) {
		lose(link, "the server's 101 is not one for an agent");
		return;
	}
	link->state = AGENT_LINK_GREETING;
	buf_wipe(&link->request);
	// An answer must not wait in the kernel behind megabytes of others' downloads.
	setsockopt(link->transport->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &(int){MUX_OUT_FULL},
		sizeof(int));
	mux_init(&link->mux, MUX_AGENT, &handlers, &agent->loop->now, &agent->store);
	int r = mux_hello(&link->mux, &hello);
	if (r < 0)
		lose_errno(link, r);
}

// Trying again is of no use when it is about this tunnel or token, and of some when the server is
// busy or on its way down.
static bool is_final(unsigned status)
{
	return status >= 400 && status < 500 && status != 408 && status != 421 && status != 429;
}

static void refused(struct agent_link *link)
{
	struct agent *agent = link->agent;
	unsigned status = link->answer.head.status;
	agent->code = (enum exit_code)api_refusal(
		agent->options.settings, status, buf_span(&link->refusal), &agent->failure);
	go(link, is_final(status), status);
}

static void on_head(struct agent_link *link)
{
	if (link->answer.head.status == 101) {
		greet(link);
		return;
	}
	link->state = AGENT_LINK_REFUSED;
	buf_init(&link->refusal, REFUSAL_MAX);
}

static void answer_bytes(struct agent_link *link, struct span in)
{
	struct span data;
	for (;;) {
		switch (answer_next(&link->answer, &in, &data)) {
		case ANSWER_MORE: return;
		case ANSWER_HEAD: on_head(link); break;
		case ANSWER_DATA:
			if (buf_add_span(&link->refusal, data) < 0)
				refused(link);
			break;
		case ANSWER_BAD:
			lose(link, "the answer is not to be understood: %s", link->answer.why);
			break;
		case ANSWER_END:
			if (link->state == AGENT_LINK_REFUSED)
				refused(link);
			else if (link->state == AGENT_LINK_GREETING)
				mux_bytes(link, (char *)(uintptr_t)in.p, in.n);
			return;
		}
		if (link->state == AGENT_LINK_GONE)
			return;
	}
}

// ---- reading

static void at_end(struct agent_link *link)
{
	if (link->state == AGENT_LINK_REFUSED)
		refused(link);
	else
		lose(link, "the server closed the connection");
}

static void read_some(struct agent_link *link)
{
	size_t all = 0;
	while (link->readable && all < READ_TURN && link->state != AGENT_LINK_GONE) {
		char *bytes = link->agent->scratch;
		ssize_t n = transport_read(link->transport, bytes, AGENT_READ_SIZE);
		if (n == -EAGAIN) {
			link->readable = false;
		} else if (n == 0) {
			at_end(link);
		} else if (n < 0) {
			lose_errno(link, (int)n);
		} else if (link->state >= AGENT_LINK_GREETING) {
			mux_bytes(link, bytes, (size_t)n);
		} else {
			answer_bytes(link, (struct span){bytes, (size_t)n});
		}
		// Less than asked for: the socket is empty, the next edge will tell.
		if (n > 0 && n < AGENT_READ_SIZE && link->transport->ssl == NULL &&
			!link->peer_done)
			link->readable = false;
		all += (size_t)MAX(n, 0);
	}
	if (link->readable && link->state != AGENT_LINK_GONE)
		agent_link_wake(link);
}

static void on_task(struct loop_task *task)
{
	struct agent_link *link = container_of(task, struct agent_link, task);
	if (link->state != AGENT_LINK_GONE && link->readable)
		read_some(link);
	if (link->state != AGENT_LINK_GONE)
		flush(link);
	if (link->state == AGENT_LINK_GONE)
		agent_link_free(link);
}

static void on_ready(struct loop_watch *watch, uint32_t events)
{
	struct agent_link *link = container_of(watch, struct agent_link, watch);
	// TLS may have to read in order to write, and the other way round.
	bool both = link->transport->ssl != NULL || (events & (EPOLLHUP | EPOLLERR)) != 0;
	if (both || (events & (EPOLLIN | EPOLLRDHUP)) != 0)
		link->readable = true;
	if (both || (events & EPOLLOUT) != 0)
		link->writable = true;
	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		link->peer_done = true;
	if (link->state == AGENT_LINK_UPGRADING)
		send_request(link);
	read_some(link);
	agent_link_wake(link);
}

// ---- time

static const char *patience_with(enum agent_link_state state)
{
	return state == AGENT_LINK_GREETING ? "the server does not say hello"
					    : "the server does not answer";
}

static void on_timer(struct loop_timer *timer)
{
	struct agent_link *link = container_of(timer, struct agent_link, timer);
	if (link->state < AGENT_LINK_UP) {
		lose(link, "%s", patience_with(link->state));
		return;
	}
	int r = mux_ping(&link->mux);
	if (r == MUX_ENDED)
		lose(link, "the server does not answer pings");
	else if (r < 0)
		lose_errno(link, r);
	else if (loop_timer_set(link->agent->loop, timer,
			 instant_add_ms(link->agent->loop->now, AGENT_PING_MS)) < 0)
		lose_errno(link, -ENOMEM);
}

// ---- opening

static void on_opened(struct opening *opening, struct transport *transport, int r)
{
	struct agent_link *link = container_of(opening, struct agent_link, opening);
	struct loop *loop = link->agent->loop;
	link->transport = transport;
	if (r > 0 && opening->stage == OPENING_TLS &&
		agent_link_distrusted(link->agent, link) != 0) {
		go(link, true, 0);
		return;
	}
	if (r > 0) {
		lose(link, "%s", opening->failure.text);
		return;
	}
	link->state = AGENT_LINK_UPGRADING;
	if (r == 0)
		r = make_request(link);
	if (r == 0)
		r = loop_watch(loop, &link->watch, transport->fd,
			EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
	if (r == 0)
		r = loop_timer_set(loop, &link->timer, instant_add_ms(loop->now, AGENT_LINK_MS));
	if (r < 0)
		lose_errno(link, r);
}

struct agent_link *agent_link_new(struct agent *agent)
{
	struct agent_link *link = calloc(1, sizeof *link);
	if (link == NULL)
		return NULL;
	*link = (struct agent_link){
		.agent = agent,
		.state = AGENT_LINK_OPENING,
		.opening =
			{
				.loop = agent->loop,
				.route = agent->options.settings->route,
				.deadline = instant_add_ms(agent->loop->now, AGENT_LINK_MS),
				.opened = on_opened,
			},
		.watch = {.fd = -1, .ready = on_ready},
		.timer.expired = on_timer,
		.task.run = on_task,
	};
	answer_init(&link->answer, false);
	if (opening_start(&link->opening) < 0) {
		answer_deinit(&link->answer);
		free(link);
		return NULL;
	}
	link->next = agent->links;
	link->prev = &agent->links;
	if (link->next != NULL)
		link->next->prev = &link->next;
	agent->links = link;
	agent->n_links++;
	return link;
}
