// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Many WebSockets, most of them idle. Says how many are open; at the next line some of them echo,
// each once a second, evenly spread; says how long that took; at the next line it says how many
// connections were lost.

#include "crowd.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>

enum { PAYLOAD = 32 };

struct socket_client {
	struct loop_watch watch;
	struct instant sent;
	bool waiting, lost;
	size_t n; // bytes of the echo so far
};

static struct loop loop;
static struct socket_client *clients;
static size_t n_clients, n_echoing, next, n_times, times_max, n_late, n_lost;
static uint32_t *times;
static struct instant started, ends;
static struct loop_timer pace;

static void lose(struct socket_client *client)
{
	loop_unwatch(&loop, &client->watch);
	client->lost = true;
	n_lost++;
}

static void on_ready(struct loop_watch *watch, uint32_t events)
{
	struct socket_client *client = container_of(watch, struct socket_client, watch);
	char bytes[256];
	ssize_t n = recv(watch->fd, bytes, sizeof bytes, 0);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0 || !client->waiting) {
		lose(client);
		return;
	}
	client->n += (size_t)n;
	if (client->n < 2 + PAYLOAD)
		return;
	client->waiting = false;
	client->n = 0;
	if (n_times < times_max)
		times[n_times++] = (uint32_t)instant_diff_us(instant_now(), client->sent);
}

static void send_frame(struct socket_client *client)
{
	char frame[6 + PAYLOAD] = {(char)0x82, (char)(0x80 | PAYLOAD)}; // the mask is zero
	memset(frame + 6, 'e', PAYLOAD);
	if (client->lost)
		return;
	if (client->waiting) { // a whole second was not enough
		n_late++;
		return;
	}
	client->waiting = true;
	client->sent = instant_now();
	crowd_send(client->watch.fd, frame, sizeof frame);
}

// Each millisecond those whose turn it is, spread over all connections.
static void on_pace(struct loop_timer *timer)
{
	struct instant now = instant_now();
	uint64_t passed = (uint64_t)instant_diff_us(now, started);
	size_t due = (size_t)(passed * n_echoing / 1000000), stride = n_clients / n_echoing;
	if (instant_reached(now, ends)) {
		if (instant_reached(now, instant_add_ms(ends, 1000)))
			loop_stop(&loop, 0); // late ones have had their second
		due = next;
	}
	for (; next < due; next++)
		send_frame(&clients[next % n_echoing * stride]);
	crowd_check(loop_timer_set(&loop, timer, instant_add_ms(now, 1)), "timer");
}

static void open_all(int port, char **paths, size_t n_paths)
{
	static const char fields[] = "Connection: Upgrade\r\nUpgrade: websocket\r\n"
				     "Sec-WebSocket-Version: 13\r\n"
				     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
	for (size_t i = 0; i < n_clients; i++) {
		char path[256], rest[1];
		size_t n = 0;
		snprintf(path, sizeof path, "%s/ws", paths[i % n_paths]);
		int fd = crowd_connect(port, i);
		int status = crowd_get(fd, path, fields, rest, &n);
		if (status != 101)
			crowd_fail("connection %zu: %d to an upgrade", i, status);
		fcntl(fd, F_SETFL, O_NONBLOCK);
		clients[i].watch.ready = on_ready;
		crowd_check(loop_watch(&loop, &clients[i].watch, fd, EPOLLIN), "watch");
	}
}

int crowd_sockets(int port, size_t count, size_t echoing, int seconds, char **paths, size_t n)
{
	char text[128];
	n_clients = count;
	n_echoing = MIN(echoing, count);
	times_max = n_echoing * (size_t)(seconds + 1);
	clients = calloc(count, sizeof *clients);
	times = calloc(times_max, sizeof *times);
	if (clients == NULL || times == NULL)
		crowd_fail("out of memory");
	crowd_check(loop_init(&loop), "loop");
	open_all(port, paths, n);
	crowd_say("{\"open\":%zu}", count);
	crowd_wait_for_line();
	started = instant_now();
	ends = instant_add_ms(started, seconds * INT64_C(1000));
	pace.expired = on_pace;
	crowd_check(loop_timer_set(&loop, &pace, started), "timer");
	(void)!loop_run(&loop);
	size_t unanswered = 0;
	for (size_t i = 0; i < count; i++)
		unanswered += clients[i].waiting;
	crowd_format_times(text, sizeof text, times, n_times);
	crowd_say("{%s,\"late\":%zu,\"unanswered\":%zu,\"lost\":%zu}", text, n_late, unanswered,
		n_lost);
	crowd_wait_for_line();
	return EXIT_SUCCESS;
}
