// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The input is what a visitor sends an edge before anything is agreed: a first byte that says
// whether the listener wants a PROXY header and in how many pieces it comes, then that header and a
// ClientHello. Whatever it is, nothing is left of the visitor when it has gone.

#include "check.h"
#include "contexts.h"
#include "keygen.h"
#include "session.h"

#include <sys/mman.h>
#include <sys/socket.h>

enum { ROUNDS = 4 }; // of the loop, more than what has come takes

static struct loop loop;
static struct ipc_channel gates;
static struct sessions sessions;
static struct contexts contexts;
static unsigned rounds;

static void on_round(struct loop_task *task)
{
	if (rounds-- > 0)
		loop_task_set(&loop, task);
	else
		loop_stop(&loop, 0);
}

static void on_report(struct loop_timer *timer)
{
	sessions.counts = (struct session_counts){0};
}

static void run(void)
{
	static struct loop_task task = {.run = on_round};
	rounds = ROUNDS;
	loop.stopped = false;
	loop_task_set(&loop, &task);
	CHECK(loop_run(&loop) == 0);
}

static void add_certificate(size_t index, const char *names)
{
	const struct keygen_subject subject = {.names = span_of(names), .life_s = 3600};
	char *chain = NULL;
	const char *why = "";
	int key = memfd_create("key", MFD_CLOEXEC);
	CHECK(keygen_make(&subject, key, &chain) == 0);
	CHECK(contexts_add(&contexts, index, 2, span_of(chain), key, &why) ==
		(index == 0 ? 0 : CONTEXTS_COMPLETE));
	free(chain);
	close(key);
}

static void prepare(void)
{
	static const struct ipc_handlers handlers = {.self = ROLE_EDGE, .peer = ROLE_GATE};
	int pair[2];
	CHECK(loop_init(&loop) == 0 && ipc_pair(pair) == 0);
	CHECK(ipc_init(&gates, &loop, pair[0], &handlers, 0, IPC_SEND_ONLY, 0) == 0);
	sessions_init(&sessions, &loop, &gates);
	sessions.report.expired = on_report;
	sessions.handshake_timeout_ms = 60000;
	sessions.max_handshakes = 10;
	add_certificate(0, "one.test");
	add_certificate(1, "*.two.test,127.0.0.1");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct facts facts = {.listener = 1};
	int pair[2];
	if (contexts.n == 0)
		prepare();
	if (n == 0)
		return 0;
	facts.proxy = data[0] & 1;
	size_t piece = (data[0] >> 1) + 1, at = 1;
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
	session_begin(&sessions, pair[0], contexts_accept(&contexts), &facts);
	for (unsigned i = 0; i < 3 && at < n; at += piece, i++) {
		piece = i < 2 ? MIN(piece, n - at) : n - at;
		(void)!send(pair[1], data + at, piece, MSG_NOSIGNAL | MSG_DONTWAIT);
		run();
	}
	CHECK(sessions.n_handshakes <= 1 && sessions.n_open == 0);
	close(pair[1]);
	run();
	CHECK(sessions.n_handshakes == 0 && sessions.n_offered == 0 && sessions.n_open == 0);
	return 0;
}
