// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Settings are taken in the order default, file, environment, command line. Each knows the place it
// came from, so that every mistake can be named with it, and all of them in one go.

#include "options_table.h"

#include "listener.h"
#include "utf8.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/un.h>

#define ENV_PREFIX         "TUNNELD_"
#define SIMULATOR_VARIABLE "DSTACK_SIMULATOR_ENDPOINT"

enum source { FROM_DEFAULT, FROM_FILE, FROM_ENVIRONMENT, FROM_COMMAND };

struct place {
	enum source source;
	unsigned line;        // FROM_FILE
	struct span variable; // FROM_ENVIRONMENT
};

struct parse {
	struct options *options;
	const struct options_input *input;
	struct buf *errors;
	unsigned n_errors;
	struct place set_at[OPTION_KEYS]; // where the value in force comes from
	int failure; // negative errno: reporting itself failed, or memory is out
};

static void keep_failure(struct parse *parse, int r)
{
	if (r < 0 && parse->failure == 0)
		parse->failure = r;
}

static int place_print(struct buf *text, const struct parse *parse, const struct place *place)
{
	switch (place->source) {
	case FROM_FILE: return buf_printf(text, "%s:%u: ", parse->input->file_name, place->line);
	case FROM_ENVIRONMENT:
		return buf_printf(text, "environment %.*s: ", (int)MIN(place->variable.n, 80),
			place->variable.p);
	case FROM_COMMAND: return buf_printf(text, "option -o: ");
	case FROM_DEFAULT: return buf_printf(text, "default: ");
	}
	return 0;
}

// Adds one line to the errors. DEF may be NULL.
static void PRINTF(4, 5) complain(struct parse *parse, const struct place *place,
	const struct option_def *def, const char *format, ...)
{
	char what[2 * OPTION_WHY_MAX];
	va_list args;

	if (++parse->n_errors > OPTIONS_ERRORS_MAX)
		return;
	va_start(args, format);
	vsnprintf(what, sizeof what, format, args);
	va_end(args);
	keep_failure(parse, place_print(parse->errors, parse, place));
	if (def != NULL && place->source != FROM_ENVIRONMENT) // a variable's name says it already
		keep_failure(parse, buf_printf(parse->errors, "%s: ", def->name));
	keep_failure(parse, buf_printf(parse->errors, "%s\n", what));
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

// Anything else may be a token with a slip around it: not to be repeated.
static bool looks_like_key(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= 'A' && s.p[i] <= 'Z') ||
			    s.p[i] == '_' || s.p[i] == '-'))
			return false;
	return s.n <= 2 * OPTION_NAME_MAX;
}

static void complain_unknown(struct parse *parse, const struct place *place, struct span key)
{
	const struct option_def *nearest = option_nearest(key);
	char hint[2 * OPTION_NAME_MAX] = "";

	if (nearest != NULL)
		snprintf(hint, sizeof hint, ": did you mean '%s'?", nearest->name);
	if (looks_like_key(key))
		complain(parse, place, NULL, "there is no key '%.*s'%s", (int)key.n, key.p, hint);
	else
		complain(parse, place, NULL, "there is no such key%s", hint);
}

// Why a value for DEF may not come from PLACE, or NULL.
static const char *place_refused(
	const struct parse *parse, const struct place *place, const struct option_def *def)
{
	if (def->type != OPTION_SECRET)
		return NULL;
	if (place->source == FROM_COMMAND)
		return "a token on the command line can be read by every user of the machine: put it into "
		       "api_token_file or the environment variable TUNNELD_API_TOKEN";
	if (place->source == FROM_FILE && !parse->input->file_private)
		return "this file holds a token and is open to others: chmod 600 it, or put the token into "
		       "api_token_file";
	return NULL;
}

// Takes one setting; KEY and VALUE are trimmed.
static void assign(
	struct parse *parse, const struct place *place, struct span key, struct span value)
{
	const struct option_def *def = option_find(key);
	char why[OPTION_WHY_MAX];

	if (def == NULL) {
		complain_unknown(parse, place, key);
		return;
	}
	struct place *before = &parse->set_at[def - option_table];
	const char *refused = place_refused(parse, place, def);
	if (refused != NULL) {
		complain(parse, place, def, "%s", refused);
	} else if (place->source == FROM_FILE && before->source == FROM_FILE &&
		   !option_is_list(def)) {
		complain(parse, place, def, "is already set in line %u: remove one of the two",
			before->line);
	} else if (!utf8_plain(value)) {
		complain(parse, place, def, "the value has a control character or is not UTF-8");
	} else if (value.n == 0 && !option_may_be_empty(def)) {
		complain(parse, place, def,
			"a value is missing: remove the setting to have the default");
	} else {
		if (before->source != place->source)
			option_clear(parse->options, def);
		int r = value.n > 0 ? option_set(parse->options, def, value, why) : 0;
		if (r == OPTIONS_INVALID)
			complain(parse, place, def, "%s", why);
		else if (r == 0)
			*before = *place;
		keep_failure(parse, r);
	}
}

// Cuts "key=value" in two. False when there is no "=".
static bool split_setting(struct span text, struct span *key, struct span *value)
{
	const char *equals = text.n > 0 ? memchr(text.p, '=', text.n) : NULL;

	if (equals == NULL)
		return false;
	size_t n = (size_t)(equals - text.p);
	*key = span_trim((struct span){text.p, n}, " \t\r");
	*value = span_trim((struct span){equals + 1, text.n - n - 1}, " \t\r");
	return true;
}

// The line without its comment: # at the start or after a blank, to the end.
static struct span without_comment(struct span line)
{
	for (size_t i = 0; i < line.n; i++)
		if (line.p[i] == '#' && (i == 0 || is_blank(line.p[i - 1])))
			return (struct span){line.p, i};
	return line;
}

static void parse_line(struct parse *parse, const struct place *place, struct span line)
{
	struct span key, value;

	line = span_trim(without_comment(line), " \t\r");
	if (line.n == 0)
		return;
	if (split_setting(line, &key, &value))
		assign(parse, place, key, value);
	else
		complain(parse, place, NULL, "this line is no setting: write key = value");
}

static void parse_file(struct parse *parse)
{
	struct span rest = parse->input->file_text;
	struct place place = {.source = FROM_FILE};

	if (span_starts(rest, SPAN("\xef\xbb\xbf"))) // byte order mark
		rest = (struct span){rest.p + 3, rest.n - 3};
	while (rest.n > 0) {
		const char *end = memchr(rest.p, '\n', rest.n);
		size_t n = end != NULL ? (size_t)(end - rest.p) : rest.n;
		place.line++;
		parse_line(parse, &place, (struct span){rest.p, n});
		n += end != NULL;
		rest = (struct span){rest.p + n, rest.n - n};
	}
}

// TUNNELD_MAX_TUNNELS -> max_tunnels. Returns what was written to KEY, or the absent span when NAME
// is no name of a variable of ours.
static struct span key_of_variable(struct span name, char key[OPTION_NAME_MAX + 1])
{
	size_t skip = sizeof ENV_PREFIX - 1;

	if (name.n - skip > OPTION_NAME_MAX)
		return (struct span){NULL, 0};
	for (size_t i = skip; i < name.n; i++) {
		char c = name.p[i];
		if (c >= 'a' && c <= 'z')
			return (struct span){NULL, 0};
		key[i - skip] = ascii_lower(c);
	}
	return (struct span){key, name.n - skip};
}

// KEY is what the name stands for, absent if it has not that form.
static void complain_unknown_variable(
	struct parse *parse, const struct place *place, struct span key)
{
	const struct option_def *nearest = key.n > 0 ? option_nearest(key) : NULL;
	char name[OPTION_NAME_MAX + 1];
	size_t n = 0;

	if (nearest == NULL) {
		complain(parse, place, NULL, "there is no such setting");
		return;
	}
	for (char c; (c = nearest->name[n]) != '\0'; n++)
		name[n] = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
	complain(parse, place, NULL, "there is no such setting: did you mean " ENV_PREFIX "%.*s?",
		(int)n, name);
}

static void parse_variable(struct parse *parse, char *variable)
{
	struct place place = {.source = FROM_ENVIRONMENT};
	char buffer[OPTION_NAME_MAX + 1];
	char *equals = strchr(variable, '=');

	if (equals == NULL)
		return;
	place.variable = (struct span){variable, (size_t)(equals - variable)};
	struct span key = key_of_variable(place.variable, buffer);
	const struct option_def *def = option_find(key);
	if (def == NULL) {
		if (!utf8_plain(place.variable))
			place.variable = SPAN(ENV_PREFIX "...");
		complain_unknown_variable(parse, &place, key);
		return;
	}
	assign(parse, &place, key, span_trim(span_of(equals + 1), " \t\r"));
	if (def->type == OPTION_SECRET) // so that /proc/PID/environ does not have it
		explicit_bzero(equals + 1, strlen(equals + 1));
}

static void parse_environment(struct parse *parse)
{
	char *const *environment = parse->input->environment;

	for (; environment != NULL && *environment != NULL; environment++)
		if (span_starts(span_of(*environment), SPAN(ENV_PREFIX)))
			parse_variable(parse, *environment);
}

static void parse_settings(struct parse *parse)
{
	const struct place place = {.source = FROM_COMMAND};
	struct span key, value;

	for (size_t i = 0; i < parse->input->n_settings; i++) {
		if (split_setting(span_of(parse->input->settings[i]), &key, &value))
			assign(parse, &place, key, value);
		else
			complain(parse, &place, NULL, "write -o key=value");
	}
}

static void set_defaults(struct parse *parse)
{
	char why[OPTION_WHY_MAX];

	for (size_t i = 0; i < OPTION_KEYS; i++) {
		const struct option_def *def = &option_table[i];
		if (def->fallback == NULL)
			continue;
		int r = option_set(parse->options, def, span_of(def->fallback), why);
		assert(r != OPTIONS_INVALID);
		keep_failure(parse, r);
	}
}

// SCHEME:// and ADDRESS; where that is a wildcard, the loopback address stands for it.
static char *url_of_listener(
	const char *scheme, uint16_t usual_port, const struct sockaddr_storage *address)
{
	char host[INET6_ADDRSTRLEN], port[sizeof ":65535"] = "", *url = NULL;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	bool v4 = address->ss_family == AF_INET;
	uint16_t number;

	if (v4) {
		memcpy(&in, address, sizeof in);
		if (in.sin_addr.s_addr == htonl(INADDR_ANY))
			in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		inet_ntop(AF_INET, &in.sin_addr, host, sizeof host);
		number = ntohs(in.sin_port);
	} else {
		memcpy(&in6, address, sizeof in6);
		if (IN6_IS_ADDR_UNSPECIFIED(&in6.sin6_addr))
			in6.sin6_addr = in6addr_loopback;
		inet_ntop(AF_INET6, &in6.sin6_addr, host, sizeof host);
		number = ntohs(in6.sin6_port);
	}
	if (number != usual_port)
		snprintf(port, sizeof port, ":%u", number);
	if (asprintf(&url, v4 ? "%s://%s%s" : "%s://[%s]%s", scheme, host, port) < 0)
		return NULL;
	return url;
}

// A range written without an address has the one of LISTEN.
static void complete_range(struct options_range *range, const struct sockaddr_storage *listen)
{
	uint16_t port = listener_port((const void *)&range->first);

	if (!range->bare)
		return;
	range->first = *listen;
	listener_set_port((void *)&range->first, port);
}

// The value of the environment variable NAME, or NULL.
static const char *variable(const struct parse *parse, const char *name)
{
	char *const *environment = parse->input->environment;
	size_t n = strlen(name);

	for (; environment != NULL && *environment != NULL; environment++)
		if (strncmp(*environment, name, n) == 0 && (*environment)[n] == '=')
			return *environment + n + 1;
	return NULL;
}

// Where the guest service is: the setting, else what every client of it obeys, else nothing.
// Whoever is on the way to an http address could forge quotes' event logs, and have quotes made for
// himself.
static void complete_dstack_socket(struct parse *parse)
{
	const struct option_def *def = option_find(SPAN("dstack_socket"));
	const struct place simulator = {
		.source = FROM_ENVIRONMENT, .variable = SPAN(SIMULATOR_VARIABLE)};
	const struct place *place = &parse->set_at[def - option_table];
	char **path = &parse->options->dstack_socket;

	if (*path == NULL) {
		const char *value = variable(parse, SIMULATOR_VARIABLE);
		place = &simulator;
		*path = strdup(value != NULL ? value : "");
		if (*path == NULL)
			keep_failure(parse, -ENOMEM);
	}
	if (*path == NULL || (*path)[0] == '\0')
		return;
	if ((*path)[0] != '/')
		complain(parse, place, def,
			"write the absolute path of a Unix socket: addresses with http:// are refused");
	else if (strlen(*path) >= sizeof((struct sockaddr_un *)0)->sun_path)
		complain(parse, place, def, "the path of a Unix socket has at most 107 bytes");
}

static void complete_text(struct parse *parse, char **text)
{
	if (*text == NULL && (*text = strdup("")) == NULL)
		keep_failure(parse, -ENOMEM);
}

// Values that follow from others, and those that must fit together.
static void complete(struct parse *parse)
{
	struct options *o = parse->options;
	const struct place *place =
		&parse->set_at[option_find(SPAN("default_timeout")) - option_table];

	if (o->default_timeout > o->max_timeout && place->source == FROM_DEFAULT)
		o->default_timeout = o->max_timeout;
	if (o->default_timeout > o->max_timeout)
		complain(parse, place, option_find(SPAN("default_timeout")),
			"%u seconds are more than max_timeout, %u seconds", o->default_timeout,
			o->max_timeout);
	complete_dstack_socket(parse);
	complete_text(parse, &o->collateral);
	if (o->tls_cert.n != o->tls_key.n)
		complain(parse, &parse->set_at[option_find(SPAN("tls_key")) - option_table],
			option_find(SPAN("tls_key")),
			"there are %zu keys and %zu certificates (tls_cert): each needs its own",
			o->tls_key.n, o->tls_cert.n);
	if (parse->n_errors > 0 || parse->failure != 0)
		return;
	for (size_t i = 0; i < o->port_pool.n; i++)
		complete_range(&o->port_pool.items[i], &o->listen.items[0]);
	if (o->public_url == NULL)
		o->public_url = o->tls_listen.n > 0
					? url_of_listener("https", 443, &o->tls_listen.items[0])
					: url_of_listener("http", 80, &o->listen.items[0]);
	if (o->public_url == NULL)
		parse->failure = -ENOMEM;
	if (o->api_token_file == NULL &&
		asprintf(&o->api_token_file, "%s/owner-token",
			strcmp(o->state_dir, "/") == 0 ? "" : o->state_dir) < 0) {
		o->api_token_file = NULL;
		parse->failure = -ENOMEM;
	}
}

int options_parse(struct options *options, const struct options_input *input, struct buf *errors)
{
	struct parse parse = {.options = options, .input = input, .errors = errors};

	set_defaults(&parse);
	parse_file(&parse);
	parse_environment(&parse);
	parse_settings(&parse);
	complete(&parse);
	if (parse.n_errors > OPTIONS_ERRORS_MAX)
		keep_failure(&parse, buf_printf(errors, "and %u more mistakes\n",
					     parse.n_errors - OPTIONS_ERRORS_MAX));
	if (parse.failure != 0)
		return parse.failure;
	return parse.n_errors > 0 ? OPTIONS_INVALID : 0;
}

void options_init(struct options *options)
{
	*options = (struct options){0};
}

void options_deinit(struct options *options)
{
	for (size_t i = 0; i < OPTION_KEYS; i++)
		option_clear(options, &option_table[i]);
}

void options_forget_token(struct options *options)
{
	option_clear(options, option_find(SPAN("api_token")));
}

int options_effective(const struct options *options, struct buf *text)
{
	int r = 0;

	for (size_t i = 0; i < OPTION_KEYS && r == 0; i++) {
		const struct option_def *def = &option_table[i];
		if (def->type == OPTION_SECRET)
			continue;
		r = buf_printf(text, "%s=", def->name);
		if (r == 0)
			r = option_format(options, def, text);
		if (r == 0)
			r = buf_add(text, "\n", 1);
	}
	return r;
}
