// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "hint.h"

#include "server.h"

#include <stdio.h>

enum {
	PATIENCE_MS = 10000,
	REDIRECTS_MAX = 3,
	BODY_MAX = 64 * 1024, // what tells a framework is near the top
};

static void end(struct hint *hint)
{
	hint->asking = false;
	loop_timer_clear(hint->context->loop, &hint->deadline);
	backend_close(&hint->backend, false);
	answer_deinit(&hint->answer);
	buf_reset(&hint->body);
}

void hint_cancel(struct hint *hint)
{
	if (hint->asking)
		end(hint);
}

// ---- what it comes to

static void tell_setting(struct hint *hint, const struct framework *framework)
{
	char text[HINT_TEXT_MAX];
	snprintf(text, sizeof text,
		"%s has to know its path: %s%s%s%s (see BASE PATHS in tunnel(1))", framework->name,
		framework->setting[0], hint->prefix, framework->setting[1],
		framework->keep && !hint->keep ? " and --prefix keep" : "");
	hint->told(hint, text);
}

static void judge(struct hint *hint)
{
	char text[HINT_TEXT_MAX];
	const struct framework *framework = framework_find(&hint->answer, buf_span(&hint->body));
	if (!hint->keep && framework != NULL) {
		tell_setting(hint, framework);
	} else if (hint->keep && hint->answer.head.status == 404) {
		snprintf(text, sizeof text,
			"the service has nothing at %s/: with --prefix keep it has to know its "
			"path (see BASE PATHS in tunnel(1))",
			hint->prefix);
		hint->told(hint, text);
	}
}

// ---- asking

static int ask(struct hint *hint);

// Where the answer sends browsers, when that is a path of the target's.
static bool follow(struct hint *hint)
{
	struct span to = http_head_named(&hint->answer.head, SPAN("Location"));
	bool elsewhere = to.n > 1 && (to.p[1] == '/' || to.p[1] == '\\');
	if (hint->answer.head.status / 100 != 3 || to.n == 0 || to.p[0] != '/' || elsewhere ||
		to.n >= sizeof hint->path || ++hint->redirects > REDIRECTS_MAX)
		return false;
	memcpy(hint->path, to.p, to.n);
	hint->path[to.n] = '\0';
	hint->path[strcspn(hint->path, "#")] = '\0';
	return true;
}

static void answered(struct hint *hint)
{
	if (follow(hint)) {
		end(hint);
		(void)!ask(hint);
		return;
	}
	judge(hint);
	end(hint);
}

// Returns false when the answer is over, one way or another.
static bool take(struct hint *hint, struct span bytes)
{
	struct span data;
	for (;;) {
		switch (answer_next(&hint->answer, &bytes, &data)) {
		case ANSWER_MORE: return true;
		case ANSWER_HEAD: break;
		case ANSWER_DATA:
			if (buf_add_span(&hint->body, data) < 0) {
				answered(hint); // as much as is looked at
				return false;
			}
			break;
		case ANSWER_END: answered(hint); return false;
		case ANSWER_BAD: end(hint); return false;
		}
	}
}

static void read_answer(struct hint *hint)
{
	char bytes[4096];
	while (hint->backend.readable) {
		ssize_t n = backend_read(&hint->backend, bytes, sizeof bytes);
		if (n == -EAGAIN)
			return;
		if (n > 0 && take(hint, (struct span){bytes, (size_t)n}))
			continue;
		if (n == 0 && answer_eof(&hint->answer) == ANSWER_END)
			answered(hint);
		else if (n <= 0)
			end(hint);
		return;
	}
}

static void send_request(struct hint *hint)
{
	char text[HINT_PATH_MAX + SERVER_AUTHORITY_MAX + 256];
	int n = snprintf(text, sizeof text,
		"GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: tunnel/%s\r\nAccept: text/html\r\n"
		"Connection: close\r\n\r\n",
		hint->path, hint->host, TUNNELD_VERSION);
	hint->sent = true;
	// There is room for it in a socket that nothing was written to.
	if (n < 0 || (size_t)n >= sizeof text ||
		backend_write(&hint->backend, (struct span){text, (size_t)n}) != n)
		end(hint);
}

static void on_event(struct backend *backend)
{
	struct hint *hint = container_of(backend, struct hint, backend);
	if (backend->state != BACKEND_OPEN) {
		end(hint);
		return;
	}
	if (!hint->sent)
		send_request(hint);
	if (hint->asking)
		read_answer(hint);
}

static void on_expired(struct loop_timer *timer)
{
	end(container_of(timer, struct hint, deadline));
}

static int ask(struct hint *hint)
{
	struct loop *loop = hint->context->loop;
	hint->sent = false;
	hint->deadline.expired = on_expired;
	answer_init(&hint->answer, false);
	buf_init(&hint->body, BODY_MAX);
	int r = loop_timer_set(loop, &hint->deadline, instant_add_ms(loop->now, PATIENCE_MS));
	if (r == 0)
		r = backend_open(&hint->backend, hint->context, on_event);
	if (r < 0)
		loop_timer_clear(loop, &hint->deadline);
	hint->asking = r == 0;
	return r;
}

int hint_ask(struct hint *hint)
{
	hint->redirects = 0;
	snprintf(hint->path, sizeof hint->path, "%s/", hint->keep ? hint->prefix : "");
	return ask(hint);
}
