// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Linked into a role, this can refuse it memory: the linker leads each call of the allocator here
// (--wrap). A page shared with the test, on a descriptor of its own, says which call is to fail and
// tells how many there were. Without that descriptor it does nothing.

#include "util.h"

#include <sys/mman.h>

enum { FAULTS_FD = 7 };

struct faults {
	uint64_t armed; // calls count and may fail
	uint64_t at;    // the one that fails
	uint64_t stays; // and all behind it
	uint64_t calls, hits;
	int64_t blocks; // allocated and not freed, of the whole life
};

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_reallocarray(void *p, size_t n, size_t size);
char *__real_strdup(const char *s);
void __real_free(void *p);

void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
char *__wrap_strdup(const char *s);
void __wrap_free(void *p);

static struct faults nobody, *faults = &nobody;

__attribute__((constructor)) static void faults_map(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, FAULTS_FD, 0);
	if (page != MAP_FAILED)
		faults = page;
}

static bool refused(void)
{
	if (!faults->armed)
		return false;
	uint64_t call = ++faults->calls;
	bool hit = faults->stays ? call >= faults->at : call == faults->at;
	faults->hits += hit;
	if (hit)
		errno = ENOMEM;
	return hit;
}

static void *counted(void *p)
{
	faults->blocks += p != NULL;
	return p;
}

void *__wrap_malloc(size_t n)
{
	return refused() ? NULL : counted(__real_malloc(n));
}

void *__wrap_calloc(size_t n, size_t size)
{
	return refused() ? NULL : counted(__real_calloc(n, size));
}

void *__wrap_realloc(void *p, size_t n)
{
	if (refused())
		return NULL;
	return p == NULL ? counted(__real_realloc(p, n)) : __real_realloc(p, n);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
	if (refused())
		return NULL;
	return p == NULL ? counted(__real_reallocarray(p, n, size))
			 : __real_reallocarray(p, n, size);
}

char *__wrap_strdup(const char *s)
{
	return refused() ? NULL : counted(__real_strdup(s));
}

void __wrap_free(void *p)
{
	faults->blocks -= p != NULL;
	__real_free(p);
}
