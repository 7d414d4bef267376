// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The gate of attest_gate.h with nothing around it: reads lines from standard input, does what they
// say, and answers each with a line: the exit code, and the sentence or the status of an answer.
//
//     gate-probe --server=URL [--attest=MODE] [--policy=FILE] ...
//
//     open [ID]    attests the server, or a tunnel
//     get PATH     a request through the gate, with the token

#include "attest_gate.h"
#include "http.h"

#include <stdio.h>

enum { PROBE_MS = 20000 };

static void take_options(struct invocation *invocation, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		for (unsigned id = 0; id < OPTION_COUNT; id++) {
			size_t n = strlen(option_table[id].name);
			if (strncmp(argv[i], "--", 2) == 0 &&
				strncmp(argv[i] + 2, option_table[id].name, n) == 0 &&
				argv[i][2 + n] == '=')
				invocation->values[id] = argv[i] + 3 + n;
		}
}

static int get(struct attest_gate *gate, const char *path, struct failure *failure)
{
	struct http http;
	const struct http_request request = {.path = path, .token = gate->settings->token};
	int r = http_begin(
		&http, &gate->route, &request, instant_add_ms(instant_now(), PROBE_MS), failure);
	if (r == 0) {
		snprintf(failure->text, sizeof failure->text, "%u", http.answer.head.status);
		http_end(&http);
	}
	return r;
}

static int probe(struct attest_gate *gate, char *line, struct failure *failure)
{
	char *argument = strchr(line, ' ');
	failure->text[0] = '\0';
	if (argument != NULL)
		*argument++ = '\0';
	return strcmp(line, "open") == 0 ? attest_gate_open(gate, span_of(argument), failure)
					 : get(gate, argument, failure);
}

int main(int argc, char **argv)
{
	struct invocation invocation = {0};
	struct settings settings = {0};
	struct attest_gate gate = {0};
	struct failure failure = {{0}};
	char line[256];
	take_options(&invocation, argc, argv);
	int r = settings_load(&settings, &invocation, &failure);
	if (r == 0)
		r = attest_gate_init(&gate, &invocation, &settings, &failure);
	while (r == 0 && fgets(line, sizeof line, stdin) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		printf("%d", probe(&gate, line, &failure));
		printf(" %s\n", failure.text);
		fflush(stdout);
	}
	if (r != 0)
		fprintf(stderr, "%s\n", failure.text);
	attest_gate_deinit(&gate);
	settings_deinit(&settings);
	return r;
}
