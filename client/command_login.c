// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// tunnel login and logout: what the configuration file holds. A token is written there only when
// the server has accepted it.

#include "api.h"
#include "attest_gate.h"
#include "clean.h"
#include "config_file.h"
#include "handlers.h"
#include "server.h"
#include "terminal.h"
#include "token_text.h"

#include <bsd/readpassphrase.h>
#include <limits.h>

enum { LINE_SIZE = 512 };

// One line of standard input, without its end. Returns 0, or EXIT_CODE_USAGE when there is none.
static int read_line(char *line, size_t size, struct failure *failure)
{
	size_t n = 0;
	char c;

	// Byte by byte: no buffer is left with what may be a token.
	for (;;) {
		ssize_t got = read(STDIN_FILENO, &c, 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0 || c == '\n' || n + 1 == size)
			break;
		line[n++] = c;
	}
	n -= n > 0 && line[n - 1] == '\r';
	line[n] = '\0';
	return n > 0 ? 0 : failure_set(failure, EXIT_CODE_USAGE, "nothing was entered");
}

// Asks which server. An empty answer is the one there is.
static void ask_server(const char *present, char answer[LINE_SIZE])
{
	struct failure none;

	fprintf(stderr, "Server [");
	clean_print(stderr, span_of(present));
	fprintf(stderr, "]: ");
	if (read_line(answer, LINE_SIZE, &none) != 0)
		snprintf(answer, LINE_SIZE, "%s", present);
}

static int ask_token(char token[TOKEN_TEXT_MAX + 2], struct failure *failure)
{
	if (!terminal_is(stdin))
		return read_line(token, TOKEN_TEXT_MAX + 2, failure);
	if (readpassphrase("Token (is not shown): ", token, TOKEN_TEXT_MAX + 2, RPP_REQUIRE_TTY) ==
		NULL)
		return failure_set(
			failure, EXIT_CODE_USAGE, "the token cannot be read: %s", strerror(errno));
	return token[0] != '\0' ? 0 : failure_set(failure, EXIT_CODE_USAGE, "nothing was entered");
}

// The server of operand, option, environment, question, in this order.
static int choose_server(const struct invocation *invocation, const struct config *config,
	char chosen[LINE_SIZE], struct failure *failure)
{
	const char *variable = getenv("TUNNEL_SERVER");
	const char *given = invocation->n_operands > 0 ? invocation->operands[0]
						       : invocation->values[OPTION_SERVER];
	const char *present = config->server != NULL ? config->server : SETTINGS_DEFAULT_SERVER;
	struct url server;
	const char *why;

	if (invocation->n_operands > 0 && invocation->values[OPTION_SERVER] != NULL)
		return failure_set(failure, EXIT_CODE_USAGE, "the server is given twice");
	if (given == NULL && variable != NULL && variable[0] != '\0')
		given = variable;
	if (given == NULL && terminal_is(stdin))
		ask_server(present, chosen);
	else
		snprintf(chosen, LINE_SIZE, "%s", given != NULL ? given : present);
	if (server_parse(&server, span_of(chosen), &why) != 0)
		return failure_set(failure, EXIT_CODE_USAGE, "the server: %s", why);
	return 0;
}

// Puts the token into SETTINGS, unless an option or the environment has brought one.
static int need_token(struct settings *settings, struct failure *failure)
{
	char text[TOKEN_TEXT_MAX + 2];
	const char *why;
	int r;

	if (settings->token != NULL)
		return 0;
	r = ask_token(text, failure);
	if (r == 0 && token_text_check(span_of(text), &why) != 0)
		r = failure_set(failure, EXIT_CODE_USAGE, "the token: %s", why);
	if (r == 0 && (settings->token = strdup(text)) == NULL)
		r = -ENOMEM;
	explicit_bzero(text, sizeof text);
	return r;
}

// By GATE's route: it has been opened.
static int try_token(
	const struct settings *settings, const struct attest_gate *gate, struct failure *failure)
{
	struct settings verified = *settings;
	json_t *list;

	verified.route = gate->route;
	int r = api_call(
		&verified, &(struct api_call){.path = "/_api/tunnels?limit=1"}, &list, failure);
	if (r == 0)
		json_decref(list);
	return r;
}

// Files as absolute paths: they have to be found from everywhere.
static int make_config(struct config *config, const struct settings *settings, const char *server)
{
	const struct {
		const char *from;
		char **to;
		bool file;
	} all[] = {
		{server, &config->server, false},
		{settings->token, &config->token, false},
		{settings->ca_file, &config->ca, true},
		{settings->attest, &config->attest, false},
		{settings->policy, &config->policy, true},
		{settings->collateral, &config->collateral, true},
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		if (all[i].from == NULL)
			continue;
		*all[i].to = all[i].file ? realpath(all[i].from, NULL) : strdup(all[i].from);
		if (*all[i].to == NULL)
			return -errno;
	}
	return 0;
}

static int store(const struct settings *settings, const char *server, struct failure *failure)
{
	char path[CONFIG_PATH_MAX];
	struct config config = {0};
	int r = make_config(&config, settings, server);

	if (r == 0)
		r = config_write(&config, failure);
	config_deinit(&config);
	if (r == 0 && config_path(path, failure) == 0) {
		fputs("logged in; server and token are in ", stderr);
		clean_print(stderr, span_of(path));
		fputc('\n', stderr);
	}
	return r;
}

// With a server that has passed, if it has to.
static int log_in(struct settings *settings, const struct invocation *invocation,
	const char *server, struct failure *failure)
{
	struct attest_gate gate;
	int r = attest_gate_init(&gate, invocation, settings, failure);

	if (r == 0)
		r = attest_gate_open(&gate, (struct span){NULL, 0}, failure);
	if (r == 0)
		r = need_token(settings, failure);
	if (r == 0)
		r = try_token(settings, &gate, failure);
	if (r == 0)
		r = store(settings, server, failure);
	attest_gate_deinit(&gate);
	return r;
}

int login_run(const struct invocation *invocation, struct failure *failure)
{
	struct invocation chosen = *invocation;
	struct config config;
	struct settings settings;
	char server[LINE_SIZE];
	int r = config_read(&config, failure);

	if (r != 0)
		return r;
	r = choose_server(invocation, &config, server, failure);
	config_deinit(&config);
	if (r != 0)
		return r;
	chosen.values[OPTION_SERVER] = server;
	r = settings_load_fresh(&settings, &chosen, failure);
	if (r != 0)
		return r;
	r = log_in(&settings, &chosen, server, failure);
	settings_deinit(&settings);
	return r;
}

int logout_run(const struct invocation *invocation, struct failure *failure)
{
	struct config config;
	int r = config_read(&config, failure);

	if (r != 0)
		return r;
	if (config.token == NULL) {
		fputs("there was no token in the configuration file\n", stderr);
	} else {
		explicit_bzero(config.token, strlen(config.token));
		free(config.token);
		config.token = NULL;
		r = config_write(&config, failure);
		if (r == 0)
			fputs("logged out; the token still works until its life is over\n", stderr);
	}
	config_deinit(&config);
	return r;
}
