// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Commands about tunnels there are: ls, show, extend, rm.

#include "account.h"
#include "api.h"
#include "clean.h"
#include "handlers.h"
#include "terminal.h"
#include "tunnel_ref.h"
#include "tunnel_text.h"
#include "when.h"

enum { PATH_SIZE = 64 + TUNNEL_ID_SIZE };

// Calls METHOD for the tunnel that REF names, whose id goes into ID once it is known.
static int call_tunnel(const struct settings *settings, const char *method, const char *ref,
	json_t *body, char id[TUNNEL_ID_SIZE], json_t **ret, struct failure *failure)
{
	char path[PATH_SIZE];
	int r = api_find_tunnel(settings, ref, id, failure);

	if (r != 0)
		return r;
	snprintf(path, sizeof path, "/_api/tunnels/%s", id);
	return api_call(settings, &(struct api_call){.method = method, .path = path, .body = body},
		ret, failure);
}

// ---- ls

enum { ID_WIDTH = 28, LEFT_WIDTH = 9, GAP = 2, NAME_LEAST = 16 };

static const char *backend_of(const json_t *tunnel)
{
	return strcmp(api_text(tunnel, "mode"), "pull") == 0 ? "(agent)"
							     : api_text(tunnel, "backend");
}

// Columns of BACKEND: as wide as the widest, if the terminal has room for the rest.
static size_t backend_width(const json_t *list)
{
	size_t width = sizeof "BACKEND" - 1, i, terminal = terminal_width(stdout);
	size_t others = ID_WIDTH + LEFT_WIDTH + NAME_LEAST + 3 * GAP;
	json_t *tunnel;

	json_array_foreach(list, i, tunnel) width =
		MAX(width, clean_width(span_of(backend_of(tunnel))));
	if (terminal > 0)
		width = MIN(width, terminal > others + 20 ? terminal - 1 - others : 20);
	return width;
}

static void print_row(
	const char *id, const char *left, const char *backend, size_t width, const char *name)
{
	size_t terminal = terminal_width(stdout);
	size_t used = ID_WIDTH + LEFT_WIDTH + width + 3 * GAP;
	struct span last = span_of(name);

	clean_print_cell(stdout, span_of(id), MAX(ID_WIDTH, clean_width(span_of(id))));
	fputs("  ", stdout);
	clean_print_cell(stdout, span_of(left), LEFT_WIDTH);
	fputs("  ", stdout);
	if (last.n == 0) {
		clean_print_cell(
			stdout, span_of(backend), MIN(width, clean_width(span_of(backend))));
	} else {
		clean_print_cell(stdout, span_of(backend), width);
		fputs("  ", stdout);
		clean_print_cell(stdout, last,
			terminal > 0 && used < terminal
				? MIN(clean_width(last), terminal - 1 - used)
				: clean_width(last));
	}
	fputc('\n', stdout);
}

static void print_list(const json_t *list)
{
	size_t width = backend_width(list), i;
	char left[TUNNEL_LEFT_SIZE];
	json_t *tunnel;

	if (json_array_size(list) == 0) {
		fputs("no tunnels\n", stderr);
		return;
	}
	fputs(terminal_on(stdout, STYLE_BOLD), stdout);
	print_row("ID", "LEFT", "BACKEND", width, "NAME");
	fputs(terminal_off(stdout, STYLE_BOLD), stdout);
	json_array_foreach(list, i, tunnel)
	{
		tunnel_left(tunnel, left);
		print_row(api_text(tunnel, "id"), left, backend_of(tunnel), width,
			api_text(tunnel, "name"));
	}
}

int ls_run(const struct invocation *invocation, struct failure *failure)
{
	bool all = option_given(invocation, OPTION_ALL);
	struct account account;
	json_t *list = NULL;
	int r = account_open(&account, invocation, failure);

	if (r == 0)
		r = api_list(&account.verified, all ? "/_api/tunnels?state=all" : "/_api/tunnels",
			&list, failure);
	account_close(&account);
	if (r == 0 && option_given(invocation, OPTION_JSON))
		r = tunnel_print_json(stdout, list, 0);
	else if (r == 0)
		print_list(list);
	json_decref(list);
	return r;
}

// ---- one of them

int show_run(const struct invocation *invocation, struct failure *failure)
{
	struct account account;
	char id[TUNNEL_ID_SIZE];
	json_t *tunnel = NULL;
	int r = account_open(&account, invocation, failure);

	if (r == 0)
		r = call_tunnel(&account.verified, "GET", invocation->operands[0], NULL, id,
			&tunnel, failure);
	account_close(&account);
	if (r == 0 && option_given(invocation, OPTION_JSON))
		r = tunnel_print_json(stdout, tunnel, 0);
	else if (r == 0)
		tunnel_print_all(stdout, tunnel);
	json_decref(tunnel);
	return r;
}

static void print_extended(const json_t *tunnel)
{
	char left[TUNNEL_LEFT_SIZE];

	tunnel_left(tunnel, left);
	clean_print(stdout, span_of(api_text(tunnel, "id")));
	fputs(" ends in ", stdout);
	clean_print(stdout, span_of(left));
	fputs(", at ", stdout);
	clean_print(stdout, span_of(api_text(tunnel, "expires_at")));
	fputc('\n', stdout);
}

int extend_run(const struct invocation *invocation, struct failure *failure)
{
	struct account account = {0};
	json_t *tunnel = NULL;
	char id[TUNNEL_ID_SIZE];
	int64_t seconds;
	const char *why;
	int r;

	if (when_away(span_of(invocation->operands[1]), wall_now(), &seconds, &why) != 0)
		return failure_set(
			failure, EXIT_CODE_USAGE, "'%s': %s", invocation->operands[1], why);
	json_t *body = json_pack("{s:I}", "timeout", (json_int_t)seconds);
	r = body != NULL ? account_open(&account, invocation, failure) : -ENOMEM;
	if (r == 0)
		r = call_tunnel(&account.verified, "PATCH", invocation->operands[0], body, id,
			&tunnel, failure);
	account_close(&account);
	if (r == 0 && option_given(invocation, OPTION_JSON))
		r = tunnel_print_json(stdout, tunnel, 0);
	else if (r == 0)
		print_extended(tunnel);
	json_decref(body);
	json_decref(tunnel);
	return r;
}

// ---- rm

// Says itself what went wrong, and with which tunnel.
static int remove_tunnel(const struct settings *settings, const char *ref, bool json)
{
	struct failure failure = {{0}}, named;
	char id[TUNNEL_ID_SIZE] = "";
	json_t *answer = NULL;
	int r = call_tunnel(settings, "DELETE", ref, NULL, id, &answer, &failure);

	json_decref(answer);
	if (r == 0) {
		printf(json ? "{\"id\":\"%s\",\"ok\":true}\n" : "%s is revoked\n", id);
	} else if (r > 0) {
		failure_set(&named, (enum exit_code)r, "%s%s%.900s", id, id[0] != '\0' ? ": " : "",
			failure.text);
		failure_print(&named);
	}
	return r;
}

// Goes on behind a tunnel that cannot be ended; the first failure is that of the command.
int rm_run(const struct invocation *invocation, struct failure *failure)
{
	struct account account;
	int r = account_open(&account, invocation, failure), first = 0;

	for (size_t i = 0; r == 0 && i < invocation->n_operands; i++) {
		int one = remove_tunnel(&account.verified, invocation->operands[i],
			option_given(invocation, OPTION_JSON));
		first = first != 0 ? first : one;
	}
	account_close(&account);
	return r != 0 ? r : first;
}
