// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// User ids of relays: no two at once, used again late, and the checks of the range at start.

#include "uids.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { BASE = 50000, N = 70, FIRST = BASE + UID_RELAYS };

static void test_all_once(void **state)
{
	struct uids uids;
	bool seen[N] = {0};
	uid_t uid;

	assert_int_equal(uids_init(&uids, BASE, N), 0);
	for (unsigned i = 0; i < N; i++) {
		assert_int_equal(uids_take(&uids, &uid), 0);
		assert_in_range(uid, FIRST, FIRST + N - 1);
		assert_false(seen[uid - FIRST]);
		seen[uid - FIRST] = true;
	}
	uid = 1;
	assert_int_equal(uids_take(&uids, &uid), UIDS_NONE);
	assert_int_equal(uid, 1);
	uids_give(&uids, FIRST + 5);
	uids_give(&uids, FIRST + 69);
	assert_int_equal(uids_take(&uids, &uid), 0);
	assert_int_equal(uid, FIRST + 5);
	assert_int_equal(uids_take(&uids, &uid), 0);
	assert_int_equal(uid, FIRST + 69);
	assert_int_equal(uids_take(&uids, &uid), UIDS_NONE);
	uids_deinit(&uids);
}

// A number just given back is the last to be used again.
static void test_used_late(void **state)
{
	struct uids uids;
	uid_t first, uid;

	assert_int_equal(uids_init(&uids, BASE, N), 0);
	assert_int_equal(uids_take(&uids, &first), 0);
	uids_give(&uids, first);
	for (unsigned i = 1; i < N; i++) {
		assert_int_equal(uids_take(&uids, &uid), 0);
		assert_int_not_equal(uid, first);
	}
	assert_int_equal(uids_take(&uids, &uid), 0);
	assert_int_equal(uid, first);
	uids_deinit(&uids);
}

static bool mapped(const char *map, uint32_t first, uint32_t n)
{
	FILE *file = fmemopen((void *)(uintptr_t)map, strlen(map), "r");

	assert_non_null(file);
	bool r = uids_mapped(file, first, n);
	fclose(file);
	return r;
}

static void test_mapped(void **state)
{
	assert_true(mapped("         0          0 4294967295\n", 50000, 1080));
	assert_true(mapped("0 100000 65536\n", 65535, 1));
	assert_false(mapped("0 100000 65536\n", 65535, 2));
	assert_false(mapped("0 1000 1\n", 50000, 10));
	// In two pieces, and with a hole between them.
	assert_true(mapped("0 1000 1\n50000 100000 10\n50010 200000 10\n", 50000, 20));
	assert_false(mapped("0 1000 1\n50000 100000 9\n50010 200000 10\n", 50000, 20));
	assert_false(mapped("", 50000, 1));
}

static void test_check(void **state)
{
	char who[UIDS_WHO_MAX] = "";
	// 3000000000 and up: nobody's, and mapped unless this is a user namespace.
	int r = uids_check(3000000000, 1000, who);
	assert_true(r == 0 || r == UIDS_UNMAPPED);
	// Root lies within a range that begins at 0.
	r = uids_check(0, 10, who);
	assert_true(r == UIDS_TAKEN || r == UIDS_UNMAPPED);
	if (r == UIDS_TAKEN)
		assert_string_equal(who, "user root");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_once),
		cmocka_unit_test(test_used_late),
		cmocka_unit_test(test_mapped),
		cmocka_unit_test(test_check),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
