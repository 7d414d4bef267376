// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Reading and writing of the configuration file.

#include "config_file.h"

#include "file.h"
#include "token_text.h"
#include "utf8.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

// ---- keys

static const struct config_key {
	struct span name;
	size_t offset;
} keys[] = {
	{SPAN_INIT("server"), offsetof(struct config, server)},
	{SPAN_INIT("token"), offsetof(struct config, token)},
	{SPAN_INIT("ca"), offsetof(struct config, ca)},
	{SPAN_INIT("attest"), offsetof(struct config, attest)},
	{SPAN_INIT("policy"), offsetof(struct config, policy)},
	{SPAN_INIT("collateral"), offsetof(struct config, collateral)},
};

static char **member(const struct config *config, const struct config_key *key)
{
	return (char **)(uintptr_t)((const char *)config + key->offset);
}

void config_deinit(struct config *config)
{
	if (config->token != NULL)
		explicit_bzero(config->token, strlen(config->token));
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		free(*member(config, &keys[i]));
	*config = (struct config){0};
}

// ---- text

static const struct config_key *find_key(struct span name)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (span_eq(keys[i].name, name))
			return &keys[i];
	return NULL;
}

static bool is_mode(struct span value)
{
	return span_eq(value, SPAN("require")) || span_eq(value, SPAN("warn")) ||
	       span_eq(value, SPAN("off"));
}

static int parse_line(struct config *config, struct span line, const char **why)
{
	const char *equals = memchr(line.p, '=', line.n);
	const struct config_key *key;
	struct span value;

	if (equals == NULL) {
		*why = "write key = value";
		return 1;
	}
	key = find_key(span_trim((struct span){line.p, (size_t)(equals - line.p)}, " \t"));
	value = span_trim((struct span){equals + 1, (size_t)(line.p + line.n - equals - 1)}, " \t");
	if (key == NULL)
		*why = "there is no such key: there are server, token, ca, attest, policy and collateral";
	else if (*member(config, key) != NULL)
		*why = "this key was there before";
	else if (value.n == 0 || !utf8_plain(value))
		*why = "the value is empty or has characters that do not belong there";
	else if (member(config, key) == &config->token && token_text_check(value, why) != 0)
		return 1;
	else if (member(config, key) == &config->attest && !is_mode(value))
		*why = "attest is require, warn or off";
	else
		*why = NULL;
	if (*why != NULL)
		return 1;
	*member(config, key) = strndup(value.p, value.n);
	return *member(config, key) != NULL ? 0 : -ENOMEM;
}

int config_parse(struct config *config, struct span text, unsigned *line, const char **why)
{
	struct config parsed = {0};
	int r = 0;

	for (*line = 1; r == 0 && text.n > 0; ++*line) {
		const char *end = memchr(text.p, '\n', text.n);
		struct span one = {text.p, end != NULL ? (size_t)(end - text.p) : text.n};
		text.n -= one.n + (end != NULL);
		text.p += one.n + (end != NULL);
		one = span_trim(one, " \t");
		if (one.n > 0 && one.p[0] != '#')
			r = parse_line(&parsed, one, why);
	}
	if (r != 0) {
		--*line;
		config_deinit(&parsed);
	}
	*config = parsed;
	return r;
}

// ---- place

int config_path(char path[CONFIG_PATH_MAX], struct failure *failure)
{
	const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	int n;

	// Relative paths are to be ignored, says the XDG Base Directory Specification.
	if (xdg != NULL && xdg[0] == '/')
		n = snprintf(path, CONFIG_PATH_MAX, "%s/tunnel/config", xdg);
	else if (home != NULL && home[0] == '/')
		n = snprintf(path, CONFIG_PATH_MAX, "%s/.config/tunnel/config", home);
	else
		return failure_set(failure, EXIT_CODE_USAGE,
			"neither XDG_CONFIG_HOME nor HOME says where the configuration file is");
	if (n >= CONFIG_PATH_MAX)
		return failure_set(failure, EXIT_CODE_USAGE, "XDG_CONFIG_HOME or HOME is too long");
	return 0;
}

// ---- reading

static int check_file(const struct stat *st, const char *path, struct failure *failure)
{
	if (!S_ISREG(st->st_mode))
		return failure_set(failure, EXIT_CODE_USAGE, "%s is not a regular file", path);
	if (st->st_uid != geteuid())
		return failure_set(failure, EXIT_CODE_USAGE,
			"%s belongs to another user (%u): remove it, then 'tunnel login'", path,
			st->st_uid);
	if ((st->st_mode & (S_IRWXG | S_IRWXO)) != 0)
		return failure_set(failure, EXIT_CODE_USAGE,
			"%s is open to other users: chmod 600 '%s'", path, path);
	return 0;
}

// In one allocation, so that wiping TEXT leaves no copy of the token.
static int read_text(int fd, struct buf *text)
{
	char *room = buf_room(text, CONFIG_FILE_MAX + 1);
	ssize_t n = room != NULL ? file_read(fd, room, CONFIG_FILE_MAX + 1) : -errno;

	if (n < 0)
		return (int)n;
	buf_added(text, (size_t)n);
	return n <= CONFIG_FILE_MAX ? 0 : -EFBIG;
}

static int parse_text(
	struct config *config, struct span text, const char *path, struct failure *failure)
{
	const char *why = NULL;
	unsigned line;
	int r = config_parse(config, text, &line, &why);

	return r > 0 ? failure_set(failure, EXIT_CODE_USAGE, "%s:%u: %s", path, line, why) : r;
}

int config_read(struct config *config, struct failure *failure)
{
	char path[CONFIG_PATH_MAX];
	struct stat st;
	int r;
	CLEANUP(buf_wipe) struct buf text;

	*config = (struct config){0};
	buf_init(&text, CONFIG_FILE_MAX + 1);
	if (config_path(path, failure) != 0)
		return 0; // no home, no file
	CLEANUP(close_p) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return failure_set(
			failure, EXIT_CODE_USAGE, "%s cannot be read: %s", path, strerror(errno));
	r = check_file(&st, path, failure);
	if (r != 0)
		return r;
	r = read_text(fd, &text);
	if (r < 0)
		return failure_set(failure, EXIT_CODE_USAGE, "%s cannot be read: %s", path,
			r == -EFBIG ? "it has more than 16 KiB" : strerror(-r));
	return parse_text(config, buf_span(&text), path, failure);
}

// ---- writing

// Makes the folders of PATH that are not there, for the user alone.
static int make_folders(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		int r = mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
		*slash = '/';
		if (r < 0)
			return r;
	}
	return 0;
}

static int write_text(const char *path, struct span text)
{
	CLEANUP(close_p)
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int r = fd >= 0 ? file_write(fd, text.p, text.n) : -errno;

	return r == 0 && (fchmod(fd, 0600) < 0 || fsync(fd) < 0) ? -errno : r;
}

// Through a file beside it, so that a reader sees the old one or the new one.
static int replace(char *path, struct span text)
{
	char fresh[CONFIG_PATH_MAX + 16];
	int r = make_folders(path);

	if (r < 0)
		return r;
	snprintf(fresh, sizeof fresh, "%s.%d", path, getpid());
	if (unlink(fresh) < 0 && errno != ENOENT) // of one that was cut short
		return -errno;
	r = write_text(fresh, text);
	if (r == 0 && rename(fresh, path) < 0)
		r = -errno;
	if (r < 0)
		unlink(fresh);
	return r;
}

int config_write(const struct config *config, struct failure *failure)
{
	char path[CONFIG_PATH_MAX];
	int r = config_path(path, failure);
	CLEANUP(buf_wipe) struct buf text;

	buf_init(&text, CONFIG_FILE_MAX);
	if (r != 0)
		return r;
	// One allocation, so that no copy of the token is left behind.
	if (buf_room(&text, CONFIG_FILE_MAX) == NULL)
		return -errno;
	r = buf_printf(&text, "# Written by 'tunnel login'; tunnel(1) explains the keys.\n");
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(keys); i++)
		if (*member(config, &keys[i]) != NULL)
			r = buf_printf(
				&text, "%s = %s\n", keys[i].name.p, *member(config, &keys[i]));
	if (r == 0)
		r = replace(path, buf_span(&text));
	if (r < 0)
		return failure_set(
			failure, EXIT_CODE_OTHER, "%s cannot be written: %s", path, strerror(-r));
	return 0;
}
