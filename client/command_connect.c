// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// tunnel connect: a local port, each connection to which leads through a tunnel for TCP.

#include "agent_sandbox.h"
#include "attest_gate.h"
#include "clean.h"
#include "handlers.h"
#include "http.h"
#include "passage.h"
#include "signals.h"
#include "tunnel_ref.h"
#include "visit.h"

#include <arpa/inet.h>
#include <sys/socket.h>

enum { CONNECT_MAX = 1000, LISTEN_BACKLOG = 128, RETRY_MS = 100, REQUEST_MAX = 16 * 1024 };

struct connect {
	const struct invocation *invocation;
	struct visit visit;
	struct settings settings; // the URL's server; no token
	struct attest_gate gate;
	struct loop loop;
	struct loop_watch listener;
	struct loop_timer again; // when descriptors had run out
	struct signals signals;
	struct buf bearer, basic; // requests for entry
	struct passages passages;
	struct failure failure; // why it ends
	int end;
};

// ---- where to listen

union local_address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

// [ADDR:]PORT, with an IPv6 address in brackets. Returns its size, or 0.
static socklen_t parse_local(const char *text, union local_address *ret)
{
	char host[64] = "127.0.0.1", *end;
	const char *colon = strrchr(text, ':'), *port = colon != NULL ? colon + 1 : text;
	unsigned long number = strtoul(port, &end, 10);
	if (*port < '0' || *port > '9' || *end != '\0' || number > UINT16_MAX)
		return 0;
	if (colon != NULL)
		snprintf(host, sizeof host, "%.*s", (int)(colon - text), text);
	if (strcmp(host, "localhost") == 0)
		snprintf(host, sizeof host, "127.0.0.1");
	size_t n = strlen(host);
	*ret = (union local_address){0};
	if (host[0] == '[' && host[n - 1] == ']') {
		host[n - 1] = '\0';
		ret->in6 = (struct sockaddr_in6){
			.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)number)};
		return inet_pton(AF_INET6, host + 1, &ret->in6.sin6_addr) == 1 ? sizeof ret->in6
									       : 0;
	}
	ret->in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)number)};
	return inet_pton(AF_INET, host, &ret->in.sin_addr) == 1 ? sizeof ret->in : 0;
}

static int listen_at(struct connect *connect, struct failure *failure)
{
	const char *text = connect->invocation->values[OPTION_LOCAL];
	union local_address address;
	int on = 1;
	if (text == NULL)
		return failure_set(failure, EXIT_CODE_USAGE,
			"say where to listen: -L PORT, or -L ADDRESS:PORT");
	socklen_t size = parse_local(text, &address);
	if (size == 0)
		return failure_set(
			failure, EXIT_CODE_USAGE, "-L: '%s' is no port and no address:port", text);
	CLEANUP(close_p)
	int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, &address.any, size) < 0 || listen(fd, LISTEN_BACKLOG) < 0)
		return failure_set(
			failure, EXIT_CODE_OTHER, "cannot listen on %s: %s", text, strerror(errno));
	int r = loop_watch(&connect->loop, &connect->listener, fd, EPOLLIN);
	if (r == 0)
		(void)take_fd(&fd);
	return r;
}

// The port may have been chosen by the kernel.
static void tell_where(const struct connect *connect)
{
	union local_address address = {0};
	socklen_t size = sizeof address;
	char host[INET6_ADDRSTRLEN] = "";
	getsockname(connect->listener.fd, &address.any, &size);
	bool v6 = address.any.sa_family == AF_INET6;
	inet_ntop(address.any.sa_family,
		v6 ? (void *)&address.in6.sin6_addr : (void *)&address.in.sin_addr, host,
		sizeof host);
	int port = ntohs(v6 ? address.in6.sin6_port : address.in.sin_port);
	if (option_given(connect->invocation, OPTION_JSON))
		printf("{\"event\":\"listening\",\"address\":\"%s\",\"port\":%d}\n", host, port);
	else
		printf(v6 ? "[%s]:%d\n" : "%s:%d\n", host, port);
	fflush(stdout);
	fprintf(stderr, "leads to  %s%s; Ctrl-C ends it\n", connect->visit.server.host,
		connect->visit.path);
}

// ---- while it runs

static void end(struct connect *connect, int r)
{
	connect->end = r;
	loop_stop(&connect->loop, 0);
}

static void on_again(struct loop_timer *timer)
{
	struct connect *connect = container_of(timer, struct connect, again);
	if (loop_rewatch(&connect->loop, &connect->listener, EPOLLIN) < 0)
		end(connect, -ENOMEM);
}

// Who comes waits in the listener's queue until there is room.
static void pause_listener(struct connect *connect)
{
	if (loop_rewatch(&connect->loop, &connect->listener, 0) < 0 ||
		loop_timer_set(&connect->loop, &connect->again,
			instant_add_ms(connect->loop.now, RETRY_MS)) < 0)
		end(connect, -ENOMEM);
}

static void on_connection(struct loop_watch *watch, uint32_t events)
{
	struct connect *connect = container_of(watch, struct connect, listener);
	(void)events;
	if (connect->passages.n >= CONNECT_MAX) {
		pause_listener(connect);
		return;
	}
	int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS))
		pause_listener(connect);
	else if (fd >= 0 && passage_new(&connect->passages, fd) < 0)
		pause_listener(connect);
}

// Upgrades are refused by a bare status. What is about the tunnel or the secret is the end; with
// everything else the next connection may fare better.
static void on_refused(struct passages *passages, unsigned status, struct span why)
{
	static const struct {
		unsigned status;
		enum exit_code end; // EXIT_CODE_OK: it goes on
		const char *words;
	} known[] = {
		{400, EXIT_CODE_REFUSED, "it does not lead to a TCP service"},
		{401, EXIT_CODE_REFUSED,
			"it wants a secret, and not this one: put it behind a # of the URL, or set "
			"TUNNEL_SECRET"},
		{404, EXIT_CODE_NO_TUNNEL, "there is no such tunnel"},
		{410, EXIT_CODE_NO_TUNNEL, "the tunnel is over"},
		{429, EXIT_CODE_OK, "too many wrong secrets, or a limit of the tunnel is reached"},
		{502, EXIT_CODE_OK, "the service behind the tunnel does not answer"},
		{503, EXIT_CODE_OK, "nobody serves the tunnel now, or it is full"},
		{504, EXIT_CODE_OK, "the service behind the tunnel does not answer in time"},
	};
	struct connect *connect = container_of(passages, struct connect, passages);
	struct failure *failure = &connect->failure;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (known[i].status != status)
			continue;
		failure_set(failure, known[i].end, "%s", known[i].words);
		if (known[i].end == EXIT_CODE_OK)
			failure_print(failure);
		else
			end(connect, (int)known[i].end);
		return;
	}
	if (status != 0)
		failure_set(failure, EXIT_CODE_OTHER, "the server answers with status %u", status);
	else
		failure_set(failure, EXIT_CODE_OTHER, "%.*s", (int)why.n, why.p);
	failure_print(failure);
}

static void on_signal(struct signals *signals)
{
	end(container_of(signals, struct connect, signals), 0);
}

// ---- what is asked for

// The same request in the two ways to show a secret; which of them is right the tunnel says.
static int make_requests(struct connect *connect)
{
	const char *secret = connect->visit.secret;
	char plain[VISIT_SECRET_MAX + 2], coded[2 * VISIT_SECRET_MAX + 8], field[sizeof coded + 32];
	struct http_request request = {.path = connect->visit.path, .upgrade = "tcp"};
	request.token = secret[0] != '\0' ? secret : NULL;
	buf_init(&connect->bearer, REQUEST_MAX);
	buf_init(&connect->basic, REQUEST_MAX);
	int r = http_request_format(&connect->bearer, &connect->settings.server, &request);
	if (r < 0 || request.token == NULL)
		return r;
	int n = snprintf(plain, sizeof plain, ":%s", secret);
	EVP_EncodeBlock((unsigned char *)coded, (const unsigned char *)plain, n);
	snprintf(field, sizeof field, "Authorization: Basic %s\r\n", coded);
	request.token = NULL;
	request.fields = field;
	r = http_request_format(&connect->basic, &connect->settings.server, &request);
	explicit_bzero(plain, sizeof plain);
	explicit_bzero(coded, sizeof coded);
	explicit_bzero(field, sizeof field);
	return r;
}

static int read_operands(struct connect *connect, struct failure *failure)
{
	const struct invocation *invocation = connect->invocation;
	const char *why;
	if (visit_parse(&connect->visit, span_of(invocation->operands[0]), &why) != 0)
		return failure_set(failure, EXIT_CODE_USAGE, "%s", why);
	int r = visit_find_secret(&connect->visit, invocation->values[OPTION_SECRET_FILE], failure);
	if (r == 0)
		r = settings_for_server(
			&connect->settings, invocation, &connect->visit.server, failure);
	return r;
}

static int verify(struct connect *connect, struct failure *failure)
{
	struct span tunnel = tunnel_ref_id(span_of(connect->invocation->operands[0]));
	int r = attest_gate_init(&connect->gate, connect->invocation, &connect->settings, failure);
	return r == 0 ? attest_gate_open(&connect->gate, tunnel, failure) : r;
}

static int run(struct connect *connect, struct failure *failure)
{
	int r = listen_at(connect, failure);
	if (r == 0)
		r = verify(connect, failure);
	if (r == 0)
		r = make_requests(connect);
	if (r == 0)
		r = signals_watch(&connect->signals, &connect->loop, on_signal);
	if (r != 0)
		return r;
	connect->passages = (struct passages){
		.loop = &connect->loop,
		.route = &connect->gate.route,
		.request = buf_span(&connect->bearer),
		.basic = buf_len(&connect->basic) > 0 ? buf_span(&connect->basic)
						      : (struct span){NULL, 0},
		.refused = on_refused,
	};
	tell_where(connect);
	r = agent_sandbox_enter();
	if (r == 0)
		r = loop_run(&connect->loop);
	signals_forget(&connect->signals);
	passages_deinit(&connect->passages);
	*failure = connect->failure;
	return r == 0 ? connect->end : r;
}

static void connect_free(struct connect *connect)
{
	int fd = connect->listener.fd;
	loop_unwatch(&connect->loop, &connect->listener);
	close_p(&fd);
	loop_timer_clear(&connect->loop, &connect->again);
	loop_deinit(&connect->loop);
	attest_gate_deinit(&connect->gate);
	settings_deinit(&connect->settings);
	buf_wipe(&connect->bearer);
	buf_wipe(&connect->basic);
	visit_wipe(&connect->visit);
	free(connect);
}

int connect_run(const struct invocation *invocation, struct failure *failure)
{
	struct connect *connect = calloc(1, sizeof *connect);
	if (connect == NULL)
		return -ENOMEM;
	connect->invocation = invocation;
	connect->listener = (struct loop_watch){.fd = -1, .ready = on_connection};
	connect->again.expired = on_again;
	int r = loop_init(&connect->loop);
	if (r == 0)
		r = read_operands(connect, failure);
	if (r == 0)
		r = run(connect, failure);
	connect_free(connect);
	return r;
}
