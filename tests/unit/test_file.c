// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Whole files in pieces: through a pipe smaller than what goes through it.

#include "file.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { SIZE = 300 * 1000 };

static char sent[SIZE], received[SIZE + 1];
static int ends[2];

static void *write_it(void *ret)
{
	*(int *)ret = file_write(ends[1], sent, SIZE);
	close(ends[1]);
	return NULL;
}

static void test_more_than_a_pipe_holds(void **state)
{
	pthread_t writer;
	int r = -1;

	for (size_t i = 0; i < SIZE; i++)
		sent[i] = (char)(i * 7 >> 3);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(pthread_create(&writer, NULL, write_it, &r), 0);
	assert_int_equal(file_read(ends[0], received, 1000), 1000);
	assert_int_equal(file_read(ends[0], received + 1000, SIZE), SIZE - 1000);
	assert_int_equal(file_read(ends[0], received, 1), 0);
	pthread_join(writer, NULL);
	assert_int_equal(r, 0);
	assert_memory_equal(sent, received, SIZE);
	close(ends[0]);
}

static void test_errors(void **state)
{
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	assert_int_equal(file_write(full, sent, 1), -ENOSPC);
	assert_int_equal(file_write(full, sent, 0), 0);
	assert_int_equal(file_read(full, received, 1), -EBADF);
	close(full);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_more_than_a_pipe_holds),
		cmocka_unit_test(test_errors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
