// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Runs a fuzz target on stored inputs, so that every corpus is an ordinary test and no compiler
// with a fuzzer is needed for it. Arguments are files, or folders whose files are taken.

#include "check.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static unsigned replayed;

static int failed(const char *path)
{
	fprintf(stderr, "%s: %s\n", path, strerror(errno));
	return -1;
}

// The input is a heap block of exactly its size, for a sanitizer or valgrind to guard.
static int replay_open_file(FILE *file, const char *path, size_t size)
{
	uint8_t *data = malloc(size > 0 ? size : 1);
	int r = 0;

	if (data == NULL || fread(data, 1, size, file) != size)
		r = failed(path);
	else
		LLVMFuzzerTestOneInput(data, size);
	free(data);
	return r;
}

static int replay_file(const char *path, size_t size)
{
	FILE *file = fopen(path, "rbe");

	if (file == NULL)
		return failed(path);
	// Named first: when the target aborts, this line tells on what.
	printf("%s\n", path);
	fflush(stdout);
	int r = replay_open_file(file, path, size);
	fclose(file);
	replayed++;
	return r;
}

static int replay(const char *path);

static int replay_entry(const char *folder, const char *name)
{
	char *path;

	if (asprintf(&path, "%s/%s", folder, name) < 0)
		return failed(folder);
	int r = replay(path);
	free(path);
	return r;
}

static int replay_folder(const char *path)
{
	struct dirent **entries;
	int n = scandir(path, &entries, NULL, alphasort);
	int r = 0;

	if (n < 0)
		return failed(path);
	for (int i = 0; i < n; i++) {
		if (r == 0 && entries[i]->d_name[0] != '.')
			r = replay_entry(path, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return r;
}

static int replay(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return failed(path);
	return S_ISDIR(st.st_mode) ? replay_folder(path) : replay_file(path, (size_t)st.st_size);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (replay(argv[i]) != 0)
			return 1;
	if (replayed == 0) {
		fprintf(stderr, "nothing to replay\n");
		return 1;
	}
	printf("%u inputs replayed\n", replayed);
	return 0;
}
