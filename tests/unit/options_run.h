// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Shared by the tests of the settings: one run of options_parse() and what is expected of it.

#pragma once

#include "options.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

// One run of options_parse() and what came out.
struct run {
	struct options options;
	struct buf errors;
	int result;
};

static inline void run_free(struct run *run)
{
	options_deinit(&run->options);
	buf_reset(&run->errors);
}

static inline const char *errors_of(struct run *run)
{
	assert_int_equal(buf_add(&run->errors, "", 1), 0);
	return buf_span(&run->errors).p;
}

static inline void run_input(struct run *run, const struct options_input *input)
{
	options_init(&run->options);
	buf_init(&run->errors, OPTIONS_TEXT_MAX);
	run->result = options_parse(&run->options, input, &run->errors);
	assert_true(run->result == 0 || run->result == OPTIONS_INVALID);
	assert_int_equal(buf_len(&run->errors) == 0, run->result == 0);
}

static inline void run_file(struct run *run, const char *text)
{
	struct options_input input = {.file_name = "t.conf", .file_text = span_of(text)};

	run_input(run, &input);
}

static inline void run_settings(struct run *run, const char *const *settings)
{
	struct options_input input = {.settings = settings};

	while (settings[input.n_settings] != NULL)
		input.n_settings++;
	run_input(run, &input);
}

static inline void run_variable(struct run *run, const char *variable)
{
	char copy[512];
	char *environment[] = {copy, NULL};
	struct options_input input = {.environment = environment};

	assert_true((size_t)snprintf(copy, sizeof copy, "%s", variable) < sizeof copy);
	run_input(run, &input);
}

static inline void expect_good(struct run *run, const char *what)
{
	if (run->result != 0)
		fail_msg("%s: refused: %s", what, errors_of(run));
}

static inline void expect_bad(struct run *run, const char *what, const char *errors)
{
	if (run->result != OPTIONS_INVALID)
		fail_msg("%s: was accepted", what);
	const char *got = errors_of(run);
	if (strcmp(got, errors) != 0)
		fail_msg("%s:\n got      %s expected %s", what, got, errors);
}

static inline void bad_file(const char *text, const char *errors)
{
	struct run run;

	run_file(&run, text);
	expect_bad(&run, text, errors);
	run_free(&run);
}

static inline void bad_setting(const char *setting, const char *errors)
{
	struct run run;

	run_settings(&run, (const char *const[]){setting, NULL});
	expect_bad(&run, setting, errors);
	run_free(&run);
}

static inline void good_setting(const char *setting)
{
	struct run run;

	run_settings(&run, (const char *const[]){setting, NULL});
	expect_good(&run, setting);
	run_free(&run);
}

static inline void bad_variable(const char *variable, const char *errors)
{
	struct run run;

	run_variable(&run, variable);
	expect_bad(&run, variable, errors);
	run_free(&run);
}

// The effective text, as a string to be freed.
static inline char *effective(const struct options *options)
{
	struct buf text;
	char *copy;

	buf_init(&text, OPTIONS_TEXT_MAX);
	assert_int_equal(options_effective(options, &text), 0);
	copy = strndup(buf_span(&text).p, buf_len(&text));
	assert_non_null(copy);
	buf_reset(&text);
	return copy;
}

static inline void expect_effective(struct run *run, const char *line)
{
	char *text = effective(&run->options);
	char *at = strstr(text, line);

	expect_good(run, line);
	if (at == NULL || (at != text && at[-1] != '\n') || at[strlen(line)] != '\n')
		fail_msg("'%s' is not in:\n%s", line, text);
	free(text);
}

// The effective text when nothing is set.
static const char defaults[] = "abuse_contact=\n"
			       "agent_grace=10\n"
			       "agent_memory=2048\n"
			       "agent_rate=120\n"
			       "api_timeout=10\n"
			       "api_token_file=/var/lib/tunneld/owner-token\n"
			       "attestation=auto\n"
			       "backend_allow=\n"
			       "backend_deny=\n"
			       "backend_reuse=visitor\n"
			       "collateral=\n"
			       "connect_timeout=5\n"
			       "control_listen=\n"
			       "control_url=\n"
			       "create_rate=600\n"
			       "default_timeout=3600\n"
			       "dstack_socket=\n"
			       "edges=0\n"
			       "failure_rate=30\n"
			       "fresh_rate=10\n"
			       "gates=0\n"
			       "handshake_timeout=10\n"
			       "head_timeout=10\n"
			       "idempotency_answers=4096\n"
			       "idle_timeout=75\n"
			       "interstitial=no\n"
			       "listen=127.0.0.1:8080\n"
			       "log_format=text\n"
			       "lookup_timeout=5\n"
			       "max_api_connections=256\n"
			       "max_connections_per_tunnel=1000\n"
			       "max_event_streams=64\n"
			       "max_handshakes=8192\n"
			       "max_lookups=8\n"
			       "max_pending=8192\n"
			       "max_pending_per_tunnel=256\n"
			       "max_timeout=86400\n"
			       "max_tokens=100\n"
			       "max_tunnels=1000\n"
			       "metrics_listen=\n"
			       "pending_timeout=5\n"
			       "port_pool=\n"
			       "port_pool_url=\n"
			       "proxy_protocol=\n"
			       "public_url=http://127.0.0.1:8080\n"
			       "relay_uid_base=50000\n"
			       "request_log=no\n"
			       "request_log_rate=100\n"
			       "request_rate=0\n"
			       "retention=86400\n"
			       "sandbox=require\n"
			       "state_dir=/var/lib/tunneld\n"
			       "stop_timeout=1\n"
			       "tls_cert=\n"
			       "tls_insecure=no\n"
			       "tls_key=\n"
			       "tls_life=7776000\n"
			       "tls_listen=\n"
			       "tls_roots=/etc/ssl/certs/ca-certificates.crt\n"
			       "trusted_proxies=\n"
			       "wildcard_domain=\n";
