// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// A new token is written to a file beside the final one and linked to its name when it is on disk,
// so that a crash never leaves half a token, and of two that start at once both end up with the
// same one.

#include "token.h"

#include "file.h"
#include "hex.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#define PREFIX "tnl_"

enum {
	RANDOM_BYTES = 32,
	NEW_TEXT_SIZE = sizeof PREFIX - 1 + BASE32_SIZE(RANDOM_BYTES), // with the NUL
};

int token_from_text(struct token *token, struct span text, const char **why)
{
	if (token_text_check(text, why) != 0)
		return 1;
	*token = (struct token){0};
	secret_hash_make(&token->hash, text);
	return 0;
}

// What is wrong with a file that holds a secret, or NULL.
static const char *file_complaint(const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return "is not a regular file";
	if (st->st_uid != geteuid() && st->st_uid != 0)
		return "belongs to another user: it must be owned by the one tunneld runs as, or root";
	if ((st->st_mode & (S_IRWXG | S_IRWXO)) != 0)
		return "is open to group or others: chmod 600 it";
	return NULL;
}

static int token_read(struct token *token, const char *path, const char **why)
{
	char text[TOKEN_TEXT_MAX + 3]; // one too many, and CR LF
	struct stat st;
	int r;

	// Never wait for the other end of a FIFO.
	CLEANUP(close_p) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	*why = file_complaint(&st);
	if (*why != NULL)
		return TOKEN_REFUSED;
	ssize_t n = file_read(fd, text, sizeof text);
	r = (int)MIN(n, 0);
	if (r == 0) {
		if (n > 0 && text[n - 1] == '\n')
			n--;
		if (n > 0 && text[n - 1] == '\r')
			n--;
		r = token_from_text(token, (struct span){text, (size_t)n}, why) != 0 ? TOKEN_REFUSED
										     : 0;
	}
	explicit_bzero(text, sizeof text);
	return r;
}

// Makes the entries of PATH's folder durable.
static int sync_folder(const char *path)
{
	char copy[PATH_MAX];

	if ((size_t)snprintf(copy, sizeof copy, "%s", path) >= sizeof copy)
		return -ENAMETOOLONG;
	CLEANUP(close_p) int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		return -errno;
	return 0;
}

static int write_new(const char *path, const char *text, size_t n)
{
	int r;

	if (unlink(path) < 0 && errno != ENOENT) // of a start that was cut short
		return -errno;
	CLEANUP(close_p)
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	if (fchmod(fd, 0600) < 0) // whatever the umask
		return -errno;
	r = file_write(fd, text, n);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	return r;
}

// Makes the file PATH with a new token. -EEXIST when somebody else just did.
static int token_create(const char *path)
{
	char new_path[PATH_MAX];
	uint8_t random[RANDOM_BYTES];
	char text[NEW_TEXT_SIZE] = PREFIX;
	int r;

	if ((size_t)snprintf(new_path, sizeof new_path, "%s.%d", path, getpid()) >= sizeof new_path)
		return -ENAMETOOLONG;
	if (getentropy(random, sizeof random) < 0)
		return -errno;
	base32_encode(text + sizeof PREFIX - 1, random, sizeof random);
	text[sizeof text - 1] = '\n';
	r = write_new(new_path, text, sizeof text);
	explicit_bzero(random, sizeof random);
	explicit_bzero(text, sizeof text);
	if (r == 0 && link(new_path, path) < 0)
		r = -errno;
	unlink(new_path);
	return r != 0 ? r : sync_folder(path);
}

int token_from_file(struct token *token, const char *path, const char **why)
{
	int r = token_read(token, path, why);
	if (r != -ENOENT)
		return r;
	int created = token_create(path);
	if (created != 0 && created != -EEXIST)
		return created;
	r = token_read(token, path, why);
	if (r == 0)
		token->created = created == 0;
	return r;
}
