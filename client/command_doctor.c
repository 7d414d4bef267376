// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// tunnel doctor: goes the way to the server step by step and says of each whether it works and, if
// not, what to do.

#include "api.h"
#include "clean.h"
#include "handlers.h"
#include "server.h"
#include "terminal.h"
#include "tunnel_text.h"
#include "when.h"

#include <inttypes.h>
#include <time.h>

enum { STEP_MS = 10 * 1000, CLOCK_TOLERANCE = 5, TEXT_SIZE = 512 };

enum verdict { GOOD, WARNING, FAULT };

struct doctor {
	struct settings settings;
	json_t *steps;       // what was found, for --json; NULL: printed at once
	enum exit_code exit; // of the first fault
};

static const struct {
	const char *word;
	enum terminal_style style;
} verdicts[] = {
	[GOOD] = {"ok", STYLE_GOOD},
	[WARNING] = {"warn", STYLE_WARN},
	[FAULT] = {"FAIL", STYLE_BAD},
};

// ---- what was found

static void print_wrapped(const char *text)
{
	enum { INDENT = 16 };
	struct buf clean;

	buf_init(&clean, 8 * TEXT_SIZE);
	if (clean_add(&clean, span_of(text)) == 0 && buf_add(&clean, "", 1) == 0)
		terminal_wrap(stdout, INDENT, buf_span(&clean).p);
	buf_reset(&clean);
}

// TEXT says what was found, REMEDY what to do about it (NULL: nothing).
static void report(struct doctor *doctor, enum verdict verdict, const char *step, const char *text,
	const char *remedy)
{
	if (doctor->steps != NULL) {
		json_t *row = json_pack("{s:s, s:s, s:s, s:s?}", "step", step, "verdict",
			verdict == FAULT ? "fail" : verdicts[verdict].word, "text", text, "remedy",
			remedy);
		if (row != NULL)
			json_array_append_new(doctor->steps, row);
		return;
	}
	printf("%s%-4s%s  %-8s  ", terminal_on(stdout, verdicts[verdict].style),
		verdicts[verdict].word, terminal_off(stdout, verdicts[verdict].style), step);
	print_wrapped(text);
	if (remedy != NULL) {
		printf("%13s", "-> ");
		fputs("   ", stdout);
		print_wrapped(remedy);
	}
	fflush(stdout);
}

static int PRINTF(3, 4)
	report_good(struct doctor *doctor, const char *step, const char *format, ...)
{
	char text[TEXT_SIZE];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	report(doctor, GOOD, step, text, NULL);
	return 0;
}

static int report_fault(struct doctor *doctor, const char *step, enum exit_code exit,
	const char *text, const char *remedy)
{
	report(doctor, FAULT, step, text, remedy);
	if (doctor->exit == EXIT_CODE_OK)
		doctor->exit = exit;
	return 1;
}

// ---- the connection

static const struct {
	const char *step, *remedy;
} stages[] = {
	[OPENING_NAME] = {"name",
		"check how the name is written, and whether this machine has a name server"},
	[OPENING_CONNECT] = {"tcp",
		"check that tunneld runs there and listens at this address, and that no firewall is "
		"in between; where only a proxy leads out, set HTTPS_PROXY"},
	[OPENING_PROXY] = {"proxy", "check HTTPS_PROXY, or except the server from it by NO_PROXY"},
	[OPENING_TLS] = {"tls",
		"check scheme, name and port of the URL and the clock of this machine; for a "
		"certificate of an authority of your own give --ca FILE"},
};

static void report_tls(struct doctor *doctor, const struct transport *transport)
{
	X509 *certificate = SSL_get0_peer_certificate(transport->ssl);
	struct tm end;
	char until[32] = "";

	if (certificate != NULL && ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) == 1)
		strftime(until, sizeof until, "%Y-%m-%d", &end);
	report_good(doctor, "tls", "%s, and a certificate for this name, valid until %s",
		SSL_get_version(transport->ssl), until);
}

struct attempt {
	struct opening opening;
	struct transport *transport;
	int r;
};

static void on_opened(struct opening *opening, struct transport *transport, int r)
{
	struct attempt *attempt = container_of(opening, struct attempt, opening);

	attempt->transport = transport;
	attempt->r = r;
	loop_stop(opening->loop, 0);
}

static int open_once(struct attempt *attempt)
{
	struct loop loop;
	int r = loop_init(&loop);

	if (r < 0)
		return r;
	attempt->opening.loop = &loop;
	r = opening_start(&attempt->opening);
	if (r == 0)
		r = loop_run(&loop);
	loop_deinit(&loop);
	return r;
}

static void report_stages(
	struct doctor *doctor, const struct attempt *attempt, int64_t milliseconds)
{
	const struct route *route = &attempt->opening.route;
	const struct url *hop = route->proxy != NULL ? &route->proxy->url : route->server;
	enum opening_stage stage = attempt->opening.stage;

	if (stage > OPENING_NAME)
		report_good(doctor, "name",
			hop->host_kind == URL_NAME ? "%s is known" : "%s is an address", hop->host);
	if (stage > OPENING_CONNECT)
		report_good(doctor, "tcp", "%s%s answers", route->proxy != NULL ? "the proxy " : "",
			attempt->opening.address);
	if (stage > OPENING_PROXY && route->proxy != NULL)
		report_good(doctor, "proxy", "leads to %s", route->server->host);
	if (stage == OPENING_DONE && route->trust != NULL)
		report_tls(doctor, attempt->transport);
	if (stage == OPENING_DONE)
		report_good(doctor, "path", "connected in %" PRId64 " ms", milliseconds);
}

static int check_connection(struct doctor *doctor)
{
	struct instant start = instant_now();
	struct attempt attempt = {
		.opening =
			{
				.route = doctor->settings.route,
				.deadline = instant_add_ms(start, STEP_MS),
				.opened = on_opened,
			},
	};
	int r = open_once(&attempt);

	if (r < 0 || attempt.r < 0)
		return r < 0 ? r : attempt.r;
	report_stages(doctor, &attempt, instant_diff_us(instant_now(), start) / 1000);
	transport_free(attempt.transport);
	if (attempt.r == 0)
		return 0;
	return report_fault(doctor, stages[attempt.opening.stage].step, EXIT_CODE_UNREACHABLE,
		attempt.opening.failure.text, stages[attempt.opening.stage].remedy);
}

// ---- what answers there

// Asks for PATH; the head of the answer stays in *HTTP, its document, if any, goes into *RET.
static int ask(struct doctor *doctor, const struct http_request *request, struct http *http,
	json_t **ret, struct failure *failure)
{
	struct buf body;
	int r = http_begin(http, &doctor->settings.route, request,
		instant_add_ms(instant_now(), STEP_MS), failure);

	*ret = NULL;
	if (r != 0)
		return r;
	buf_init(&body, API_ANSWER_MAX);
	r = http_body_all(http, &body, failure);
	if (r == 0 && buf_len(&body) > 0)
		*ret = json_loadb(buf_span(&body).p, buf_len(&body), 0, NULL);
	buf_reset(&body);
	if (r != 0)
		http_end(http);
	return r;
}

static void check_clock(struct doctor *doctor, const struct http *http)
{
	struct span date = http_head_named(&http->answer.head, SPAN("Date"));
	char text[96], words[WHEN_WORDS_SIZE];
	struct tm tm = {0};
	int64_t off;

	snprintf(text, sizeof text, "%.*s", (int)MIN(date.n, sizeof text - 1),
		date.p != NULL ? date.p : "");
	if (strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm) == NULL) {
		report(doctor, WARNING, "clock", "the server does not say what time it is", NULL);
		return;
	}
	off = wall_now() - (int64_t)timegm(&tm);
	when_words(off < 0 ? -off : off, words);
	if (off >= -CLOCK_TOLERANCE && off <= CLOCK_TOLERANCE) {
		report_good(doctor, "clock", "the same here and there");
		return;
	}
	snprintf(text, sizeof text, "this machine is %s %s the server", words,
		off < 0 ? "behind" : "ahead of");
	report(doctor, WARNING, "clock", text,
		"set the clock (NTP); until then write times as lengths (15m), not as points in time");
}

static void check_version(struct doctor *doctor, const json_t *document)
{
	const char *version = api_text(document, "version");
	char text[TEXT_SIZE];

	if (strcmp(version, TUNNELD_VERSION) == 0) {
		report_good(doctor, "version", "%s here and there", version);
		return;
	}
	snprintf(text, sizeof text, "%.64s there, %s here", version, TUNNELD_VERSION);
	report(doctor, WARNING, "version", text,
		"if something does not work, update the older one");
}

static int check_api(struct doctor *doctor)
{
	struct failure failure;
	struct http http;
	json_t *document;
	int r = ask(doctor, &(struct http_request){.path = "/_api/version"}, &http, &document,
		&failure);

	if (r < 0)
		return r;
	if (r > 0)
		return report_fault(doctor, "http", EXIT_CODE_UNREACHABLE, failure.text,
			"check port and scheme: something else may listen there");
	if (http.answer.head.status != 200 || strcmp(api_text(document, "name"), "tunneld") != 0) {
		r = report_fault(doctor, "http", EXIT_CODE_UNREACHABLE,
			"what answers there is not tunneld",
			"check the URL: the API may be at another name or port (control_listen)");
	} else {
		report_good(doctor, "http", "tunneld answers");
		check_version(doctor, document);
		check_clock(doctor, &http);
	}
	json_decref(document);
	http_end(&http);
	return r;
}

static int check_ready(struct doctor *doctor)
{
	struct failure failure;
	struct http http;
	json_t *document;
	int r = ask(doctor, &(struct http_request){.path = "/readyz"}, &http, &document, &failure);

	if (r < 0)
		return r;
	if (r == 0 && http.answer.head.status == 200) {
		report_good(doctor, "ready", "tunnels can be made");
	} else {
		report_fault(doctor, "ready", EXIT_CODE_UNREACHABLE,
			"the server cannot make tunnels now",
			"wait a moment; if it lasts, its log says why");
	}
	json_decref(document);
	if (r == 0)
		http_end(&http);
	return 0;
}

static int check_token(struct doctor *doctor)
{
	struct failure failure;
	json_t *list;
	int r;

	if (doctor->settings.token == NULL) {
		report(doctor, WARNING, "token", "there is none for this server",
			"'tunnel login' stores one; TUNNEL_TOKEN and --token-file do too, for a while");
		return 0;
	}
	r = api_call(&doctor->settings, &(struct api_call){.path = "/_api/tunnels?limit=1"}, &list,
		&failure);
	if (r == 0) {
		report_good(doctor, "token", "accepted");
		json_decref(list);
	} else if (r > 0) {
		report_fault(doctor, "token", (enum exit_code)r, failure.text,
			"ask for a new token, then 'tunnel login'");
	}
	return MIN(r, 0);
}

// The API answers a request for an upgrade with a bare status, any other with a document: so it is
// seen whether the request for an upgrade arrived as one.
static int check_upgrade(struct doctor *doctor)
{
	static const struct http_request request = {
		.path = "/_api/upgrade", // there is nothing
		.upgrade = "websocket",
		.fields = "Sec-WebSocket-Version: 13\r\n"
			  "Sec-WebSocket-Key: dHVubmVsIGRvY3Rvcg0KDQ==\r\n",
	};
	struct failure failure = {{0}};
	struct http http;
	json_t *document;
	int r = ask(doctor, &request, &http, &document, &failure);
	bool arrived = r == 0 && document == NULL &&
		       http_head_named(&http.answer.head, SPAN("Tunnel-Error")).n > 0;

	if (r < 0)
		return r;
	if (arrived)
		report_good(doctor, "upgrade", "requests for WebSockets arrive as such");
	else
		report_fault(doctor, "upgrade", EXIT_CODE_UNREACHABLE,
			r > 0 ? failure.text
			      : "a request for a WebSocket arrives as an ordinary one",
			"a proxy on the way drops it: have it pass Upgrade and Connection on, or use "
			"https, which it cannot look into");
	json_decref(document);
	if (r == 0)
		http_end(&http);
	return 0;
}

// ---- all of it

static int examine(struct doctor *doctor)
{
	static int (*const checks[])(struct doctor *) = {
		check_connection, check_api, check_ready, check_token, check_upgrade};
	int r = 0;

	// Where there is no connection, or no API, nothing else can be found out.
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(checks); i++)
		r = checks[i](doctor);
	return MIN(r, 0);
}

static int print_steps(struct doctor *doctor)
{
	json_t *all =
		json_pack("{s:b, s:O}", "ok", doctor->exit == EXIT_CODE_OK, "steps", doctor->steps);
	int r = all != NULL ? tunnel_print_json(stdout, all, 0) : -ENOMEM;

	json_decref(all);
	return r;
}

int doctor_run(const struct invocation *invocation, struct failure *failure)
{
	struct doctor doctor = {.exit = EXIT_CODE_OK};
	char server[URL_TEXT_MAX];
	int r = settings_load(&doctor.settings, invocation, failure);

	if (r != 0)
		return r;
	if (option_given(invocation, OPTION_JSON))
		doctor.steps = json_array();
	url_format(&doctor.settings.server, server, sizeof server);
	report_good(&doctor, "server", "%s", server);
	r = examine(&doctor);
	if (r == 0 && doctor.steps != NULL)
		r = print_steps(&doctor);
	json_decref(doctor.steps);
	settings_deinit(&doctor.settings);
	return r != 0 ? r : (int)doctor.exit;
}
