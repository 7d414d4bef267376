// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Load for a proxy on the loopback interface, from one process with one epoll loop:
//
//     bench-load MODE PORT PATH [-c connections] [-d seconds] [-w seconds of warm-up] [-n bytes]
//                               [-H field]... [-t]
//
//     keep    a small GET after the other on each connection
//     close   a connection for each small GET
//     ask     the same, for PATH as it is
//     ws      WebSocket ping-pong with 32 bytes
//     idle    opens WebSockets and keeps them
//     get     one download of -n bytes, dropped in the kernel
//     put     one upload of -n bytes
//
// With -t all of it goes over TLS 1.3, with a full handshake for each connection.
//
// After its warm-up it writes a line and waits for one on standard input: the moment to look at the
// processor time of the proxy. Then comes what is measured, and a line of JSON with the result.

#include "link.h"

#include <sys/epoll.h>

enum {
	IN_SIZE = 64 * 1024, // an answer of the close and keep loads fits
	FAILURES_MAX = 2000,
	OPENING_MAX = 64, // at once by `idle`, so that no listen queue overflows
	MESSAGE = 32,
	FRAME = 2 + MESSAGE,      // from a server
	FRAME_MASKED = FRAME + 4, // from a client
	WAIT_OPEN_S = 60,
	GIVE_UP_S = 300, // a proxy that hangs must not keep us
	SETTLE_S = 2,
};

enum mode { MODE_KEEP, MODE_CLOSE, MODE_ASK, MODE_WS, MODE_IDLE, MODE_GET, MODE_PUT, MODES };

enum state { STATE_CONNECTING, STATE_HEAD, STATE_BODY, STATE_END, STATE_FRAMES };

struct connection {
	struct link link;
	enum state state;
	uint32_t events; // watched
	const char *out;
	size_t n_out;
	size_t n_in, body; // bytes in `in`, and how many the body has
	bool closes;       // the peer, after this answer
	double begin;      // of this exchange
	char in[IN_SIZE];
};

static struct {
	enum mode mode;
	struct sockaddr_in address;
	const char *path;
	char fields[2048];
	unsigned long connections;
	unsigned long long bytes;
	double seconds, warm_up;
	bool tls;
} option = {.connections = 64, .bytes = 1ull << 30, .seconds = 4, .warm_up = 1};

static int epoll_fd;
static struct connection *all;
static char request[4096];
static size_t request_size;
static char frame[FRAME_MASKED];
static double measured_from; // 0: not yet
static unsigned long long done, failed, opened;

static bool connects_each_time(void)
{
	return option.mode == MODE_CLOSE || option.mode == MODE_ASK;
}
static uint32_t *latencies; // ns
static size_t n_latencies, latencies_size;

// ---- results

static void record(const struct connection *c)
{
	done++;
	if (measured_from <= 0 || c->begin < measured_from)
		return;
	if (n_latencies == latencies_size) {
		latencies_size = latencies_size > 0 ? latencies_size * 2 : 1 << 16;
		latencies = realloc(latencies, latencies_size * sizeof *latencies);
		if (latencies == NULL)
			bench_fail("realloc");
	}
	latencies[n_latencies++] = (uint32_t)MIN((bench_now() - c->begin) * 1e9, 4e9);
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

static double percentile_us(unsigned percent)
{
	return n_latencies > 0 ? latencies[n_latencies * percent / 100] / 1e3 : 0;
}

static double own_cpu(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

// Returns when whoever looks at the proxy has done so.
static void wait_for_go(void)
{
	char line[16];
	puts("ready");
	fflush(stdout);
	if (fgets(line, sizeof line, stdin) == NULL)
		exit(1);
}

// ---- connections

static void watch(struct connection *c, uint32_t events)
{
	if (c->events == events)
		return;
	struct epoll_event event = {.events = events, .data.ptr = c};
	if (epoll_ctl(epoll_fd, c->events != 0 ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->link.fd,
		    &event) < 0)
		bench_fail("epoll_ctl");
	c->events = events;
}

static bool flush(struct connection *c)
{
	while (c->n_out > 0) {
		ssize_t n = link_send(&c->link, c->out, c->n_out);
		if (n < 0 && errno != EAGAIN)
			return false;
		if (n < 0)
			break;
		c->out += n;
		c->n_out -= (size_t)n;
	}
	watch(c, c->n_out > 0 && !c->link.waits ? EPOLLIN | EPOLLOUT : EPOLLIN);
	return true;
}

static bool send_request(struct connection *c)
{
	c->state = STATE_HEAD;
	c->n_in = 0;
	c->out = request;
	c->n_out = request_size;
	if (!connects_each_time()) // there connecting counts
		c->begin = bench_now();
	return flush(c);
}

static bool send_frame(struct connection *c)
{
	c->n_in = 0;
	c->out = frame;
	c->n_out = sizeof frame;
	c->begin = bench_now();
	return flush(c);
}

static void connect_again(struct connection *c)
{
	link_close(&c->link);
	c->begin = bench_now();
	c->state = STATE_CONNECTING;
	c->events = 0;
	c->n_out = c->n_in = 0;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		bench_fail("socket");
	bench_no_delay(fd);
	link_open(&c->link, fd, option.tls);
	if (connect(fd, (struct sockaddr *)&option.address, sizeof option.address) < 0 &&
		errno != EINPROGRESS)
		bench_fail("connect");
	watch(c, EPOLLOUT);
}

static void count_failure(void)
{
	if (++failed <= FAILURES_MAX)
		return;
	fprintf(stderr, "bench-load: too many failures\n");
	exit(1);
}

// ---- answers

enum parsed { PARSED_PART, PARSED_ALL, PARSED_BAD };

static enum parsed parse_head(struct connection *c)
{
	char *end = memmem(c->in, c->n_in, "\r\n\r\n", 4);
	if (end == NULL)
		return c->n_in == IN_SIZE - 1 ? PARSED_BAD : PARSED_PART;
	end[2] = '\0';
	const char *wanted = option.mode == MODE_WS || option.mode == MODE_IDLE ? "HTTP/1.1 101"
										: "HTTP/1.1 200";
	if (strncmp(c->in, wanted, strlen(wanted)) != 0) {
		fprintf(stderr, "bench-load: not expected: %.200s\n", c->in);
		return PARSED_BAD;
	}
	const char *value = bench_field(c->in, "Connection");
	c->closes = value != NULL && strncasecmp(value, "close", 5) == 0;
	value = bench_field(c->in, "Content-Length");
	c->body = value != NULL ? strtoull(value, NULL, 10) : 0;
	c->n_in -= (size_t)(end + 4 - c->in);
	memmove(c->in, end + 4, c->n_in);
	c->state = STATE_BODY;
	return PARSED_ALL;
}

static enum parsed parse(struct connection *c)
{
	enum parsed parsed = PARSED_ALL;
	if (c->state == STATE_HEAD)
		parsed = parse_head(c);
	return parsed == PARSED_ALL && c->n_in < c->body ? PARSED_PART : parsed;
}

static bool answered(struct connection *c)
{
	if (option.mode == MODE_WS || option.mode == MODE_IDLE) {
		opened++;
		c->state = STATE_FRAMES;
		return option.mode == MODE_IDLE || send_frame(c);
	}
	if (connects_each_time()) {
		c->state = STATE_END;
		return true;
	}
	record(c);
	return !c->closes && send_request(c);
}

static bool on_frame(struct connection *c)
{
	if (c->n_in < FRAME)
		return true;
	if (c->n_in > FRAME || memcmp(c->in + 2, frame + FRAME_MASKED - MESSAGE, MESSAGE) != 0)
		return false;
	record(c);
	return send_frame(c);
}

// The server has closed.
static bool on_end(struct connection *c)
{
	if (c->state != STATE_END)
		return false;
	record(c);
	connect_again(c);
	return true;
}

// Returns false when the connection has failed.
static bool on_readable(struct connection *c)
{
	ssize_t n = link_recv(&c->link, c->in + c->n_in, IN_SIZE - 1 - c->n_in);
	if (n < 0)
		return errno == EAGAIN;
	if (n == 0 || c->state == STATE_END)
		return n == 0 && on_end(c);
	c->n_in += (size_t)n;
	c->in[c->n_in] = '\0';
	if (c->state == STATE_FRAMES)
		return on_frame(c);
	enum parsed parsed = parse(c);
	return parsed == PARSED_ALL ? answered(c) : parsed == PARSED_PART;
}

static void on_event(struct connection *c, uint32_t events)
{
	bool ok;
	if (c->state == STATE_CONNECTING)
		ok = (events & (EPOLLERR | EPOLLHUP)) == 0 && send_request(c);
	else
		ok = (c->n_out == 0 || flush(c)) && ((events & ~EPOLLOUT) == 0 || on_readable(c));
	if (ok)
		return;
	count_failure();
	connect_again(c);
}

static void poll_once(void)
{
	struct epoll_event events[256];
	int n = epoll_wait(epoll_fd, events, ARRAY_SIZE(events), 100);
	for (int i = 0; i < n; i++)
		on_event(events[i].data.ptr, events[i].events);
}

// ---- modes

static void connections_init(void)
{
	all = calloc(option.connections, sizeof *all);
	if (all == NULL)
		bench_fail("calloc");
	for (unsigned long i = 0; i < option.connections; i++)
		all[i].link.fd = -1;
}

static void closed_loop(void)
{
	connections_init();
	for (unsigned long i = 0; i < option.connections; i++)
		connect_again(&all[i]);
	for (double end = bench_now() + option.warm_up; bench_now() < end;)
		poll_once();
	wait_for_go();
	unsigned long long done_before = done, failed_before = failed;
	double cpu = own_cpu();
	measured_from = bench_now();
	while (bench_now() < measured_from + option.seconds)
		poll_once();
	double seconds = bench_now() - measured_from;
	qsort(latencies, n_latencies, sizeof *latencies, compare);
	printf("{\"done\": %llu, \"failed\": %llu, \"seconds\": %.4f, \"p50_us\": %.1f, "
	       "\"p99_us\": %.1f, \"client_cpu\": %.4f}\n",
		done - done_before, failed - failed_before, seconds, percentile_us(50),
		percentile_us(99), own_cpu() - cpu);
}

static void open_idle(void)
{
	connections_init();
	double end = bench_now() + WAIT_OPEN_S;
	for (unsigned long started = 0; opened < option.connections && bench_now() < end;) {
		for (; started < option.connections && started < opened + OPENING_MAX; started++)
			connect_again(&all[started]);
		poll_once();
	}
	for (end = bench_now() + SETTLE_S; bench_now() < end;)
		poll_once();
	wait_for_go();
	printf("{\"opened\": %llu, \"failed\": %llu}\n", opened, failed);
}

// A blocking connection on which the request has been sent.
static void connect_bulk(struct link *link)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		bench_fail("socket");
	bench_no_delay(fd);
	if (connect(fd, (struct sockaddr *)&option.address, sizeof option.address) < 0)
		bench_fail("connect");
	wait_for_go();
	measured_from = bench_now();
	link_open(link, fd, option.tls);
	if (link_send(link, request, request_size) != (ssize_t)request_size)
		bench_fail("send");
}

// Reads until the end of the head and keeps in C what of the body came with it.
static void read_head(struct connection *c)
{
	c->state = STATE_HEAD;
	for (enum parsed parsed = PARSED_PART; parsed == PARSED_PART;) {
		ssize_t n = link_recv(&c->link, c->in + c->n_in, IN_SIZE - 1 - c->n_in);
		if (n <= 0)
			bench_fail("no answer");
		c->n_in += (size_t)n;
		parsed = parse_head(c);
		if (parsed == PARSED_BAD)
			exit(1);
	}
}

static unsigned long long download(struct connection *c)
{
	read_head(c);
	unsigned long long got = c->n_in;
	while (got < option.bytes) {
		ssize_t n = link_drop(&c->link, 1 << 20);
		if (n <= 0)
			break;
		got += (unsigned long long)n;
	}
	return got;
}

// The answer is the number of bytes the backend has seen.
static unsigned long long upload(struct connection *c)
{
	int pattern = bench_pattern();
	for (unsigned long long sent = 0; sent < option.bytes;) {
		off_t offset = (off_t)(sent % PATTERN_SIZE);
		ssize_t n = link_send_pattern(&c->link, pattern, offset,
			MIN(option.bytes - sent, (unsigned long long)(PATTERN_SIZE - offset)));
		if (n <= 0)
			bench_fail("send");
		sent += (unsigned long long)n;
	}
	read_head(c);
	while (c->n_in < c->body) {
		ssize_t n = link_recv(&c->link, c->in + c->n_in, IN_SIZE - 1 - c->n_in);
		if (n <= 0)
			bench_fail("no body");
		c->n_in += (size_t)n;
	}
	c->in[c->n_in] = '\0';
	return strtoull(c->in, NULL, 10);
}

static void bulk(void)
{
	static struct connection c;
	connect_bulk(&c.link);
	double cpu = own_cpu();
	unsigned long long bytes = option.mode == MODE_GET ? download(&c) : upload(&c);
	double seconds = bench_now() - measured_from;
	if (bytes != option.bytes) {
		fprintf(stderr, "bench-load: %llu bytes instead of %llu\n", bytes, option.bytes);
		exit(1);
	}
	printf("{\"bytes\": %llu, \"failed\": 0, \"seconds\": %.4f, \"client_cpu\": %.4f}\n", bytes,
		seconds, own_cpu() - cpu);
}

static const struct {
	const char *name;
	void (*run)(void);
	const char *method, *path, *fields;
} modes[MODES] = {
	[MODE_KEEP] = {"keep", closed_loop, "GET", "/small", ""},
	[MODE_CLOSE] = {"close", closed_loop, "GET", "/small", "Connection: close\r\n"},
	[MODE_ASK] = {"ask", closed_loop, "GET", "", "Connection: close\r\n"},
	// The key is the example of RFC 6455 section 1.3; the backend knows its answer.
	[MODE_WS] = {"ws", closed_loop, "GET", "/ws",
		"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"},
	[MODE_IDLE] = {"idle", open_idle, "GET", "/ws",
		"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"},
	[MODE_GET] = {"get", bulk, "GET", "/big/", ""},
	[MODE_PUT] = {"put", bulk, "POST", "/sink", "Content-Length: "},
};

// The number of bytes ends the path of `get` and the fields of `put`.
static void request_make(unsigned long port)
{
	char bytes[24] = "";
	if (option.mode == MODE_GET || option.mode == MODE_PUT)
		snprintf(bytes, sizeof bytes, "%llu", option.bytes);
	int n = snprintf(request, sizeof request,
		"%s %s%s%s HTTP/1.1\r\nHost: 127.0.0.1:%lu\r\n%s%s%s%s\r\n",
		modes[option.mode].method, option.path, modes[option.mode].path,
		option.mode == MODE_GET ? bytes : "", port, option.fields,
		modes[option.mode].fields, option.mode == MODE_PUT ? bytes : "",
		option.mode == MODE_PUT ? "\r\n" : "");
	if (n < 0 || (size_t)n >= sizeof request) {
		errno = E2BIG;
		bench_fail("request");
	}
	request_size = (size_t)n;
}

// Masked with zeros.
static void frame_make(void)
{
	frame[0] = (char)0x82;
	frame[1] = (char)(0x80 | MESSAGE);
	for (int i = 0; i < MESSAGE; i++)
		frame[FRAME_MASKED - MESSAGE + i] = (char)('a' + i % 26);
}

__attribute__((noreturn)) static void usage(void)
{
	fprintf(stderr, "usage: bench-load keep|close|ws|idle|get|put PORT PATH [-c connections] "
			"[-d seconds] [-w seconds] [-n bytes] [-H field]... [-t]\n");
	exit(2);
}

static void add_field(const char *field)
{
	size_t n = strlen(option.fields);
	snprintf(option.fields + n, sizeof option.fields - n, "%s\r\n", field);
}

static void parse_options(int argc, char **argv)
{
	for (int o; (o = getopt(argc, argv, "c:d:w:n:H:t")) != -1;)
		switch (o) {
		case 'c': option.connections = strtoul(optarg, NULL, 10); break;
		case 'd': option.seconds = strtod(optarg, NULL); break;
		case 'w': option.warm_up = strtod(optarg, NULL); break;
		case 'n': option.bytes = strtoull(optarg, NULL, 10); break;
		case 'H': add_field(optarg); break;
		case 't': option.tls = true; break;
		default: usage();
		}
}

int main(int argc, char **argv)
{
	if (argc < 4)
		usage();
	while (option.mode < MODES && strcmp(argv[1], modes[option.mode].name) != 0)
		option.mode++;
	if (option.mode == MODES)
		usage();
	unsigned long port = strtoul(argv[2], NULL, 10);
	option.address = bench_loopback(port);
	option.path = argv[3];
	parse_options(argc - 3, argv + 3);
	alarm(GIVE_UP_S);
	request_make(port);
	frame_make();
	bench_raise_descriptors();
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	modes[option.mode].run();
	return 0;
}
