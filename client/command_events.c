// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// tunnel events: follows what happens to the caller's tunnels until it is ended, over as many
// connections as that takes.

#include "account.h"
#include "api.h"
#include "clean.h"
#include "handlers.h"
#include "sse.h"
#include "terminal.h"
#include "tunnel_text.h"

#include <sys/random.h>
#include <time.h>

enum {
	SILENCE_MS = 45 * 1000, // the server says something every 15 s
	RETRY_MS = 1000,        // first pause before the next connection; doubled up to
	RETRY_MOST_MS = 30 * 1000,
};

struct follower {
	struct account account;
	struct sse sse;
	bool json;
	bool connected;   // has been, once
	bool lost;        // the connection was lost, and that was said
	int64_t pause_ms; // before the next connection
};

static void print_for_people(const struct sse *sse, const json_t *tunnel)
{
	char clock[sizeof "12:00:00"];
	time_t now = time(NULL);
	struct tm tm;

	strftime(clock, sizeof clock, "%H:%M:%S", localtime_r(&now, &tm));
	printf("%s%s%s  ", terminal_on(stdout, STYLE_DIM), clock, terminal_off(stdout, STYLE_DIM));
	clean_print_cell(stdout, span_of(sse->event), MAX(strlen(sse->event), (size_t)8));
	if (strcmp(sse->event, "reset") == 0)
		fputs("events are missing: 'tunnel ls' shows what there is", stdout);
	fputs(api_text(tunnel, "id")[0] != '\0' ? "  " : "", stdout);
	clean_print(stdout, span_of(api_text(tunnel, "id")));
	if (strcmp(sse->event, "ended") == 0) {
		fputs("  ", stdout);
		clean_print(stdout, span_of(api_text(tunnel, "state")));
	}
	fputs(api_text(tunnel, "name")[0] != '\0' ? "  " : "", stdout);
	clean_print(stdout, span_of(api_text(tunnel, "name")));
	fputc('\n', stdout);
}

static int print_for_programs(const struct sse *sse, json_t *data)
{
	json_t *line = json_pack("{s:s%, s:s, s:O}", "event", sse->event, strlen(sse->event), "id",
		sse->id, "data", data);

	// The name is the only text that need not be UTF-8.
	if (line == NULL)
		return 0;
	int r = tunnel_print_json(stdout, line, 1);
	json_decref(line);
	return r;
}

static int print_event(const struct follower *follower)
{
	struct span text = buf_span(&follower->sse.data);
	json_t *data = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, NULL);
	int r = 0;

	if (data == NULL)
		data = json_null(); // not for us to judge
	if (follower->json)
		r = print_for_programs(&follower->sse, data);
	else
		print_for_people(&follower->sse, data);
	json_decref(data);
	return r == 0 && fflush(stdout) != 0 ? -errno : r;
}

// Takes what the connection brings. Returns EXIT_CODE_UNREACHABLE when it is over, or a negative
// errno.
static int read_events(struct follower *follower, struct http *http, struct failure *failure)
{
	for (;;) {
		struct span data;
		http->deadline = instant_add_ms(instant_now(), SILENCE_MS);
		int r = http_body(http, &data, failure);
		if (r != 0)
			return r;
		if (data.n == 0)
			return failure_set(failure, EXIT_CODE_UNREACHABLE,
				"%s has ended the stream of events",
				follower->account.settings.server.host);
		follower->pause_ms = RETRY_MS;
		while (r == 0 && data.n > 0) {
			enum sse_event event = sse_next(&follower->sse, &data);
			if (event == SSE_BAD)
				return failure_set(failure, EXIT_CODE_UNREACHABLE,
					"an event of %s is larger than any of tunneld",
					follower->account.settings.server.host);
			if (event == SSE_EVENT)
				r = print_event(follower);
		}
		if (r != 0)
			return r;
	}
}

static int take_head(struct follower *follower, struct http *http, struct failure *failure)
{
	const struct http_head *head = &http->answer.head;
	const struct http_field *type = http_head_field(head, HTTP_CONTENT_TYPE);
	struct buf body;
	int r;

	if (head->status == 200) {
		if (type != NULL && span_starts(type->value, SPAN("text/event-stream")))
			return 0;
		return failure_set(failure, EXIT_CODE_UNREACHABLE,
			"what answers at %s is not the API of tunneld: no stream of events",
			follower->account.settings.server.host);
	}
	buf_init(&body, API_ANSWER_MAX);
	r = http_body_all(http, &body, failure);
	if (r == 0)
		r = api_refusal(
			&follower->account.settings, head->status, buf_span(&body), failure);
	buf_reset(&body);
	return r;
}

// One connection, to its end. The server may be another instance by now.
static int follow_once(struct follower *follower, struct failure *failure)
{
	char fields[SSE_ID_MAX + 64];
	struct http http;
	int r = account_verify(&follower->account, (struct span){NULL, 0}, failure);

	if (r != 0)
		return r;
	snprintf(fields, sizeof fields, "Accept: text/event-stream\r\n%s%s%s",
		follower->sse.id[0] != '\0' ? "Last-Event-ID: " : "", follower->sse.id,
		follower->sse.id[0] != '\0' ? "\r\n" : "");
	const struct http_request request = {.path = "/_api/events",
		.token = follower->account.settings.token,
		.fields = fields};
	r = http_begin(&http, &follower->account.verified.route, &request,
		instant_add_ms(instant_now(), API_SECONDS * 1000), failure);
	if (r != 0)
		return r;
	r = take_head(follower, &http, failure);
	if (r == 0) {
		follower->connected = true;
		if (follower->lost)
			fputs("tunnel: connected again\n", stderr);
		follower->lost = false;
		sse_restart(&follower->sse);
		r = read_events(follower, &http, failure);
	}
	http_end(&http);
	return r;
}

// Between half of the pause and all of it, so that many clients do not come back at once.
static void pause_before_next(struct follower *follower)
{
	uint32_t random = 0;
	int64_t ms = MAX(follower->pause_ms, MIN(follower->sse.retry_ms, (int64_t)RETRY_MOST_MS));

	if (getrandom(&random, sizeof random, 0) != sizeof random)
		random = 0;
	ms = ms / 2 + random % (ms / 2 + 1);
	nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
	follower->pause_ms = MIN(follower->pause_ms * 2, (int64_t)RETRY_MOST_MS);
}

// The first connection has to work; later ones are tried for as long as it takes.
static int follow(struct follower *follower, struct failure *failure)
{
	for (;;) {
		int r = follow_once(follower, failure);
		if (r != EXIT_CODE_UNREACHABLE || !follower->connected)
			return r;
		if (!follower->lost)
			failure_print(failure);
		follower->lost = true;
		pause_before_next(follower);
	}
}

int events_run(const struct invocation *invocation, struct failure *failure)
{
	struct follower follower = {
		.json = option_given(invocation, OPTION_JSON),
		.pause_ms = RETRY_MS,
	};
	int r = account_read(&follower.account, invocation, failure);

	sse_init(&follower.sse);
	if (r == 0)
		r = follow(&follower, failure);
	sse_deinit(&follower.sse);
	account_close(&follower.account);
	return r;
}
