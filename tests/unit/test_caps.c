// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What the supervisor keeps of its capabilities, seen by itself and by the kernel.

#include "caps.h"

#include "inspect.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "root_only.h"
#include <grp.h>
#include <linux/capability.h>
#include <sys/wait.h>

enum { NOBODY = 65534 };

#define BIT(name) (1ull << CAP_##name)

static const uint64_t separate = BIT(SETUID) | BIT(SETGID) | BIT(SYS_CHROOT) | BIT(KILL);

// Drops in a child; its report comes back through a pipe. CAN says what it thinks of itself.
static void drop_in_child(bool as_nobody, struct inspect_report *report, bool *can)
{
	int pair[2], status;
	pid_t pid;

	assert_int_equal(pipe(pair), 0);
	pid = fork();
	if (pid == 0) {
		if (as_nobody && (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
					 setresuid(NOBODY, NOBODY, NOBODY) < 0))
			_exit(1);
		*can = caps_drop() == 0 && caps_can_separate();
		if (inspect_read(getpid(), report) < 0 ||
			write(pair[1], report, sizeof *report) != sizeof *report)
			_exit(1);
		_exit(*can ? 0 : 2);
	}
	close(pair[1]);
	assert_int_equal(read(pair[0], report, sizeof *report), sizeof *report);
	close(pair[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 1);
	*can = WEXITSTATUS(status) == 0;
}

static void test_root_keeps_four(void **state)
{
	struct inspect_report report;
	bool can;

	assert_true(caps_effective() & BIT(SETPCAP)); // root without it is no root to test with
	drop_in_child(false, &report, &can);
	assert_true(can);
	assert_int_equal(report.cap_effective, separate);
	assert_int_equal(report.cap_permitted, separate);
	assert_int_equal(report.cap_bounding, separate);
	assert_int_equal(report.cap_inheritable, 0);
	assert_int_equal(report.cap_ambient, 0);
}

static void test_others_gain_nothing(void **state)
{
	struct inspect_report report;
	bool can;

	drop_in_child(geteuid() == 0, &report, &can);
	assert_false(can);
	assert_int_equal(report.cap_effective, 0);
	assert_int_equal(report.cap_permitted, 0);
}

static void test_format(void **state)
{
	char text[64], small[8];

	caps_format(0, text, sizeof text);
	assert_string_equal(text, "none");
	caps_format(separate, text, sizeof text);
	assert_string_equal(text, "kill setgid setuid sys_chroot");
	caps_format(1ull << 63 | BIT(KILL), text, sizeof text);
	assert_string_equal(text, "kill 63");
	caps_format(UINT64_MAX, small, sizeof small);
	assert_int_equal(strlen(small), sizeof small - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		root_unit_test(test_root_keeps_four),
		cmocka_unit_test(test_others_gain_nothing),
		cmocka_unit_test(test_format),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
