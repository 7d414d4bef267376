// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "visitor.h"

#include "ending.h"
#include "http_date.h"
#include "proxy_header.h"

#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

enum { ANSWER_MAX = 16 * 1024 }; // the longest is a redirect: a request line and a little more

static_assert(sizeof(struct visitor) <= 256, "many may wait");
static_assert(ANSWER_MAX > HTTP_LINE_MAX + 1024, "a redirect to any target fits");

// What has just been read from whichever visitor is in hand.
static char arrived[MESSAGE_HEAD_MAX];

// Another visitor may have to go while one is in hand, hence apart.
static char thrown_away[16 * 1024];

void visitor_list_init(struct visitor_list *list)
{
	TAILQ_INIT(&list->queue);
	list->n = 0;
}

void visitors_init(struct visitors *all, struct loop *loop)
{
	*all = (struct visitors){.loop = loop};
	visitor_list_init(&all->reading);
	visitor_list_init(&all->closing);
}

// ---- waiting and its end

static void list_add(struct visitor *visitor, struct visitor_list *list, enum visitor_state state)
{
	visitor->state = state;
	visitor->list = list;
	TAILQ_INSERT_TAIL(&list->queue, visitor, link);
	list->n++;
	if (state == VISITOR_PARKED)
		visitor->all->n_parked++;
}

// Afterwards VISITOR waits for nothing. The watch goes too: epoll would stay with the connection
// after it was handed over.
static void take_in_hand(struct visitor *visitor)
{
	if (visitor->state == VISITOR_IN_HAND)
		return;
	if (visitor->state == VISITOR_PARKED)
		visitor->all->n_parked--;
	TAILQ_REMOVE(&visitor->list->queue, visitor, link);
	visitor->list->n--;
	visitor->list = NULL;
	loop_timer_clear(visitor->all->loop, &visitor->timer);
	loop_unwatch(visitor->all->loop, &visitor->watch);
	visitor->state = VISITOR_IN_HAND;
}

// Closes: with an RST, as an accepted socket has SO_LINGER {1,0}, unless somebody else holds a copy
// or that was cleared.
void visitor_release(struct visitor *visitor)
{
	take_in_hand(visitor);
	close(visitor->fd);
	if (visitor->kept) {
		buf_wipe(&visitor->bytes);
		free(visitor);
	}
}

static void forbid_reset(const struct visitor *visitor)
{
	static const struct linger off = {0};
	setsockopt(visitor->fd, SOL_SOCKET, SO_LINGER, &off, sizeof off);
}

// Closes in an orderly way where there is nothing to say.
static void leave(struct visitor *visitor)
{
	forbid_reset(visitor);
	if (visitor->facts.local)
		ending_say(visitor->fd, true, ENDING_LEFT);
	visitor_release(visitor);
}

static void on_ready(struct loop_watch *watch, uint32_t events);
static void on_expired(struct loop_timer *timer);

// An object of its own for a visitor that has none, which is consumed. NULL: there is no memory,
// the connection is closed.
static struct visitor *keep(struct visitor *visitor)
{
	if (visitor->kept)
		return visitor;
	struct visitor *kept = malloc(sizeof *kept);
	if (kept != NULL) {
		*kept = *visitor;
		kept->kept = true;
		kept->first = (struct span){0};
		kept->watch = (struct loop_watch){.fd = -1, .ready = on_ready};
		kept->timer = (struct loop_timer){.expired = on_expired};
		buf_init(&kept->bytes, MESSAGE_HEAD_MAX);
		if (buf_add_span(&kept->bytes, visitor->first) == 0)
			return kept;
		free(kept);
	}
	visitor_release(visitor);
	return NULL;
}

// Sets the deadline and, with WATCHED, waits for bytes. Consumes the visitor when that is
// impossible.
static void wait_for(struct visitor *visitor, int64_t ms, bool watched)
{
	struct loop *loop = visitor->all->loop;
	int r = loop_timer_set(loop, &visitor->timer, instant_add_ms(loop->now, ms));
	if (r == 0 && watched)
		r = loop_watch(loop, &visitor->watch, visitor->fd, EPOLLIN);
	if (r < 0)
		visitor_release(visitor);
}

struct span visitor_bytes(const struct visitor *visitor)
{
	return visitor->kept ? buf_span(&visitor->bytes) : visitor->first;
}

void visitor_set_own(struct visitor *visitor, struct span id)
{
	assert(id.n <= sizeof visitor->own);
	if (id.n > 0) // a port may be nobody's
		memcpy(visitor->own, id.p, id.n);
	visitor->own_size = (uint8_t)id.n;
}

void visitor_park(struct visitor *visitor, struct visitor_list *list)
{
	struct visitors *all = visitor->all;
	take_in_hand(visitor);
	if (all->n_parked >= all->max_waiting || list->n >= all->max_parked) {
		visitor_answer(visitor, CODE_DRAINING,
			list->n >= all->max_parked
				? SPAN("As many requests wait for this already as "
				       "max_pending_per_tunnel allows.")
				: SPAN("As many requests wait here already as max_pending allows."));
		return;
	}
	visitor = keep(visitor);
	if (visitor == NULL)
		return;
	list_add(visitor, list, VISITOR_PARKED);
	wait_for(visitor, all->park_ms, false);
}

void visitor_unpark(struct visitor *visitor)
{
	assert(visitor->state == VISITOR_PARKED);
	take_in_hand(visitor);
}

// Lets the longest waiting go without a word.
static void cut_first(struct visitors *all, struct visitor_list *list)
{
	all->counts.cut++;
	visitors_counted(all);
	visitor_release(TAILQ_FIRST(&list->queue));
}

bool visitors_shed(struct visitors *all)
{
	struct visitor_list *list = all->reading.n > 0 ? &all->reading : &all->closing;
	bool any = list->n > 0;
	for (size_t n = (list->n + 1) / 2; n > 0; n--)
		cut_first(all, list);
	return any;
}

// ---- our own answers

// Throws away what the visitor still sends. Returns true when the connection can be closed: it has
// ended, or too much has come.
static bool drained(struct visitor *visitor)
{
	while (visitor->drained < VISITOR_CLOSE_BYTES) {
		ssize_t n = recv(visitor->fd, thrown_away, sizeof thrown_away, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n == 0 || errno != EAGAIN;
		visitor->drained += (size_t)n;
	}
	return true;
}

// Closing at once, with bytes unread or still coming, would make the kernel send an RST that
// overtakes our answer in the visitor's receive queue.
static void close_behind_answer(struct visitor *visitor)
{
	struct visitors *all = visitor->all;
	forbid_reset(visitor);
	ending_say(visitor->fd, visitor->facts.local, ENDING_LEFT); // a local socket has room too
	visitor->first = (struct span){0};
	if (visitor->kept)
		buf_wipe(&visitor->bytes);
	if (drained(visitor)) {
		visitor_release(visitor);
		return;
	}
	if (all->closing.n >= VISITORS_CLOSING_MAX)
		cut_first(all, &all->closing);
	visitor = keep(visitor);
	if (visitor == NULL)
		return;
	list_add(visitor, &all->closing, VISITOR_CLOSING);
	wait_for(visitor, VISITOR_CLOSE_MS, true);
}

// The send buffer of a connection nobody has written to holds more than any answer of ours, so
// there is no rest to wait for.
static void send_answer(struct visitor *visitor, const struct buf *answer)
{
	struct span all = buf_span(answer);
	take_in_hand(visitor);
	if (send(visitor->fd, all.p, all.n, MSG_NOSIGNAL) == (ssize_t)all.n)
		close_behind_answer(visitor);
	else
		visitor_release(visitor);
}

// What the request was is not kept here, where nearly all of them only pass.
static void log_answer(struct visitor *visitor, unsigned status, enum code code)
{
	struct request_log *log = &visitor->all->log;
	const struct request_entry entry = {
		.method = SPAN("-"),
		.path = SPAN("-"),
		.at = log->loop->now,
		.status = status,
		.code = code,
		.ours = true,
		.peer = {(const char *)visitor->facts.peer, PEER_SIZE},
	};
	if (request_log_on(log))
		request_log_add(log, &entry);
}

void visitor_answer(struct visitor *visitor, enum code code, struct span detail)
{
	const struct problem problem = {
		.code = code,
		.detail = detail,
		.form = visitor->form,
		.to_head = visitor->to_head,
	};
	visitor->all->counts.refused[code]++;
	visitors_counted(visitor->all);
	log_answer(visitor, code_info(code)->status, code);
	CLEANUP(buf_reset) struct buf answer;
	buf_init(&answer, ANSWER_MAX);
	if (problem_format(&answer, &problem, NULL) == 0)
		send_answer(visitor, &answer);
	else
		visitor_release(visitor);
}

void visitor_redirect(struct visitor *visitor, unsigned status, struct span id, struct span path)
{
	log_answer(visitor, status, CODE_NONE);
	CLEANUP(buf_reset) struct buf answer;
	buf_init(&answer, ANSWER_MAX);
	// Whose a stray request is depends on who asks.
	int r = buf_printf(&answer,
		"HTTP/1.1 %u %s\r\nDate: %s\r\nLocation: /t%s%.*s%.*s\r\n%s"
		"Content-Length: 0\r\nConnection: close\r\n\r\n",
		status, http_reason(status), http_date_now(), id.n > 0 ? "/" : "", (int)id.n,
		id.n > 0 ? id.p : "", (int)path.n, path.p,
		id.n > 0 ? "Cache-Control: no-store\r\nVary: Referer, Cookie\r\n" : "");
	if (r == 0)
		send_answer(visitor, &answer);
	else
		visitor_release(visitor);
}

// A request that could not be parsed still tells whether a body may follow the answer's head.
static void refuse(struct visitor *visitor, enum code code, struct span detail)
{
	visitor->to_head = span_starts(visitor_bytes(visitor), SPAN("HEAD "));
	visitor_answer(visitor, code, detail);
}

// ---- reading the head

static void time_out(struct visitor *visitor)
{
	if (visitor_bytes(visitor).n == 0)
		leave(visitor);
	else
		refuse(visitor, CODE_REQUEST_TIMEOUT,
			SPAN("The head of the request did not arrive within head_timeout."));
}

// The one that has waited longest for its head gives way.
static void make_room(struct visitors *all)
{
	struct visitor *oldest = TAILQ_FIRST(&all->reading.queue);
	if (visitor_bytes(oldest).n > 0) {
		refuse(oldest, CODE_DRAINING,
			SPAN("More requests are incomplete here than max_pending allows."));
		return;
	}
	all->counts.cut++;
	visitors_counted(all);
	leave(oldest);
}

static void go_on_reading(struct visitor *visitor)
{
	struct visitors *all = visitor->all;
	if (visitor->state == VISITOR_READING)
		return;
	visitor = keep(visitor);
	if (visitor == NULL)
		return;
	list_add(visitor, &all->reading, VISITOR_READING);
	wait_for(visitor, all->head_timeout_ms, true);
	if (all->reading.n > all->max_waiting)
		make_room(all);
}

// Takes the header off that a proxy has put before the first request. Returns false when it is not
// there yet, or none: that has been seen to.
static bool take_proxy_header(struct visitor *visitor)
{
	struct span bytes = visitor_bytes(visitor);
	size_t size = 0;
	switch (proxy_header_parse(bytes.p, bytes.n, visitor->facts.peer, &size)) {
	case 0: break;
	case PROXY_HEADER_MORE: go_on_reading(visitor); return false;
	default:
		refuse(visitor, CODE_BAD_REQUEST,
			SPAN("Connections to this address have to begin with a PROXY header: "
			     "it is for a proxy that says for whom it asks."));
		return false;
	}
	visitor->facts.proxy = false;
	if (visitor->kept)
		buf_consume(&visitor->bytes, size);
	else
		visitor->first = (struct span){bytes.p + size, bytes.n - size};
	return true;
}

static void look_for_head(struct visitor *visitor)
{
	if (visitor->facts.proxy && !take_proxy_header(visitor))
		return;
	struct span bytes = visitor_bytes(visitor);
	size_t size;
	switch (http_head_find(bytes.p, bytes.n, true, &visitor->scanned, &size)) {
	case HTTP_OK:
		take_in_hand(visitor);
		visitor->all->complete(visitor->all, visitor, size);
		break;
	case HTTP_MORE: go_on_reading(visitor); break;
	case HTTP_TOO_LARGE: refuse(visitor, CODE_HEAD_TOO_LARGE, (struct span){0}); break;
	default:
		refuse(visitor, CODE_BAD_REQUEST,
			SPAN("The request head has a line that does not end with CR LF, or a "
			     "control character."));
	}
}

static int append(struct visitor *visitor, size_t n)
{
	if (visitor->kept)
		return buf_add(&visitor->bytes, arrived, n);
	visitor->first = (struct span){arrived, n};
	return 0;
}

// Reads once: what has not come by now comes with an event.
static void read_head(struct visitor *visitor)
{
	size_t room = sizeof arrived - visitor_bytes(visitor).n;
	ssize_t n = recv(visitor->fd, arrived, room, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		go_on_reading(visitor);
	else if (n > 0 && append(visitor, (size_t)n) == 0)
		look_for_head(visitor);
	else if (n == 0 && visitor_bytes(visitor).n > 0)
		refuse(visitor, CODE_BAD_REQUEST,
			SPAN("The connection ended inside the request head."));
	else if (n == 0)
		leave(visitor);
	else
		visitor_release(visitor);
}

void visitor_arrive(struct visitors *all, int fd, const struct facts *facts)
{
	struct visitor visitor = {.fd = fd, .facts = *facts, .all = all};
	all->counts.accepted++;
	visitors_counted(all);
	read_head(&visitor);
}

void visitor_arrive_by_edge(
	struct visitors *all, int fd, const struct facts *facts, struct span bytes)
{
	struct visitor visitor = {.fd = fd, .facts = *facts, .all = all};
	static_assert(STREAM_BYTES_MAX <= sizeof arrived, "they fit");
	// They are in a message, and looking for a route may receive another one.
	memcpy(arrived, bytes.p, bytes.n);
	visitor.first = (struct span){arrived, bytes.n};
	all->counts.accepted++;
	visitors_counted(all);
	look_for_head(&visitor);
}

// ---- events

static void on_ready(struct loop_watch *watch, uint32_t events)
{
	struct visitor *visitor = container_of(watch, struct visitor, watch);
	if (visitor->state == VISITOR_READING)
		read_head(visitor);
	else if (drained(visitor))
		visitor_release(visitor);
}

static void on_expired(struct loop_timer *timer)
{
	struct visitor *visitor = container_of(timer, struct visitor, timer);
	switch (visitor->state) {
	case VISITOR_READING: time_out(visitor); break;
	case VISITOR_PARKED:
		visitor_unpark(visitor);
		visitor_answer(visitor, CODE_DRAINING,
			SPAN("Who has to answer this was too busy, or away, for pending_timeout."));
		break;
	case VISITOR_CLOSING: visitor_release(visitor); break;
	case VISITOR_IN_HAND: break;
	}
}
