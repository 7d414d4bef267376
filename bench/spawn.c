// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// How long a relay takes from its start until it says that it is sealed and ready, beside fork and
// exec of an empty static program until that has been reaped. Each round does one of both.
//
//     bench-spawn FOLDER [-r rounds] [-f descriptors] [-u uid]
//
// FOLDER holds the programs; -f opens that many descriptors first, as a supervisor has with many
// tunnels; -u is what relays run as (root only).

#include "spawn.h"
#include "bench.h"
#include "ipc.h"
#include "program.h"
#include "void_dir.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

enum { VISITORS_FD = 4, COUNTERS_FD = 5, ROUNDS_MAX = 10000 };

static unsigned long rounds = 300, descriptors;
static uid_t uid = (uid_t)-1;
static struct program relay;
static int root_fd;
static double relay_us[ROUNDS_MAX], empty_us[ROUNDS_MAX];

static int check(int r, const char *what)
{
	if (r >= 0)
		return r;
	errno = -r;
	bench_fail(what);
}

static double time_relay(void)
{
	struct spawn_child child;
	int control[2], visitors[2];
	char message[256];
	double begin = bench_now();

	check(ipc_pair(control), "socketpair");
	check(ipc_pair(visitors), "socketpair");
	int counters = memfd_create("counters", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (ftruncate(counters, 4096) < 0)
		bench_fail("memfd_create");
	const struct spawn_fd fds[] = {
		{control[1], IPC_FIRST_FD}, {visitors[1], VISITORS_FD}, {counters, COUNTERS_FD}};
	check(spawn_child(
		      &(struct spawn_request){
			      .program = &relay,
			      .epoch = 1,
			      .uid = uid,
			      .gid = (gid_t)uid,
			      .root_fd = root_fd,
			      .fds = fds,
			      .n_fds = ARRAY_SIZE(fds),
		      },
		      &child),
		"spawn");
	fcntl(control[0], F_SETFL, 0);
	close(control[1]);
	if (recv(control[0], message, sizeof message, 0) <= 0)
		bench_fail("the relay is not ready");
	double end = bench_now();
	kill(child.pid, SIGKILL);
	waitpid(child.pid, NULL, 0);
	close(child.pidfd);
	close(control[0]);
	close(visitors[0]);
	close(visitors[1]);
	close(counters);
	return (end - begin) * 1e6;
}

static double time_empty(const char *path)
{
	int status;
	double begin = bench_now();
	pid_t pid = fork();
	if (pid == 0) {
		execl(path, path, (char *)NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		bench_fail(path);
	return (bench_now() - begin) * 1e6;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static double median(double *values)
{
	qsort(values, rounds, sizeof *values, compare);
	return values[rounds / 2];
}

static void open_descriptors(void)
{
	bench_raise_descriptors();
	for (unsigned long i = 0; i < descriptors; i++)
		if (fcntl(root_fd, F_DUPFD_CLOEXEC, 0) < 0)
			bench_fail("descriptors");
}

static void parse_options(int argc, char **argv)
{
	for (int o; (o = getopt(argc, argv, "r:f:u:")) != -1;)
		switch (o) {
		case 'r': rounds = MIN(strtoul(optarg, NULL, 10), ROUNDS_MAX); break;
		case 'f': descriptors = strtoul(optarg, NULL, 10); break;
		case 'u': uid = (uid_t)strtoul(optarg, NULL, 10); break;
		default: exit(2);
		}
}

int main(int argc, char **argv)
{
	char empty[4096];

	check(spawn_init(), "spawn_init");
	if (argc < 2) {
		fprintf(stderr,
			"usage: bench-spawn FOLDER [-r rounds] [-f descriptors] [-u uid]\n");
		return 2;
	}
	parse_options(argc - 1, argv + 1);
	root_fd = check(void_dir_open(), "folder");
	check(program_load(&relay, check(program_dir_open(argv[1]), argv[1]), "tunneld-relay"),
		"tunneld-relay");
	snprintf(empty, sizeof empty, "%s/bench/bench-empty", argv[1]);
	open_descriptors();
	for (unsigned long i = 0; i < rounds; i++) {
		relay_us[i] = time_relay();
		empty_us[i] = time_empty(empty);
	}
	printf("{\"relay_us\": %.1f, \"empty_us\": %.1f}\n", median(relay_us), median(empty_us));
	return 0;
}
