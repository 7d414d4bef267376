// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Libraries are what `ld.so --list PROGRAM` says, since only the loader knows where it would find
// them. They are hashed at the start and loaded when a process starts: whoever can change files in
// between can change what runs. On the machines the evidence is for nobody can.

#include "components.h"

#include "hex.h"
#include "wire.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/wait.h>

int components_add(
	struct components *components, const char *name, const char *sha256, const char *filter)
{
	for (size_t i = 0; i < components->n; i++)
		if (strcmp(components->items[i].name, name) == 0)
			return 0;
	if (components->n == COMPONENTS_MAX || strlen(name) > COMPONENT_NAME_MAX)
		return -E2BIG;
	struct component *component = &components->items[components->n++];
	*component = (struct component){.filter = filter};
	snprintf(component->name, sizeof component->name, "%s", name);
	snprintf(component->sha256, sizeof component->sha256, "%s", sha256);
	return 0;
}

int components_add_file(struct components *components, const char *path, const char *name)
{
	CLEANUP(close_p) int fd = open(path, O_RDONLY | O_CLOEXEC);
	char sha256[65];

	if (fd < 0)
		return -errno;
	int r = program_hash(fd, sha256);
	return r == 0 ? components_add(components, name, sha256, NULL) : r;
}

// ---- shared libraries

// The program's interpreter, which is the dynamic loader. Returns 0, 1 when there is none, or
// -ENOEXEC.
static int find_loader(int fd, char path[PATH_MAX])
{
	Elf64_Ehdr head;
	Elf64_Phdr segment;

	if (pread(fd, &head, sizeof head, 0) != sizeof head ||
		memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 || head.e_ident[EI_CLASS] != ELFCLASS64)
		return -ENOEXEC;
	for (unsigned i = 0; i < head.e_phnum; i++) {
		off_t at = (off_t)(head.e_phoff + i * sizeof segment);
		if (pread(fd, &segment, sizeof segment, at) != sizeof segment)
			return -ENOEXEC;
		if (segment.p_type != PT_INTERP)
			continue;
		if (segment.p_filesz == 0 || segment.p_filesz > PATH_MAX)
			return -ENOEXEC;
		if (pread(fd, path, segment.p_filesz, (off_t)segment.p_offset) !=
				(ssize_t)segment.p_filesz ||
			path[segment.p_filesz - 1] != '\0')
			return -ENOEXEC;
		return 0;
	}
	return 1;
}

// A line of the loader's: "\tNAME => PATH (0xADDRESS)", or "\tPATH (0xADDRESS)" for itself.
static int add_line(struct components *components, char *line)
{
	char *path = strstr(line, " => ");
	char *end = strstr(line, " (0x");

	path = path != NULL ? path + 4 : line + strspn(line, "\t ");
	if (end == NULL || end <= path || path[0] != '/')
		return path[0] == '/' || strstr(line, "not found") != NULL ? -ENOENT
									   : 0; // the vdso
	*end = '\0';
	return components_add_file(components, path, strrchr(path, '/') + 1);
}

static int add_lines(struct components *components, int fd)
{
	char *line = NULL;
	size_t size = 0;
	int r = 0;
	FILE *list = fdopen(fd, "r");

	if (list == NULL) {
		r = -errno;
		close(fd);
		return r;
	}
	while (r == 0 && getline(&line, &size, list) > 0)
		r = add_line(components, line);
	free(line);
	fclose(list);
	return r;
}

// What runs in the new process: becomes the loader, on PROGRAM, with its output in OUT.
static void be_loader(const char *loader, int program, int out)
{
	enum { SLOT = 3 };
	char list[] = "--list", path[] = "/proc/self/fd/3";
	char *argv[] = {(char *)(uintptr_t)loader, list, path, NULL}, *environment[] = {NULL};

	if (dup2(out, STDOUT_FILENO) >= 0 && dup2(program, SLOT) >= 0)
		execve(loader, argv, environment);
	_exit(127);
}

int components_add_libraries(struct components *components, const struct program *program)
{
	char loader[PATH_MAX];
	int ends[2], status = 0;

	int r = find_loader(program->fd, loader);
	if (r != 0)
		return MIN(r, 0);
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	pid_t pid = fork();
	if (pid == 0)
		be_loader(loader, program->fd, ends[1]);
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return -EAGAIN;
	}
	r = add_lines(components, ends[0]); // closes it
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return r == 0 && status != 0 ? -ENOEXEC : r;
}

// ---- for the attestor

static struct wire_value digest(uint8_t bytes[32], const char *hex)
{
	if (hex == NULL || hex_decode(bytes, 32, span_of(hex)) < 0)
		return wire_bin("", 0);
	return wire_bin(bytes, 32);
}

size_t components_encode(const struct components *components, uint8_t *out, size_t size)
{
	struct wire_value values[3 * COMPONENTS_MAX];
	uint8_t digests[2 * COMPONENTS_MAX][32];

	for (size_t i = 0; i < components->n; i++) {
		const struct component *component = &components->items[i];
		values[3 * i] = wire_str(span_of(component->name));
		values[3 * i + 1] = digest(digests[2 * i], component->sha256);
		values[3 * i + 2] = digest(digests[2 * i + 1], component->filter);
	}
	return wire_encode(out, size, values, 3 * components->n);
}
