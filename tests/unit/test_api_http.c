// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The server's side of connections, driven over a socket pair: however the bytes of requests are
// cut, the answers are the same; whoever waits is told once what became of the connection; and
// deadlines do what they should.

#include "answer.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

#define HEAD   "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
#define LATER  "GET /later HTTP/1.1\r\nHost: h\r\n\r\n"
#define LENGTH "POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\nhello world"
#define CHUNKED                                                             \
	"POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" \
	"5\r\nhello\r\n1;x=y\r\n \r\n5\r\nworld\r\n0\r\nT: x\r\n\r\n"

static struct loop loop;
static struct connections set;
static struct connection *connection; // the server's, while it may be looked at
static int peer;                      // the client's end

// What the server was asked: "METHOD path body|" each.
static char asked[64 * 1024];
static size_t n_asked;

static struct connection_waiter waiter;
static unsigned n_over, n_lost;

static void on_over(struct connection_waiter *over, bool lost)
{
	assert_ptr_equal(over, &waiter);
	n_over++;
	n_lost += lost;
}

// ---- a server that answers with what it was asked; /later waits, /early does not read the body

static void answer_body(struct connection *c, struct span body)
{
	answer_json(c, 200, body, (struct span){NULL, 0});
}

static void begin(struct connection *c, struct request *request)
{
	if (span_eq(request->path, SPAN("/early")))
		answer_body(c, SPAN("early"));
}

static void handle(struct connection *c, struct request *request)
{
	struct span body = buf_span(&request->body);
	n_asked += (size_t)snprintf(asked + n_asked, sizeof asked - n_asked, "%.*s %.*s %.*s|",
		(int)request->head.method_text.n, request->head.method_text.p, (int)request->path.n,
		request->path.p, (int)body.n, body.p != NULL ? body.p : "");
	if (span_eq(request->path, SPAN("/agent")))
		answer_upgrade(c, "t-agent", SPAN("dGhlIHNhbXBsZSBub25jZQ=="));
	else if (span_eq(request->path, SPAN("/later")))
		connection_wait(c, &waiter);
	else
		answer_body(c, body);
}

static char failed_id[REQUEST_ID_SIZE];

static void failed(struct connection *c, enum code code, const char *request_id)
{
	assert_true(code_info(code)->status >= 500);
	memcpy(failed_id, request_id, sizeof failed_id);
}

static int taken = -1; // by whoever the connection was upgraded for

static void upgraded(struct connection *c, struct span bytes)
{
	struct linger linger;
	socklen_t n = sizeof linger;
	assert_int_equal(getsockopt(c->watch.fd, SOL_SOCKET, SO_LINGER, &linger, &n), 0);
	assert_true(linger.l_onoff == 1 && linger.l_linger == 0);
	n_asked += (size_t)snprintf(asked + n_asked, sizeof asked - n_asked, "%s upgraded %.*s|",
		c->tunnel, (int)bytes.n, bytes.p != NULL ? bytes.p : "");
	taken = dup(c->watch.fd);
}

static const struct connection_server server = {begin, handle, upgraded, failed};

// ---- running the loop until nothing happens any more

static void on_tick(struct loop_timer *timer)
{
	loop_stop(&loop, 0);
}

static void settle(void)
{
	struct loop_timer tick = {.expired = on_tick};
	for (int i = 0; i < 3; i++) {
		assert_int_equal(loop_timer_set(&loop, &tick, instant_now()), 0);
		loop.stopped = false;
		assert_int_equal(loop_run(&loop), 0);
	}
}

static void run_for(int64_t ms)
{
	struct loop_timer tick = {.expired = on_tick};
	assert_int_equal(loop_timer_set(&loop, &tick, instant_add_ms(instant_now(), ms)), 0);
	loop.stopped = false;
	assert_int_equal(loop_run(&loop), 0);
}

static void serve(int fd, struct span bytes)
{
	static const struct facts unknown;
	connection_serve(&set, fd, &unknown, SPAN(""), bytes);
	connection = TAILQ_LAST(&set.all, connection_list);
	assert_non_null(connection);
}

// A connection over TCP, where the kernel knows whether the client has taken what was sent.
static void open_tcp_with(struct span bytes)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof address;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &n), 0);
	peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(peer, (struct sockaddr *)&address, sizeof address), 0);
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	assert_true(fd >= 0);
	close(listener);
	serve(fd, bytes);
}

static void open_with(struct span bytes)
{
	int fds[2];
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	peer = fds[0];
	serve(fds[1], bytes);
}

static void send_bytes(const char *bytes, size_t n)
{
	assert_int_equal(send(peer, bytes, n, MSG_NOSIGNAL), n);
}

// Everything the client can read now; adds "<end>" when the server has ended its side.
static const char *received(void)
{
	static char text[256 * 1024];
	size_t n = 0;
	ssize_t r;
	while ((r = recv(peer, text + n, sizeof text - n - 8, MSG_DONTWAIT)) > 0)
		n += (size_t)r;
	n += (size_t)snprintf(text + n, 8, "%s", r == 0 ? "<end>" : "");
	text[n] = '\0';
	return text;
}

static unsigned count(const char *text, const char *part)
{
	unsigned n = 0;
	for (const char *p = text; (p = strstr(p, part)) != NULL; p++)
		n++;
	return n;
}

static int setup(void **state)
{
	assert_int_equal(loop_init(&loop), 0);
	connections_init(&set, &loop, &server);
	set.most = 256;
	set.head_ms = 7000;
	set.patience_ms = 9000;
	waiter.over = on_over;
	n_over = n_lost = 0;
	n_asked = 0;
	asked[0] = '\0';
	peer = -1;
	return 0;
}

static int teardown(void **state)
{
	connections_deinit(&set);
	for (size_t i = 0; i < CONNECTION_KINDS; i++)
		assert_int_equal(set.n[i], 0);
	assert_int_equal(loop.n_timers, 0);
	close_p(&peer);
	loop_deinit(&loop);
	return 0;
}

// ---- requests

static void check_cut(struct span all, size_t cut, const char *expected)
{
	n_asked = 0;
	open_with((struct span){all.p, cut});
	settle();
	if (cut < all.n)
		send_bytes(all.p + cut, all.n - cut);
	settle();
	const char *text = received();
	assert_string_equal(asked, expected);
	assert_int_equal(count(text, "HTTP/1.1 200 OK\r\n"), 1);
	assert_int_equal(count(text, "Connection: close\r\n"), 1);
	assert_non_null(strstr(text, "<end>"));
	close_p(&peer);
	settle();
	assert_int_equal(set.n[CONNECTION_SERVED], 0);
}

static void bytes_cut_anywhere(void **state)
{
	static const struct {
		struct span bytes;
		const char *asked;
	} cases[] = {
		{SPAN_INIT(HEAD), "GET /a |"},
		{SPAN_INIT(LENGTH), "POST /b hello world|"},
		{SPAN_INIT(CHUNKED), "POST /c hello world|"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (size_t cut = 0; cut <= cases[i].bytes.n; cut++)
			check_cut(cases[i].bytes, cut, cases[i].asked);
}

// In the same segment, later, or both: no second request is looked at.
static void what_comes_behind_is_ignored(void **state)
{
	static const char all[] = LENGTH HEAD "BAD\r\n\r\n" LATER;
	for (size_t cut = 0; cut <= sizeof all - 1; cut++)
		check_cut((struct span){all, sizeof all - 1}, cut, "POST /b hello world|");
}

static void an_answer_before_the_body(void **state)
{
	open_with(SPAN("POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: 29\r\n\r\n" HEAD));
	settle();
	const char *text = received();
	assert_int_equal(count(text, "HTTP/1.1 "), 1);
	assert_non_null(strstr(text, "Connection: close\r\n"));
	assert_non_null(strstr(text, "early<end>"));
	assert_string_equal(asked, "");
}

static void large_bodies(void **state)
{
	static char body[REQUEST_BODY_MAX];
	char head[128];
	memset(body, 'x', sizeof body);
	open_with(SPAN("P"));
	int n = snprintf(head, sizeof head,
		"OST /b HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n", sizeof body);
	send_bytes(head, (size_t)n);
	send_bytes(body, sizeof body);
	settle();
	assert_int_equal(n_asked, strlen("POST /b |") + sizeof body);
	assert_non_null(strstr(received(), "200 OK"));
	close_p(&peer);
	n = snprintf(head, sizeof head,
		"POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n", sizeof body + 1);
	open_with((struct span){head, (size_t)n});
	settle();
	const char *text = received();
	assert_non_null(strstr(text, "413 Content Too Large"));
	assert_non_null(strstr(text, "Tunnel-Error: too_large"));
	assert_non_null(strstr(text, "<end>"));
}

static void memory_is_there_only_while_bytes_are(void **state)
{
	open_with(SPAN(LENGTH HEAD));
	settle();
	received();
	assert_int_equal(connection->state, CONNECTION_LINGERING);
	assert_null(connection->in.base);
	assert_null(connection->out.base);
	assert_null(connection->request);
}

// ---- waiting

static void an_answer_later(void **state)
{
	open_with(SPAN(LATER HEAD));
	settle();
	assert_string_equal(asked, "GET /later |");
	assert_string_equal(received(), "");
	answer_body(connection, SPAN("now"));
	assert_int_equal(n_over, 0); // nothing happens inside the call
	settle();
	assert_int_equal(n_over, 1); // the client is still there, and has it
	assert_int_equal(n_lost, 0);
	assert_string_equal(asked, "GET /later |");
	assert_int_equal(count(received(), "200 OK"), 1);
}

static void the_client_goes_while_it_waits(void **state)
{
	open_with(SPAN(LATER));
	settle();
	close_p(&peer);
	settle();
	assert_int_equal(n_over, 1);
	assert_int_equal(n_lost, 1);
	assert_int_equal(set.n[CONNECTION_SERVED], 0);
}

static void the_client_ends_its_side_while_it_waits(void **state)
{
	open_tcp_with(SPAN(LATER));
	settle();
	shutdown(peer, SHUT_WR);
	settle();
	assert_int_equal(n_over, 0);
	answer_body(connection, SPAN("now"));
	settle();
	assert_non_null(strstr(received(), "now<end>"));
	close_p(&peer);
	settle();
	assert_int_equal(n_over, 1);
	assert_int_equal(n_lost, 0);
	assert_int_equal(set.n[CONNECTION_SERVED], 0);
}

// To begin with it looks like the one before.
static void the_client_goes_without_taking_the_answer(void **state)
{
	open_tcp_with(SPAN(LATER));
	settle();
	close_p(&peer);
	settle();
	assert_int_equal(n_over, 0);
	answer_body(connection, SPAN("now"));
	settle();
	assert_int_equal(n_over, 1);
	assert_int_equal(n_lost, 1);
}

static void forgotten_waiters_are_not_called(void **state)
{
	open_with(SPAN(LATER));
	settle();
	connection_forget(connection);
	answer_body(connection, SPAN("now"));
	settle();
	close_p(&peer);
	settle();
	assert_int_equal(n_over, 0);
}

static void the_set_ends_while_somebody_waits(void **state)
{
	open_with(SPAN(LATER));
	settle();
	connections_deinit(&set);
	assert_int_equal(n_over, 1);
	assert_int_equal(n_lost, 1);
}

static void no_memory_for_an_answer(void **state)
{
	open_with(SPAN(LATER));
	settle();
	connection_answered(connection, -ENOMEM);
	settle();
	assert_int_equal(n_lost, 1);
	assert_string_equal(received(), "<end>");
}

// ---- deadlines

static void expire(void)
{
	assert_true(connection->deadline.place != 0);
	loop_timer_clear(&loop, &connection->deadline);
	connection->deadline.expired(&connection->deadline);
	settle();
}

static void due_in(int64_t ms)
{
	int64_t us = instant_diff_us(connection->deadline.due, instant_now());
	if (us > ms * 1000 || us < ms * 1000 - 500000)
		fail_msg("%lld us instead of %lld ms", (long long)us, (long long)ms);
}

static void slow_heads_are_refused(void **state)
{
	open_with(SPAN("GET /"));
	settle();
	due_in(set.head_ms);
	struct instant due = connection->deadline.due;
	run_for(5);
	send_bytes("a", 1);
	settle();
	assert_int_equal(connection->deadline.due.us, due.us); // further bytes win no time
	expire();
	const char *text = received();
	assert_non_null(strstr(text, "408 Request Timeout"));
	assert_non_null(strstr(text, "<end>"));
}

static void slow_bodies_are_refused(void **state)
{
	open_with(SPAN("HEAD /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n12"));
	settle();
	due_in(set.patience_ms);
	expire();
	assert_non_null(strstr(received(), "408 Request Timeout"));
	assert_string_equal(asked, "");
}

static void who_waits_has_no_deadline_here(void **state)
{
	open_with(SPAN(LATER));
	settle();
	assert_int_equal(connection->deadline.place, 0);
}

static void answers_nobody_takes(void **state)
{
	static char large[1 << 20];
	memset(large, 'x', sizeof large);
	open_with(SPAN(LATER));
	settle();
	answer_body(connection, (struct span){large, sizeof large});
	settle();
	assert_true(connections_waiting(&set) > 0);
	due_in(set.patience_ms);
	struct instant due = connection->deadline.due;
	run_for(5);
	received();
	settle();
	assert_true(connection->deadline.due.us > due.us); // it is read, if slowly
	expire();
	assert_int_equal(n_lost, 1);
	assert_int_equal(set.n[CONNECTION_SERVED], 0);
}

static void peers_that_never_end(void **state)
{
	open_with(SPAN(HEAD));
	settle();
	assert_non_null(strstr(received(), "<end>"));
	due_in(CONNECTION_LINGER_MS);
	struct instant due = connection->deadline.due;
	static char junk[64 * 1024];
	for (size_t sent = 0; sent < CONNECTION_LINGER_MAX / 2; sent += sizeof junk) {
		send_bytes(junk, sizeof junk);
		settle();
	}
	assert_int_equal(set.n[CONNECTION_SERVED], 1);
	assert_int_equal(connection->deadline.due.us, due.us);
	expire();
	assert_int_equal(set.n[CONNECTION_SERVED], 0);
}

static void peers_that_send_for_ever(void **state)
{
	static char junk[64 * 1024];
	open_with(SPAN(HEAD));
	settle();
	received();
	size_t sent = 0;
	while (set.n[CONNECTION_SERVED] > 0) {
		assert_true(sent <= CONNECTION_LINGER_MAX + 2 * sizeof junk);
		send_bytes(junk, sizeof junk);
		sent += sizeof junk;
		settle();
	}
	assert_true(sent > CONNECTION_LINGER_MAX);
}

// ---- pages

static void a_page_is_answered_once(void **state)
{
	int fds[2];
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	peer = fds[0];
	send_bytes(HEAD, strlen(HEAD));
	struct connection *page = connection_for_page(&set, fds[1], false, "t-x");
	assert_non_null(page);
	page->form = FORM_HTML;
	answer_refusal(page, CODE_AGENT_OFFLINE, 9, SPAN("X-More: y\r\n"));
	settle();
	const char *text = received();
	assert_int_equal(count(text, "HTTP/1.1 503"), 1);
	assert_non_null(strstr(text, "Retry-After: 9\r\n"));
	assert_non_null(strstr(text, "X-More: y\r\n"));
	assert_non_null(strstr(text, "</html>\n<end>"));
	assert_int_equal(strlen(failed_id), REQUEST_ID_SIZE - 1);
	assert_non_null(strstr(text, failed_id));
	assert_string_equal(asked, "");
}

// ---- another protocol

// What came behind the request goes to whoever takes the connection, to the byte, and what comes
// later is not read here.
static void an_upgrade_gives_the_connection_away(void **state)
{
	static const char rest[] = "ET /agent HTTP/1.1\r\nHost: h\r\n\r\nearly";
	char late[16] = "";
	open_tcp_with(SPAN("G"));
	send_bytes(rest, sizeof rest - 1);
	settle();
	assert_string_equal(asked, "GET /agent |t-agent upgraded early|");
	const char *text = received();
	assert_int_equal(count(text, "HTTP/1.1 101 Switching Protocols\r\n"), 1);
	assert_int_equal(count(text, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), 1);
	assert_int_equal(count(text, "Sec-WebSocket-Protocol: tunneld.v1\r\n"), 1);
	assert_null(strstr(text, "<end>"));
	assert_int_equal(set.n[CONNECTION_SERVED], 0);
	send_bytes("late", 4);
	assert_int_equal(recv(taken, late, sizeof late, 0), 4);
	assert_string_equal(late, "late");
	close_p(&taken);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(bytes_cut_anywhere, setup, teardown),
		cmocka_unit_test_setup_teardown(what_comes_behind_is_ignored, setup, teardown),
		cmocka_unit_test_setup_teardown(an_answer_before_the_body, setup, teardown),
		cmocka_unit_test_setup_teardown(large_bodies, setup, teardown),
		cmocka_unit_test_setup_teardown(
			memory_is_there_only_while_bytes_are, setup, teardown),
		cmocka_unit_test_setup_teardown(an_answer_later, setup, teardown),
		cmocka_unit_test_setup_teardown(the_client_goes_while_it_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(
			the_client_ends_its_side_while_it_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(
			the_client_goes_without_taking_the_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(forgotten_waiters_are_not_called, setup, teardown),
		cmocka_unit_test_setup_teardown(the_set_ends_while_somebody_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(no_memory_for_an_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(slow_heads_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(slow_bodies_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(who_waits_has_no_deadline_here, setup, teardown),
		cmocka_unit_test_setup_teardown(answers_nobody_takes, setup, teardown),
		cmocka_unit_test_setup_teardown(peers_that_never_end, setup, teardown),
		cmocka_unit_test_setup_teardown(peers_that_send_for_ever, setup, teardown),
		cmocka_unit_test_setup_teardown(a_page_is_answered_once, setup, teardown),
		cmocka_unit_test_setup_teardown(
			an_upgrade_gives_the_connection_away, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
