// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Reading a child's status from outside: the real one of real children, and texts that lie.

#include "inspect.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "root_only.h"
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { OTHER_ID = 65123 };

static const char sealed[] = "Name:\ttunneld-relay\n"
			     "Umask:\t0077\n"
			     "State:\tS (sleeping)\n"
			     "Tgid:\t4711\n"
			     "Pid:\t4711\n"
			     "PPid:\t%d\n"
			     "TracerPid:\t0\n"
			     "Uid:\t65616\t65616\t65616\t65616\n"
			     "Gid:\t65617\t65617\t65617\t65617\n"
			     "FDSize:\t64\n"
			     "Groups:\t \n"
			     "VmPeak:\t     532 kB\n"
			     "CapInh:\t0000000000000000\n"
			     "CapPrm:\t0000000000000000\n"
			     "CapEff:\t0000000000000000\n"
			     "CapBnd:\t00000000000400e0\n"
			     "CapAmb:\t0000000000000000\n"
			     "NoNewPrivs:\t1\n"
			     "Seccomp:\t2\n"
			     "Seccomp_filters:\t1\n"
			     "Speculation_Store_Bypass:\tvulnerable\n";

static const struct inspect_required required = {65616, 65617};

// The sealed text of a child of ours with the first FROM replaced by TO, parsed.
static int parse_changed(const char *from, const char *to, struct inspect_report *report)
{
	char text[2048], changed[2048];
	const char *at;

	snprintf(text, sizeof text, sealed, (int)getpid());
	at = strstr(text, from);
	assert_non_null(at);
	snprintf(
		changed, sizeof changed, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
	return inspect_parse(span_of(changed), report);
}

static void test_sealed_child_lacks_nothing(void **state)
{
	struct inspect_report report;
	char text[INSPECT_TEXT];

	assert_int_equal(parse_changed("Name", "Name", &report), 0);
	assert_int_equal(report.parent, getpid());
	assert_int_equal(report.uid[3], 65616);
	assert_int_equal(report.gid[0], 65617);
	assert_int_equal(report.n_groups, 0);
	assert_int_equal(report.cap_bounding, 0x400e0);
	assert_int_equal(report.seccomp_filters, 1);
	assert_int_equal(inspect_compare(&report, &required), 0);
	inspect_format(&report, 0, text);
	assert_string_equal(text, "uid=65616 gid=65617 groups=0 capabilities=none no_new_privs=yes "
				  "seccomp=filter");
}

static void test_every_lack_is_found(void **state)
{
	static const struct {
		const char *from, *to;
		unsigned lacks;
		const char *text;
	} rows[] = {
		{"PPid:\t", "PPid:\t1", INSPECT_PARENT, "lacks=parent"},
		{"Uid:\t65616", "Uid:\t0", INSPECT_UID, "lacks=uid"},
		{"65616\nGid", "0\nGid", INSPECT_UID, "lacks=uid"},
		{"Uid:\t65616\t65616", "Uid:\t65616\t65615", INSPECT_UID, "lacks=uid"},
		{"\t65617\nFDSize", "\t0\nFDSize", INSPECT_GID, "lacks=gid"},
		{"Groups:\t ", "Groups:\t27 ", INSPECT_GROUPS, "lacks=groups"},
		{"CapInh:\t0", "CapInh:\t8", INSPECT_CAPABILITIES, "lacks=capabilities"},
		{"CapPrm:\t000000000000000", "CapPrm:\t00000000000000a", INSPECT_CAPABILITIES,
			"capabilities=0xa0 "},
		{"CapEff:\t0000000000000000", "CapEff:\t0000000000000001", INSPECT_CAPABILITIES,
			"lacks=capabilities"},
		{"CapAmb:\t0000000000000000", "CapAmb:\t0000000000000001", INSPECT_CAPABILITIES,
			"lacks=capabilities"},
		{"NoNewPrivs:\t1", "NoNewPrivs:\t0", INSPECT_NO_NEW_PRIVS, "lacks=no_new_privs"},
		{"Seccomp:\t2", "Seccomp:\t0", INSPECT_SECCOMP, "seccomp=none lacks=seccomp"},
		{"Seccomp:\t2", "Seccomp:\t1", INSPECT_SECCOMP, "seccomp=strict lacks=seccomp"},
		{"Seccomp:\t2", "Seccomp:\t3", INSPECT_SECCOMP, "seccomp=unknown lacks=seccomp"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct inspect_report report;
		char text[INSPECT_TEXT];

		assert_int_equal(parse_changed(rows[i].from, rows[i].to, &report), 0);
		assert_int_equal(inspect_compare(&report, &required), rows[i].lacks);
		inspect_format(&report, rows[i].lacks, text);
		if (strstr(text, rows[i].text) == NULL)
			fail_msg("\"%s\" does not contain \"%s\"", text, rows[i].text);
	}
}

static void test_all_lacks_fit_the_line(void **state)
{
	struct inspect_report report = {
		.uid = {0, UINT32_MAX - 1},
		.gid = {0, UINT32_MAX - 1},
		.n_groups = UINT32_MAX,
		.cap_permitted = UINT64_MAX,
		.seccomp = 77,
	};
	char text[INSPECT_TEXT];

	inspect_format(&report, ~0u, text);
	assert_non_null(
		strstr(text, "lacks=parent,uid,gid,groups,capabilities,no_new_privs,seccomp"));
}

static void test_texts_we_do_not_know(void **state)
{
	static const struct {
		const char *from, *to;
	} rows[] = {
		{"Uid:\t", "Uis:\t"},
		{"Seccomp:\t2\n", ""},
		{"NoNewPrivs:\t1\n", "NoNewPrivs:\t\n"},
		{"NoNewPrivs:\t1\n", "NoNewPrivs:\tyes\n"},
		{"NoNewPrivs:\t1\n", "NoNewPrivs:\t1 1\n"},
		{"NoNewPrivs:\t1\n", "NoNewPrivs:\t-1\n"},
		{"NoNewPrivs:\t1\n", "NoNewPrivs:\t0\nNoNewPrivs:\t1\n"},
		{"\t65616\nGid", "\nGid"},
		{"\t65616\nGid", "\t65616\t65616\nGid"},
		{"CapEff:\t0", "CapEff:\tg"},
		{"CapEff:\t0", "CapEff:\tfffffffffffffffffffffff"},
		{"Groups:\t ", "Groups:\t27 x"},
	};
	struct inspect_report report;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (parse_changed(rows[i].from, rows[i].to, &report) != -EBADMSG)
			fail_msg("taken: \"%s\"", rows[i].to);
	assert_int_equal(inspect_parse(SPAN(""), &report), -EBADMSG);
	assert_int_equal(inspect_parse(SPAN("Uid"), &report), -EBADMSG);
	assert_int_equal(parse_changed("Seccomp_filters:\t1\n", "", &report), 0);
	assert_int_equal(report.seccomp_filters, -1);
}

// A child that runs PREPARE, says so, and waits to be killed. Returns its pid.
static pid_t waiting_child(void (*prepare)(void))
{
	int pair[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(pair), 0);
	pid = fork();
	if (pid == 0) {
		prepare();
		if (write(pair[1], "r", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_true(pid > 0);
	close(pair[1]);
	assert_int_equal(read(pair[0], &byte, 1), 1);
	close(pair[0]);
	return pid;
}

static void end_child(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void prepare_closed(void)
{
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		_exit(1);
}

// A non-dumpable process belongs to root as far as /proc goes; its status stays readable.
static void test_real_child(void **state)
{
	struct inspect_required any = {(uid_t)-1, (gid_t)-1};
	struct inspect_report report;
	pid_t pid = waiting_child(prepare_closed);
	unsigned lacks;

	assert_int_equal(inspect_read(pid, &report), 0);
	assert_int_equal(report.parent, getpid());
	assert_int_equal(report.uid[0], getuid());
	assert_int_equal(report.gid[3], getegid());
	assert_true(report.no_new_privs);
	assert_int_equal(report.seccomp, 0);
	lacks = inspect_compare(&report, &any) & ~(unsigned)INSPECT_CAPABILITIES;
	assert_int_equal(lacks, INSPECT_SECCOMP);
	any = (struct inspect_required){getuid() + 1, getgid()};
	assert_true((inspect_compare(&report, &any) & INSPECT_UID) != 0);
	end_child(pid);
	assert_int_equal(inspect_read(pid, &report), -ENOENT);
}

static void prepare_other(void)
{
	gid_t groups[2] = {OTHER_ID + 1, OTHER_ID + 2};

	if (setgroups(2, groups) < 0 || setresgid(OTHER_ID, OTHER_ID, 0) < 0 ||
		setresuid(OTHER_ID, 0, OTHER_ID) < 0)
		_exit(1);
}

static void test_half_changed_ids(void **state)
{
	const struct inspect_required other = {OTHER_ID, OTHER_ID};
	struct inspect_report report;
	pid_t pid;

	pid = waiting_child(prepare_other);
	assert_int_equal(inspect_read(pid, &report), 0);
	assert_int_equal(report.uid[0], OTHER_ID);
	assert_int_equal(report.uid[1], 0);
	assert_int_equal(report.n_groups, 2);
	assert_int_equal(
		inspect_compare(&report, &other) &
			(INSPECT_UID | INSPECT_GID | INSPECT_GROUPS | INSPECT_CAPABILITIES),
		INSPECT_UID | INSPECT_GID | INSPECT_GROUPS | INSPECT_CAPABILITIES);
	end_child(pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sealed_child_lacks_nothing),
		cmocka_unit_test(test_every_lack_is_found),
		cmocka_unit_test(test_all_lacks_fit_the_line),
		cmocka_unit_test(test_texts_we_do_not_know),
		cmocka_unit_test(test_real_child),
		root_unit_test(test_half_changed_ids),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
