// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "collateral_url.h"

#include "supervisor.h"

bool collateral_is_url(const char *text)
{
	return strstr(text, "://") != NULL;
}

static const char *check_path(const char *path)
{
	if (strlen(path) > COLLATERAL_PATH_MAX)
		return "the path is longer than 1024 bytes";
	for (const char *p = path; *p != '\0'; p++)
		if (*p <= ' ' || *p > '~' || *p == '#')
			return "write other characters of the path as %XX";
	return NULL;
}

int collateral_url_read(struct collateral_url *source, const char *text, const char **why)
{
	const char *host = strstr(text, "://") + 3;
	const char *path = host + strcspn(host, "/?#");

	if (url_parse(&source->url, (struct span){text, (size_t)(path - text)}, why) != 0)
		return 1;
	*why = check_path(path);
	if (source->url.scheme != URL_HTTP)
		*why = "write http://: all of it is signed by Intel, and nothing of it is secret";
	else if (path[0] != '/')
		*why = "write the path of the collateral, beginning with /";
	if (*why != NULL)
		return 1;
	source->path = path;
	return 0;
}

static void tell_failed(struct collateral_url *source, const char *why)
{
	struct process *attestor = &source->supervisor->attest.child.process;

	process_log(attestor, LOG_WARNING, "collateral: no connection to %s: %s", source->url.host,
		why);
	ipc_send(&attestor->control, MSG_COLLATERAL_FAILED, -1, NULL, 0);
}

// Another address each time.
static void dial(struct collateral_url *source)
{
	char server[URL_TEXT_MAX];
	CLEANUP(close_p) int fd = -1;
	unsigned attempt = source->attempt++ % dial_attempts(&source->target);

	if (dial_open(&source->target, &source->supervisor->policy, attempt, &fd) != 0) {
		tell_failed(source, "it is refused");
		return;
	}
	url_format(&source->url, server, sizeof server);
	ipc_post(&source->supervisor->attest.child.process.control, MSG_COLLATERAL, fd,
		wire_str(span_of(strstr(server, "//") + 2)), wire_str(span_of(source->path)));
}

static void resolved(
	struct resolve *resolve, const struct in6_addr *addresses, size_t n, const char *why)
{
	struct collateral_url *source = container_of(resolve, struct collateral_url, resolve);

	source->target.port = source->url.port;
	source->target.owner = true;
	if (n > 0 && dial_target_pin(
			     &source->target, &source->supervisor->policy, addresses, n, &why) > 0)
		dial(source);
	else
		tell_failed(source, why);
}

void collateral_url_connect(struct collateral_url *source)
{
	collateral_url_cancel(source);
	if (source->url.host_kind != URL_NAME) {
		resolved(&source->resolve, &source->url.address, 1, "");
		return;
	}
	source->resolve.done = resolved;
	int r = resolve_start(&source->supervisor->resolver, &source->resolve, source->url.host);
	if (r < 0)
		tell_failed(source, strerror(-r));
}

void collateral_url_cancel(struct collateral_url *source)
{
	resolve_cancel(&source->resolve);
}
