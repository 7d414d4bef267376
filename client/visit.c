// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "visit.h"

#include "file.h"
#include "server.h"

#include <fcntl.h>
#include <stdio.h>

static bool is_visible(struct span text)
{
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] <= ' ' || text.p[i] >= 0x7f)
			return false;
	return true;
}

// Takes what stands behind the first of MARKS off TEXT, the mark included.
static struct span split(struct span *text, const char *marks)
{
	for (size_t i = 0; i < text->n; i++)
		if (strchr(marks, text->p[i]) != NULL) {
			struct span rest = {text->p + i, text->n - i};
			text->n = i;
			return rest;
		}
	return (struct span){NULL, 0};
}

int visit_parse(struct visit *visit, struct span text, const char **why)
{
	struct visit found = {0};
	struct span secret = split(&text, "#"), scheme = text;
	*why = "a tunnel's URL is http(s)://host[:port][/path][#secret]";
	if (!is_visible(text) || !is_visible(secret) || memchr(text.p, '?', text.n) != NULL)
		return 1;
	struct span rest = split(&scheme, ":");
	if (!span_starts(rest, SPAN("://")))
		return 1;
	rest = (struct span){rest.p + 3, rest.n - 3};
	struct span path = split(&rest, "/");
	struct span server = {text.p, text.n - path.n};
	if (server_parse(&found.server, server, why) != 0)
		return 1;
	bool slash = path.n > 0 && path.p[path.n - 1] == '/';
	*why = "the URL or its secret is too long";
	if (path.n + 1 > VISIT_PATH_MAX || secret.n > VISIT_SECRET_MAX)
		return 1;
	snprintf(found.path, sizeof found.path, "%.*s%s", (int)path.n, path.p, slash ? "" : "/");
	if (secret.n > 1)
		memcpy(found.secret, secret.p + 1, secret.n - 1);
	*visit = found;
	return 0;
}

// The first line of FILE. Returns 0 or a negative errno, -EFBIG when OUT has no room for it.
static int read_line(const char *file, char *out, size_t size)
{
	CLEANUP(close_p)
	int fd = strcmp(file, "-") == 0 ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
					: open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return -errno;
	ssize_t n = file_read(fd, out, size - 1);
	if (n < 0)
		return (int)n;
	out[n] = '\0';
	size_t length = strcspn(out, "\r\n");
	if (length == size - 1)
		return -EFBIG;
	out[length] = '\0';
	return 0;
}

int visit_find_secret(struct visit *visit, const char *file, struct failure *failure)
{
	char *variable = getenv("TUNNEL_SECRET");
	int r = 0; // length of the variable, or an error of the file
	if (file != NULL) {
		r = read_line(file, visit->secret, sizeof visit->secret);
		if (r < 0)
			return failure_set(failure, EXIT_CODE_USAGE,
				"--secret-file: %s cannot be read: %s", file, strerror(-r));
	} else if (visit->secret[0] == '\0' && variable != NULL) {
		r = snprintf(visit->secret, sizeof visit->secret, "%s", variable);
	}
	if (variable != NULL) {
		explicit_bzero(variable, strlen(variable));
		unsetenv("TUNNEL_SECRET");
	}
	if (r >= VISIT_SECRET_MAX || !is_visible(span_of(visit->secret)))
		return failure_set(failure, EXIT_CODE_USAGE, "the secret is not one of a tunnel");
	return 0;
}

void visit_wipe(struct visit *visit)
{
	explicit_bzero(visit, sizeof *visit);
}
