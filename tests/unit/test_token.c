// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The owner token: which texts and files are taken, and how a new one is made.

#include "token.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sha2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define GOOD "0123456789abcdef" // the shortest

static char folder[64];
static char path[PATH_MAX];

static int setup(void **state)
{
	snprintf(folder, sizeof folder, "/tmp/tunneld-token-XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof path, "%s/owner-token", folder);
	return 0;
}

static int teardown(void **state)
{
	char name[PATH_MAX];
	DIR *dir = opendir(folder);

	for (struct dirent *d; dir != NULL && (d = readdir(dir)) != NULL;) {
		snprintf(name, sizeof name, "%s/%s", folder, d->d_name);
		if (d->d_type == DT_DIR)
			rmdir(name);
		else
			unlink(name);
	}
	closedir(dir);
	return rmdir(folder);
}

static unsigned entries(void)
{
	unsigned n = 0;
	DIR *dir = opendir(folder);

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n - 2;
}

static void write_file(const char *content, size_t n, mode_t mode)
{
	unlink(path);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, n), n);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static size_t read_file(char *out, size_t size)
{
	int fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	ssize_t n = read(fd, out, size);
	assert_true(n >= 0);
	close(fd);
	return (size_t)n;
}

static void assert_hash_of(const struct token *token, const char *text, size_t n)
{
	uint8_t expected[SHA256_DIGEST_LENGTH];
	SHA2_CTX context;

	SHA256Init(&context);
	SHA256Update(&context, (const uint8_t *)text, n);
	SHA256Final(expected, &context);
	assert_memory_equal(token->hash.bytes, expected, sizeof expected);
}

static void test_text_lengths(void **state)
{
	char text[TOKEN_TEXT_MAX * 4];
	static const struct {
		size_t n;
		bool good;
	} lengths[] = {{0, false}, {1, false}, {15, false}, {16, true}, {17, true}, {511, true},
		{512, true}, {513, false}, {2048, false}};

	memset(text, 'x', sizeof text);
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		struct token token = {.created = true};
		const char *why = NULL;
		int r = token_from_text(&token, (struct span){text, lengths[i].n}, &why);
		if (r != !lengths[i].good)
			fail_msg("%zu characters: %d (%s)", lengths[i].n, r, why ? why : "");
		assert_true((why == NULL) == lengths[i].good);
		if (lengths[i].good) {
			assert_hash_of(&token, text, lengths[i].n);
			assert_false(token.created);
		}
	}
}

static void test_text_characters(void **state)
{
	for (int c = 0; c < 256; c++) {
		char text[] = GOOD "x";
		const char *why = NULL;
		bool good = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
			    (c >= 'A' && c <= 'Z') || (c != 0 && strchr("-._~+/=", c) != NULL);
		text[8] = (char)c;
		if (token_text_check((struct span){text, sizeof text - 1}, &why) != !good)
			fail_msg("character %d", c);
	}
}

static void test_file_contents(void **state)
{
	static const struct {
		struct span content;
		size_t token; // its length, 0: refused
	} files[] = {
		{SPAN_INIT(GOOD), 16},
		{SPAN_INIT(GOOD "\n"), 16},
		{SPAN_INIT(GOOD "\r\n"), 16},
		{SPAN_INIT(GOOD "\n\n"), 0},
		{SPAN_INIT(GOOD " \n"), 0},
		{SPAN_INIT(" " GOOD "\n"), 0},
		{SPAN_INIT(GOOD "\nsecond-line-0123456789\n"), 0},
		{SPAN_INIT("0123456789abcde\n"), 0},
		{SPAN_INIT("\n"), 0},
		{SPAN_INIT(""), 0},
		{SPAN_INIT(GOOD "\0\n"), 0},
		{SPAN_INIT("TUNNELD_API_TOKEN=\"" GOOD "\"\n"), 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		struct token token;
		const char *why = NULL;
		write_file(files[i].content.p, files[i].content.n, 0600);
		int r = token_from_file(&token, path, &why);
		if (r != (files[i].token != 0 ? 0 : TOKEN_REFUSED))
			fail_msg("file %zu: %d (%s)", i, r, why ? why : "");
		if (r == 0) {
			assert_hash_of(&token, files[i].content.p, files[i].token);
			assert_false(token.created);
		} else {
			assert_non_null(why);
		}
	}
}

static void test_file_lengths(void **state)
{
	static const size_t lengths[] = {512, 513, 514, 515, 516, 100000};
	char *text = malloc(100001);

	assert_non_null(text);
	memset(text, 'x', 100000);
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		struct token token;
		const char *why = NULL;
		text[lengths[i]] = '\n';
		write_file(text, lengths[i] + 1, 0600);
		assert_int_equal(
			token_from_file(&token, path, &why), lengths[i] <= 512 ? 0 : TOKEN_REFUSED);
		text[lengths[i]] = 'x';
	}
	free(text);
}

static void test_file_modes(void **state)
{
	static const struct {
		mode_t mode;
		bool good;
	} modes[] = {{0600, true}, {0400, true}, {0640, false}, {0620, false}, {0610, false},
		{0604, false}, {0602, false}, {0601, false}, {0644, false}, {0777, false}};

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		struct token token;
		const char *why = "";
		write_file(GOOD "\n", 17, modes[i].mode);
		int r = token_from_file(&token, path, &why);
		if (r != (modes[i].good ? 0 : TOKEN_REFUSED))
			fail_msg("mode %o: %d (%s)", modes[i].mode, r, why);
		if (!modes[i].good)
			assert_non_null(strstr(why, "chmod 600"));
	}
}

static void test_foreign_file(void **state)
{
	struct token token;
	const char *why = "";

	write_file(GOOD "\n", 17, 0600);
	if (chown(path, 12345, (gid_t)-1) != 0) // only root can give files away
		return;
	assert_int_equal(token_from_file(&token, path, &why), TOKEN_REFUSED);
	assert_non_null(strstr(why, "another user"));
}

static void test_not_a_plain_file(void **state)
{
	struct token token;
	const char *why = "";
	char target[PATH_MAX + 8];

	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(token_from_file(&token, path, &why), TOKEN_REFUSED);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(token_from_file(&token, path, &why), TOKEN_REFUSED); // and does not wait
	assert_int_equal(unlink(path), 0);
	// A link to a good file will do, one that leads nowhere is not a place for a new token.
	write_file(GOOD "\n", 17, 0600);
	snprintf(target, sizeof target, "%s.real", path);
	assert_int_equal(rename(path, target), 0);
	assert_int_equal(symlink(target, path), 0);
	assert_int_equal(token_from_file(&token, path, &why), 0);
	assert_hash_of(&token, GOOD, 16);
	assert_int_equal(unlink(target), 0);
	assert_int_equal(token_from_file(&token, path, &why), -ENOENT);
	assert_int_equal(entries(), 1);
}

static void test_new_file(void **state)
{
	struct token token, again;
	const char *why = "";
	char first[128], second[128];
	struct stat st;
	mode_t old = umask(0777);
	int r = token_from_file(&token, path, &why);

	umask(old);
	assert_int_equal(r, 0);
	assert_true(token.created);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_uid, geteuid());
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(entries(), 1);
	size_t n = read_file(first, sizeof first);
	assert_int_equal(n, 4 + 52 + 1); // 256 bits in base32
	assert_memory_equal(first, "tnl_", 4);
	assert_int_equal(first[n - 1], '\n');
	assert_hash_of(&token, first, n - 1);

	assert_int_equal(token_from_file(&again, path, &why), 0);
	assert_false(again.created);
	assert_memory_equal(&again.hash, &token.hash, sizeof token.hash);

	unlink(path);
	assert_int_equal(token_from_file(&again, path, &why), 0);
	assert_true(again.created);
	assert_int_equal(read_file(second, sizeof second), n);
	assert_memory_not_equal(first, second, n);
}

static void test_no_place_for_a_new_file(void **state)
{
	struct token token;
	const char *why = "";
	char deep[2 * PATH_MAX];

	snprintf(deep, sizeof deep, "%s/nowhere/owner-token", folder);
	assert_int_equal(token_from_file(&token, deep, &why), -ENOENT);
	snprintf(deep, sizeof deep, "%s/%0*d", folder, 300, 0);
	assert_int_equal(token_from_file(&token, deep, &why), -ENAMETOOLONG);
	if (geteuid() != 0) { // root may write anywhere
		assert_int_equal(chmod(folder, 0500), 0);
		assert_int_equal(token_from_file(&token, path, &why), -EACCES);
		assert_int_equal(chmod(folder, 0700), 0);
	}
	assert_int_equal(entries(), 0);
}

// Of several that start at once one makes the file, and all have its token.
static void test_race(void **state)
{
	enum { STARTERS = 8 };
	int gate[2], out[2];
	struct token token, first = {0};
	unsigned created = 0;
	char c;

	assert_int_equal(pipe(gate), 0);
	assert_int_equal(pipe(out), 0);
	for (int i = 0; i < STARTERS; i++) {
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			const char *why;
			close(gate[1]);
			if (read(gate[0], &c, 1) != 0 || token_from_file(&token, path, &why) != 0)
				_exit(1);
			_exit(write(out[1], &token, sizeof token) != sizeof token);
		}
	}
	close(gate[0]);
	close(gate[1]);
	close(out[1]);
	for (int i = 0; i < STARTERS; i++) {
		assert_int_equal(read(out[0], &token, sizeof token), sizeof token);
		if (i == 0)
			first = token;
		assert_memory_equal(&token.hash, &first.hash, sizeof token.hash);
		created += token.created;
	}
	close(out[0]);
	for (int i = 0; i < STARTERS; i++) {
		int status = -1;
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	assert_int_equal(created, 1);
	assert_int_equal(entries(), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_lengths),
		cmocka_unit_test(test_text_characters),
		cmocka_unit_test_setup_teardown(test_file_contents, setup, teardown),
		cmocka_unit_test_setup_teardown(test_file_lengths, setup, teardown),
		cmocka_unit_test_setup_teardown(test_file_modes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_foreign_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_a_plain_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_new_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_place_for_a_new_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_race, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
