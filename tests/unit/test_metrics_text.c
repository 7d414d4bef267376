// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Metrics as text: every number has its place, and docs/operations.md names every metric.

#include "metrics_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const char *text_of(const struct metrics_all *all)
{
	static char text[64 * 1024];
	struct buf out;

	buf_init(&out, sizeof text - 1);
	assert_int_equal(metrics_text(&out, all), 0);
	memcpy(text, buf_span(&out).p, buf_len(&out));
	text[buf_len(&out)] = '\0';
	buf_reset(&out);
	return text;
}

static void expect_line(const char *text, const char *line)
{
	char whole[256];

	snprintf(whole, sizeof whole, "\n%s\n", line);
	if (strstr(text, whole) == NULL)
		fail_msg("there is no line %s", line);
}

static void test_numbers(void **state)
{
	struct metrics_all all = {.version = "1.2.3", .requests = 7};

	all.supervisor.tunnels[METRICS_ACTIVE] = 3;
	all.supervisor.bytes_in = UINT64_MAX;
	all.supervisor.bytes_out = 12;
	all.supervisor.relay_refusals[CODE_AUTH_FAILED] = 4;
	all.supervisor.gate_refusals[CODE_DRAINING] = 5;
	all.refusals[CODE_REQUEST_TIMEOUT] = 6;
	all.supervisor.processes[ROLE_RESOLVER] = 1;
	all.supervisor.log_unread = 9;
	all.supervisor.dial_failures[DIAL_EXHAUSTED] = 2;
	const char *text = text_of(&all);
	expect_line(text, "tunneld_build_info{version=\"1.2.3\"} 1");
	expect_line(text, "tunneld_tunnels{state=\"active\"} 3");
	expect_line(text, "tunneld_visitor_bytes_total{direction=\"in\"} 18446744073709551615");
	expect_line(text, "tunneld_visitor_bytes_total{direction=\"out\"} 12");
	expect_line(text, "tunneld_refusals_total{by=\"relay\",code=\"auth_failed\"} 4");
	expect_line(text, "tunneld_refusals_total{by=\"gate\",code=\"draining\"} 5");
	expect_line(text, "tunneld_refusals_total{by=\"api\",code=\"request_timeout\"} 6");
	expect_line(text, "tunneld_processes{role=\"resolver\"} 1");
	expect_line(text, "tunneld_log_lines_dropped_total{reason=\"unread\"} 9");
	expect_line(text, "tunneld_dial_failures_total{reason=\"exhausted\"} 2");
	expect_line(text, "tunneld_api_requests_total 7");
}

static void test_histogram(void **state)
{
	struct metrics_all all = {.version = "1"};

	all.supervisor.spawned[0] = 1;
	all.supervisor.spawned[2] = 2;
	all.supervisor.spawned[METRICS_BUCKETS] = 4;
	all.supervisor.spawned_us = 30000009;
	const char *text = text_of(&all);
	expect_line(text, "tunneld_tunnel_start_seconds_bucket{le=\"0.001\"} 1");
	expect_line(text, "tunneld_tunnel_start_seconds_bucket{le=\"0.0025\"} 1");
	expect_line(text, "tunneld_tunnel_start_seconds_bucket{le=\"0.005\"} 3");
	expect_line(text, "tunneld_tunnel_start_seconds_bucket{le=\"5\"} 3");
	expect_line(text, "tunneld_tunnel_start_seconds_bucket{le=\"+Inf\"} 7");
	expect_line(text, "tunneld_tunnel_start_seconds_sum 30.000009");
	expect_line(text, "tunneld_tunnel_start_seconds_count 7");
}

static void test_no_room(void **state)
{
	const struct metrics_all all = {.version = "1"};
	struct buf out;

	for (uint32_t cap = 0; cap < 4096; cap += 64) {
		buf_init(&out, cap);
		assert_int_equal(metrics_text(&out, &all), -ENOBUFS);
		buf_reset(&out);
	}
}

static void test_documented(void **state)
{
	static char page[64 * 1024];
	const struct metrics_all all = {.version = "1"};
	const char *source = getenv("TUNNELD_SOURCE"), *text = text_of(&all);
	char path[1024], name[128];

	snprintf(path, sizeof path, "%s/docs/operations.md", source != NULL ? source : ".");
	FILE *file = fopen(path, "re");
	assert_non_null(file);
	page[fread(page, 1, sizeof page - 1, file)] = '\0';
	fclose(file);
	while ((text = strstr(text, "# TYPE ")) != NULL) {
		text += sizeof "# TYPE " - 1;
		snprintf(name, sizeof name, "`%.*s`", (int)strcspn(text, " "), text);
		if (strstr(page, name) == NULL)
			fail_msg("docs/operations.md does not name %s", name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_histogram),
		cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_documented),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
