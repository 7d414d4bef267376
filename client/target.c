// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "target.h"

#include <stdio.h>

enum { TARGET_TEXT_MAX = 1024 };

static bool is_number(struct span text)
{
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] < '0' || text.p[i] > '9')
			return false;
	return text.n > 0;
}

static bool has_scheme(struct span text)
{
	return memmem(text.p, text.n, "://", 3) != NULL;
}

static int parse_unix(struct target *target, struct span path, const char **why)
{
	if (span_starts(path, SPAN("///"))) // unix:///run/app.sock
		path = (struct span){path.p + 2, path.n - 2};
	*why = "unix: wants the path of a socket, at most 107 bytes: unix:/run/app.sock";
	if (path.n == 0 || path.n >= sizeof target->path || memchr(path.p, '\0', path.n) != NULL)
		return 1;
	*target = (struct target){.kind = TARGET_UNIX, .http = true};
	memcpy(target->path, path.p, path.n);
	snprintf(target->text, sizeof target->text, "unix:%s", target->path);
	return 0;
}

// PREFIX and TEXT together are a URL with a scheme.
static int parse_url(struct target *target, const char *prefix, struct span text, const char **why)
{
	char whole[TARGET_TEXT_MAX + sizeof "https://localhost:"];
	struct url url;
	int n = snprintf(whole, sizeof whole, "%s%.*s", prefix, (int)text.n, text.p);
	if (url_parse(&url, (struct span){whole, (size_t)n}, why) != 0)
		return 1;
	*target = (struct target){
		.kind = TARGET_INET,
		.url = url,
		.tls = url.scheme == URL_HTTPS,
		.http = url.scheme != URL_TCP,
	};
	url_format(&url, target->text, sizeof target->text);
	return 0;
}

static int parse_insecure(struct target *target, struct span text, const char **why)
{
	if (span_starts(text, SPAN("//")))
		text = (struct span){text.p + 2, text.n - 2};
	if (parse_url(target, "https://", text, why) != 0)
		return 1;
	target->insecure = true;
	char secure[URL_TEXT_MAX];
	url_format(&target->url, secure, sizeof secure);
	snprintf(target->text, sizeof target->text, "https+insecure%s", secure + strlen("https"));
	return 0;
}

int target_parse(struct target *target, struct span text, const char **why)
{
	*why = "a target is PORT, HOST:PORT, a URL (http, https, tcp) or unix:PATH";
	if (text.n == 0 || text.n > TARGET_TEXT_MAX || memchr(text.p, '\0', text.n) != NULL)
		return 1;
	if (is_number(text))
		return parse_url(target, "http://localhost:", text, why);
	if (span_starts(text, SPAN("unix:")))
		return parse_unix(target, (struct span){text.p + 5, text.n - 5}, why);
	if (span_starts(text, SPAN("https+insecure:")))
		return parse_insecure(target, (struct span){text.p + 15, text.n - 15}, why);
	if (has_scheme(text))
		return parse_url(target, "", text, why);
	if (memchr(text.p, ':', text.n) == NULL)
		return 1; // a bare word: http to its port 80 is not what was meant
	return parse_url(target, "http://", text, why);
}

void target_demo(struct target *target)
{
	*target = (struct target){.kind = TARGET_DEMO, .http = true, .text = "the built-in demo"};
}
