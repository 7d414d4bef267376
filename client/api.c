// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Calls of the API. What comes back is parsed as JSON within a cap, and believed in nothing.

#include "api.h"

#include "code.h"

#include <stdio.h>

enum { LIST_MAX = 64 * 1024 * 1024, PAGES_MAX = 1000, LINK_MAX = 1024 };

// What a call leaves besides its document.
struct page {
	char next[LINK_MAX]; // path of the page behind it, or ""
	uint32_t room;       // bytes that may still come
};

const char *api_text(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text != NULL ? text : "";
}

// ---- refusals

static const struct {
	enum code code;
	enum exit_code exit;
} exits[] = {
	{CODE_TUNNEL_UNKNOWN, EXIT_CODE_NO_TUNNEL},
	{CODE_TUNNEL_OVER, EXIT_CODE_NO_TUNNEL},
	{CODE_QUOTA_REACHED, EXIT_CODE_QUOTA},
	{CODE_RATE_LIMITED, EXIT_CODE_QUOTA},
	{CODE_TOO_MANY_CONNECTIONS, EXIT_CODE_QUOTA},
	{CODE_DRAINING, EXIT_CODE_UNREACHABLE},
	{CODE_INTERNAL, EXIT_CODE_OTHER},
};

enum exit_code api_exit_code(const char *code, unsigned status)
{
	for (size_t i = 0; i < ARRAY_SIZE(exits); i++)
		if (strcmp(code_info(exits[i].code)->name, code) == 0)
			return exits[i].exit;
	return status / 100 == 4 ? EXIT_CODE_REFUSED : EXIT_CODE_UNREACHABLE;
}

// "/timeout: must be ..." for each of the errors, as long as there is room.
static void name_errors(const json_t *errors, char *out, size_t size)
{
	static const char *const places[] = {"pointer", "parameter", "header"};
	size_t used = 0, i;
	json_t *error;

	json_array_foreach(errors, i, error)
	{
		const char *place = "";
		for (size_t k = 0; place[0] == '\0' && k < ARRAY_SIZE(places); k++)
			place = api_text(error, places[k]);
		int n = snprintf(out + used, size - used, "%s%s%s%s", used > 0 ? " " : "", place,
			place[0] != '\0' ? ": " : "", api_text(error, "detail"));
		used += (size_t)MAX(n, 0);
		if (used >= size)
			break;
	}
}

int api_refusal(
	const struct settings *settings, unsigned status, struct span body, struct failure *failure)
{
	json_t *problem = json_loadb(body.p != NULL ? body.p : "", body.n, 0, NULL);
	const char *code = api_text(problem, "code"), *detail = api_text(problem, "detail");
	char errors[FAILURE_TEXT_MAX] = "";
	int r;

	name_errors(json_object_get(problem, "errors"), errors, sizeof errors);
	if (code[0] == '\0')
		r = failure_set(failure, api_exit_code("", status),
			"what answers at %s is not the API of tunneld: status %u",
			settings->server.host, status);
	else if (strcmp(code, code_info(CODE_TOKEN_INVALID)->name) == 0)
		r = failure_set(failure, EXIT_CODE_REFUSED,
			settings->token != NULL
				? "%s does not accept the token: it is wrong, or its life is over"
				: "%s wants a token: run 'tunnel login'",
			settings->server.host);
	else
		r = failure_set(failure, api_exit_code(code, status), "the server says: %s",
			errors[0] != '\0' ? errors : detail);
	json_decref(problem);
	return r;
}

// ---- calls

// The next page's path of a Link field: <...>; rel="next". Whatever is not a path of the same
// server ends the list.
static void next_page(const struct answer *answer, char next[LINK_MAX])
{
	struct span link = http_head_named(&answer->head, SPAN("Link"));
	const char *end = link.n > 0 ? memchr(link.p, '>', link.n) : NULL;

	next[0] = '\0';
	if (end == NULL || link.p[0] != '<' || link.p[1] != '/' || link.p[2] == '/' ||
		memmem(end, (size_t)(link.p + link.n - end), "rel=\"next\"", 10) == NULL ||
		end - link.p - 1 >= LINK_MAX)
		return;
	for (const char *p = link.p + 1; p < end; p++)
		if (*p <= ' ' || *p > '~')
			return;
	snprintf(next, LINK_MAX, "%.*s", (int)(end - link.p - 1), link.p + 1);
}

static int take_answer(const struct settings *settings, struct http *http, struct page *page,
	json_t **ret, struct failure *failure)
{
	unsigned status = http->answer.head.status;
	json_error_t error;
	struct buf body;
	int r;

	buf_init(&body, page->room);
	r = http_body_all(http, &body, failure);
	page->room -= (uint32_t)buf_len(&body);
	if (r == 0 && status / 100 == 2) {
		struct span text = buf_span(&body);
		*ret = json_loadb(text.n > 0 ? text.p : "", text.n, JSON_REJECT_DUPLICATES, &error);
		if (*ret == NULL)
			r = failure_set(failure, EXIT_CODE_UNREACHABLE,
				"what answers at %s is not the API of tunneld: no JSON",
				settings->server.host);
	} else if (r == 0) {
		r = api_refusal(settings, status, buf_span(&body), failure);
	}
	buf_wipe(&body); // there may be a secret in it
	return r;
}

static int call_once(const struct settings *settings, const struct api_call *call, struct span body,
	struct page *page, json_t **ret, struct failure *failure)
{
	const struct http_request request = {
		.method = call->method,
		.path = call->path,
		.token = settings->token,
		.fields = call->fields,
		.body = body,
	};
	struct http http;
	int r = http_begin(&http, &settings->route, &request,
		instant_add_ms(instant_now(), API_SECONDS * 1000), failure);

	if (r != 0)
		return r;
	next_page(&http.answer, page->next);
	r = take_answer(settings, &http, page, ret, failure);
	http_end(&http);
	return r;
}

int api_call(const struct settings *settings, const struct api_call *call, json_t **ret,
	struct failure *failure)
{
	char *text = call->body != NULL ? json_dumps(call->body, JSON_COMPACT) : NULL;
	struct page page = {.room = API_ANSWER_MAX};
	int r;

	if (call->body != NULL && text == NULL)
		return -ENOMEM;
	r = call_once(settings, call, span_of(text), &page, ret, failure);
	free(text);
	return r;
}

int api_list(
	const struct settings *settings, const char *path, json_t **ret, struct failure *failure)
{
	struct page page = {.room = LIST_MAX};
	char now[LINK_MAX];
	json_t *all = json_array(), *part;
	int r = all != NULL ? 0 : -ENOMEM;

	snprintf(page.next, sizeof page.next, "%s", path);
	for (unsigned i = 0; r == 0 && page.next[0] != '\0' && i < PAGES_MAX; i++) {
		const struct api_call call = {.path = memcpy(now, page.next, sizeof now)};
		r = call_once(settings, &call, (struct span){0}, &page, &part, failure);
		if (r != 0)
			break;
		if (!json_is_array(part))
			r = failure_set(failure, EXIT_CODE_UNREACHABLE,
				"what answers at %s is not the API of tunneld: no list",
				settings->server.host);
		else if (json_array_size(part) == 0)
			page.next[0] = '\0';
		else if (json_array_extend(all, part) != 0)
			r = -ENOMEM;
		json_decref(part);
	}
	if (r != 0)
		json_decref(all);
	else
		*ret = all;
	return r;
}

// ---- tunnels by what people call them

// Whether one of the addresses of TUNNEL is what REF begins with.
static bool leads_to(const json_t *tunnel, const char *ref)
{
	json_t *urls = json_object_get(tunnel, "urls"), *url;
	size_t i;

	json_array_foreach(urls, i, url)
	{
		const char *text = json_string_value(url);
		size_t n = text != NULL ? strlen(text) : 0;
		n -= n > 0 && text[n - 1] == '/';
		if (n > 0 && strncmp(ref, text, n) == 0 && strchr("/?#", ref[n]) != NULL)
			return true;
	}
	return false;
}

static int find_by_url(const struct settings *settings, const char *ref, char id[TUNNEL_ID_SIZE],
	struct failure *failure)
{
	json_t *list, *tunnel;
	size_t i;
	int r = api_list(settings, "/_api/tunnels?state=all", &list, failure);

	if (r != 0)
		return r;
	r = failure_set(failure, EXIT_CODE_NO_TUNNEL, "no tunnel of yours has the address %.*s",
		(int)strcspn(ref, "#"), ref); // behind it is the secret
	json_array_foreach(list, i, tunnel)
	{
		struct span found = span_of(api_text(tunnel, "id"));
		if (r != 0 && leads_to(tunnel, ref) && tunnel_id_ok(found)) {
			snprintf(id, TUNNEL_ID_SIZE, "%s", found.p);
			r = 0;
		}
	}
	json_decref(list);
	return r;
}

int api_find_tunnel(const struct settings *settings, const char *ref, char id[TUNNEL_ID_SIZE],
	struct failure *failure)
{
	struct span found = tunnel_ref_id(span_of(ref));

	if (found.n > 0) {
		snprintf(id, TUNNEL_ID_SIZE, "%.*s", (int)found.n, found.p);
		return 0;
	}
	if (tunnel_ref_is_url(span_of(ref)))
		return find_by_url(settings, ref, id, failure);
	return failure_set(failure, EXIT_CODE_USAGE,
		"'%s' is neither the id nor the URL of a tunnel: 'tunnel ls' lists them", ref);
}
