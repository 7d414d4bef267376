// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Copy and hash in one pass, then seal, so that there is no moment between the two.

#include "program.h"

#include "file.h"

#include <fcntl.h>
#include <limits.h>
#include <sha2.h>
#include <sys/mman.h>
#include <sys/stat.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010u // Linux 6.3: says that execution is meant, for vm.memfd_noexec=1
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020 // Linux 6.3: the x bits stay
#endif

int program_dir_open(const char *path)
{
	char own[PATH_MAX];
	int fd;

	if (path == NULL) {
		ssize_t n = readlink("/proc/self/exe", own, sizeof(own) - 1);
		char *slash;

		if (n < 0)
			return -errno;
		own[n] = '\0';
		slash = strrchr(own, '/');
		if (slash == NULL)
			return -ENOENT;
		slash[1] = '\0';
		path = own;
	}
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int memory_file(const char *name)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	return fd < 0 ? -errno : fd;
}

static int memory_file_seal(int fd)
{
	const int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

	if (fcntl(fd, F_ADD_SEALS, seals | F_SEAL_EXEC) < 0 &&
		(errno != EINVAL || fcntl(fd, F_ADD_SEALS, seals) < 0))
		return -errno;
	return 0;
}

// Copies into TO unless that is -1.
static int copy_and_hash(int from, int to, uint64_t *size, char sha256[65])
{
	char bytes[32 * 1024];
	SHA2_CTX hash;

	SHA256Init(&hash);
	for (;;) {
		ssize_t n = read(from, bytes, sizeof(bytes));
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		*size += (uint64_t)n;
		if (*size > PROGRAM_SIZE_MAX)
			return -EFBIG;
		SHA256Update(&hash, (const uint8_t *)bytes, (size_t)n);
		r = to >= 0 ? file_write(to, bytes, (size_t)n) : 0;
		if (r < 0)
			return r;
	}
	SHA256End(&hash, sha256);
	return 0;
}

int program_hash(int fd, char sha256[65])
{
	uint64_t size = 0;

	return copy_and_hash(fd, -1, &size, sha256);
}

int program_load(struct program *program, int dir_fd, const char *name)
{
	// O_NONBLOCK: a FIFO of that name must not stop us.
	CLEANUP(close_p) int from = openat(dir_fd, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	CLEANUP(close_p) int to = -1;
	struct stat st;
	int r;

	*program = (struct program){.name = name, .fd = -1};
	if (from < 0 || fstat(from, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -ENOEXEC;
	to = memory_file(name);
	if (to < 0)
		return to;
	r = copy_and_hash(from, to, &program->size, program->sha256);
	if (r == 0)
		r = memory_file_seal(to);
	if (r == 0)
		program->fd = take_fd(&to);
	return r;
}

void program_deinit(struct program *program)
{
	close_p(&program->fd);
}
