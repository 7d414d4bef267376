// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Where settings come from. A token goes only to the server it was given for: the one of the
// configuration file is not shown to another server that an option or the environment has named,
// nor are its certificates used for that.

#include "settings.h"

#include "config_file.h"
#include "file.h"
#include "server.h"
#include "token_text.h"

#include <fcntl.h>
#include <stdio.h>

// Takes the variable out of the environment: nothing else has use for it.
static int token_from_environment(char **ret, struct failure *failure)
{
	char *value = getenv("TUNNEL_TOKEN");
	const char *why;

	if (value == NULL || value[0] == '\0')
		return 0;
	if (token_text_check(span_of(value), &why) != 0)
		return failure_set(
			failure, EXIT_CODE_USAGE, "environment variable TUNNEL_TOKEN: %s", why);
	*ret = strdup(value);
	explicit_bzero(value, strlen(value));
	unsetenv("TUNNEL_TOKEN");
	return *ret != NULL ? 0 : -ENOMEM;
}

// One line; the line end may be missing.
static int read_token(int fd, char **ret, const char **why)
{
	char text[TOKEN_TEXT_MAX + 3]; // one too many, and CR LF
	ssize_t n = file_read(fd, text, sizeof text);
	int r = (int)MIN(n, 0);

	n -= n > 0 && text[n - 1] == '\n';
	n -= n > 0 && text[n - 1] == '\r';
	if (r == 0)
		r = token_text_check((struct span){text, (size_t)n}, why);
	if (r == 0 && (*ret = strndup(text, (size_t)n)) == NULL)
		r = -ENOMEM;
	explicit_bzero(text, sizeof text);
	return r;
}

static int token_from_file(const char *name, char **ret, struct failure *failure)
{
	bool standard_input = strcmp(name, "-") == 0;
	const char *why = NULL;
	int r;

	CLEANUP(close_p)
	int fd = standard_input ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
				: open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return failure_set(failure, EXIT_CODE_USAGE, "--token-file: %s cannot be read: %s",
			name, strerror(errno));
	r = read_token(fd, ret, &why);
	if (r > 0)
		return failure_set(failure, EXIT_CODE_USAGE, "--token-file: %s: %s", name, why);
	if (r < 0 && r != -ENOMEM)
		return failure_set(failure, EXIT_CODE_USAGE, "--token-file: %s cannot be read: %s",
			name, strerror(-r));
	return r;
}

static int set_server(
	struct settings *settings, const char *text, const char *source, struct failure *failure)
{
	const char *why;

	if (server_parse(&settings->server, span_of(text), &why) != 0)
		return failure_set(failure, EXIT_CODE_USAGE, "%s: %s", source, why);
	return 0;
}

// Whether SERVER is the one of the configuration file.
static bool is_of_config(const struct config *config, const struct url *server)
{
	const char *text = config->server != NULL ? config->server : SETTINGS_DEFAULT_SERVER;
	struct url url;
	const char *why;

	return server_parse(&url, span_of(text), &why) == 0 && url.scheme == server->scheme &&
	       url.port == server->port && strcmp(url.host, server->host) == 0;
}

// *RET_ELSEWHERE: the server is not that of the configuration file.
static int find_server(struct settings *settings, const struct invocation *invocation,
	const struct config *config, bool *ret_elsewhere, struct failure *failure)
{
	const char *text = invocation->values[OPTION_SERVER], *source = "--server";
	int r;

	if (text == NULL) {
		text = getenv("TUNNEL_SERVER");
		source = "environment variable TUNNEL_SERVER";
		if (text != NULL && text[0] == '\0')
			text = NULL;
	}
	if (text == NULL) {
		text = config->server != NULL ? config->server : SETTINGS_DEFAULT_SERVER;
		source = "the server in the configuration file";
	}
	r = set_server(settings, text, source, failure);
	*ret_elsewhere = r == 0 && !is_of_config(config, &settings->server);
	return r;
}

static int find_token(struct settings *settings, const struct invocation *invocation,
	struct config *config, bool elsewhere, struct failure *failure)
{
	const char *file = invocation->values[OPTION_TOKEN_FILE];
	int r = token_from_environment(&settings->token, failure);

	if (r == 0 && file != NULL) {
		if (settings->token != NULL)
			explicit_bzero(settings->token, strlen(settings->token));
		free(settings->token);
		settings->token = NULL;
		r = token_from_file(file, &settings->token, failure);
	}
	if (r == 0 && settings->token == NULL && !elsewhere) {
		settings->token = config->token;
		config->token = NULL;
	}
	return r;
}

// What decides whether a server is trusted: options, else the configuration file about its own.
static int find_trust(struct settings *settings, const struct invocation *invocation,
	const struct config *config, bool elsewhere)
{
	const struct {
		enum option_id option;
		const char *stored;
		char **ret;
	} all[] = {
		{OPTION_CA, config->ca, &settings->ca_file},
		{OPTION_ATTEST, config->attest, &settings->attest},
		{OPTION_POLICY, config->policy, &settings->policy},
		{OPTION_COLLATERAL, config->collateral, &settings->collateral},
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		const char *text = invocation->values[all[i].option];
		if (text == NULL && !elsewhere)
			text = all[i].stored;
		if (text != NULL && (*all[i].ret = strdup(text)) == NULL)
			return -ENOMEM;
	}
	return 0;
}

// How to get there.
static int make_route(struct settings *settings, struct failure *failure)
{
	bool through_proxy;
	int r = proxy_find(&settings->proxy, &through_proxy, &settings->server, failure);

	if (r == 0 && settings->server.scheme == URL_HTTPS)
		r = tls_trust_new(&settings->trust, TLS_CHECK_ROOTS, settings->ca_file, failure);
	settings->route = (struct route){
		.server = &settings->server,
		.proxy = r == 0 && through_proxy ? &settings->proxy : NULL,
		.trust = settings->trust,
	};
	return r;
}

static void warn_of_clear_text(const struct settings *settings)
{
	if (settings->token != NULL && settings->server.scheme == URL_HTTP &&
		!server_is_local(&settings->server))
		fprintf(stderr,
			"tunnel: warning: the token travels unencrypted to %s; better use https://\n",
			settings->server.host);
}

static int load(struct settings *settings, const struct invocation *invocation, bool fresh,
	struct failure *failure)
{
	struct config config;
	bool elsewhere = false;
	int r = config_read(&config, failure);

	*settings = (struct settings){0};
	if (r == 0)
		r = find_server(settings, invocation, &config, &elsewhere, failure);
	if (r == 0)
		r = find_token(settings, invocation, &config, elsewhere || fresh, failure);
	if (r == 0)
		r = find_trust(settings, invocation, &config, elsewhere);
	if (r == 0)
		r = make_route(settings, failure);
	config_deinit(&config);
	if (r != 0)
		settings_deinit(settings);
	else
		warn_of_clear_text(settings);
	return r;
}

int settings_load(
	struct settings *settings, const struct invocation *invocation, struct failure *failure)
{
	return load(settings, invocation, false, failure);
}

int settings_load_fresh(
	struct settings *settings, const struct invocation *invocation, struct failure *failure)
{
	return load(settings, invocation, true, failure);
}

int settings_for_server(struct settings *settings, const struct invocation *invocation,
	const struct url *server, struct failure *failure)
{
	struct config config;
	int r = config_read(&config, failure);

	*settings = (struct settings){.server = *server};
	if (r == 0)
		r = find_trust(settings, invocation, &config, !is_of_config(&config, server));
	if (r == 0)
		r = make_route(settings, failure);
	config_deinit(&config);
	if (r != 0)
		settings_deinit(settings);
	return r;
}

void settings_deinit(struct settings *settings)
{
	if (settings->token != NULL)
		explicit_bzero(settings->token, strlen(settings->token));
	free(settings->token);
	free(settings->ca_file);
	free(settings->attest);
	free(settings->policy);
	free(settings->collateral);
	proxy_deinit(&settings->proxy);
	tls_trust_free(settings->trust);
	*settings = (struct settings){0};
}

int settings_need_token(const struct settings *settings, struct failure *failure)
{
	if (settings->token != NULL)
		return 0;
	return failure_set(failure, EXIT_CODE_USAGE,
		"no token for %s: run 'tunnel login', set TUNNEL_TOKEN, or give --token-file FILE",
		settings->server.host);
}
