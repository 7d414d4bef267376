// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// getaddrinfo() under the resolver's own sandbox, with a name server of our own: a row the table
// lacks would kill the resolver of the distribution whose C library needs it. A network and mount
// namespace keep it on this machine's loopback; where those are not to be had the test is skipped.

#include "resolve_sandbox.h"

#include <setjmp.h>
#include <stdarg.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "root_only.h"
#include <fcntl.h>
#include <linux/ipv6.h>
#include <net/if.h>
#include <netdb.h>
#include <nss.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { OWN_ID = 65123, SKIPPED = 77, MANY = 100, PACKET = 4096 };

// ---- a name server

// Answers to a question of N bytes in Q: "none..." does not exist, "long..." has many addresses and
// needs TCP, other names have two. Returns the answer's length.
static size_t answer(const uint8_t *q, size_t n, bool tcp, uint8_t out[PACKET])
{
	size_t name_end = 12, used;
	bool many, missing, truncated;
	unsigned type, records;

	while (name_end < n && q[name_end] != 0)
		name_end += q[name_end] + 1u;
	if (name_end + 5 > n)
		return 0;
	type = q[name_end + 2];
	many = memcmp(q + 13, "long", 4) == 0;
	missing = memcmp(q + 13, "none", 4) == 0;
	truncated = many && !tcp;
	records = missing || truncated ? 0 : type == 28 ? 1 : many ? MANY : 2;
	used = name_end + 5;
	memcpy(out, q, used);
	out[2] = truncated ? 0x83 : 0x81; // answer, recursion asked for; truncated
	out[3] = missing ? 0x83 : 0x80;   // recursion there; NXDOMAIN
	memset(out + 4, 0, 8);
	out[5] = 1;
	out[7] = (uint8_t)records;
	for (unsigned i = 0; i < records; i++) {
		const uint8_t head[12] = {
			0xc0, 12, 0, (uint8_t)type, 0, 1, 0, 0, 0, 60, 0, type == 28 ? 16 : 4};

		memcpy(out + used, head, sizeof head);
		memset(out + used + 12, 0, 16);
		out[used + 12] = type == 28 ? 0 : 127;
		out[used + 12 + head[11] - 1u] = (uint8_t)(i + 1);
		used += 12u + head[11];
	}
	return used;
}

static void answer_datagram(int fd)
{
	uint8_t question[512], reply[PACKET];
	struct sockaddr_in from;
	socklen_t from_n = sizeof from;
	ssize_t n = recvfrom(fd, question, sizeof question, 0, (struct sockaddr *)&from, &from_n);

	if (n > 12)
		sendto(fd, reply, answer(question, (size_t)n, false, reply), 0,
			(const struct sockaddr *)&from, from_n);
}

// Both questions arrive on one connection, each after its length.
static void answer_stream(int listener)
{
	CLEANUP(close_p) int fd = accept(listener, NULL, NULL);
	uint8_t length[2], question[512], reply[PACKET + 2];

	while (recv(fd, length, 2, MSG_WAITALL) == 2) {
		size_t n = length[0] * 256u + length[1];

		if (n > sizeof question || recv(fd, question, n, MSG_WAITALL) != (ssize_t)n)
			return;
		n = answer(question, n, true, reply + 2);
		reply[0] = (uint8_t)(n >> 8);
		reply[1] = (uint8_t)n;
		if (send(fd, reply, n + 2, MSG_NOSIGNAL) < 0)
			return;
	}
}

static void serve(int datagrams, int listener)
{
	struct pollfd fds[2] = {{datagrams, POLLIN, 0}, {listener, POLLIN, 0}};

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	while (poll(fds, 2, -1) > 0) {
		if (fds[0].revents != 0)
			answer_datagram(datagrams);
		if (fds[1].revents != 0)
			answer_stream(listener);
	}
}

static int bound_socket(int type)
{
	const struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_port = htons(53),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) < 0 ||
		(type == SOCK_STREAM && listen(fd, 5) < 0))
		_exit(1);
	return fd;
}

// ---- a world with that name server

// With an IPv6 address besides ::1, as on most machines, the C library does more.
static bool add_address(int ipv6)
{
	struct in6_ifreq address = {.ifr6_prefixlen = 128, .ifr6_ifindex = 1};

	return inet_pton(AF_INET6, "2001:db8::77", &address.ifr6_addr) == 1 &&
	       ioctl(ipv6, SIOCSIFADDR, &address) == 0;
}

static bool enter_namespaces(void)
{
	struct ifreq loopback = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	CLEANUP(close_p) int fd = -1, ipv6 = -1;

	if (unshare(CLONE_NEWNS | CLONE_NEWNET | (geteuid() == 0 ? 0 : CLONE_NEWUSER)) < 0)
		return false;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ipv6 = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &loopback) == 0 && add_address(ipv6) &&
	       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

static bool use_name_server(void)
{
	static const char text[] = "nameserver 127.0.0.1\noptions timeout:2 attempts:2\n";
	char path[] = "/tmp/test-resolve-XXXXXX";
	CLEANUP(close_p) int fd = mkstemp(path);
	bool done = fd >= 0 && fchmod(fd, 0644) == 0 &&
		    write(fd, text, sizeof text - 1) == (ssize_t)sizeof text - 1 &&
		    mount(path, "/etc/resolv.conf", NULL, MS_BIND, NULL) == 0;

	unlink(path);
	return done;
}

static bool sockets_are_refused(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0) < 0 && errno == EAFNOSUPPORT &&
	       socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) < 0 && errno == EAFNOSUPPORT;
}

// One look-up in a sealed process of its own, as the resolver does it. The exit status is the
// number of addresses, or 200 + the error.
static int look_up(const char *name, bool own_ids)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	uid_t id = own_ids ? OWN_ID : (uid_t)-1;
	struct seal_args args = {.parent = getppid(), .uid = id, .gid = id, .root_fd = -1};
	struct addrinfo *list = NULL;
	unsigned reached;
	int n = 0, r;

	if (__nss_configure_lookup("hosts", "files dns") < 0 ||
		seal_enter(&resolve_seal_profile, &args, &reached, NULL) < 0)
		return 199;
	if (!sockets_are_refused())
		return 198;
	r = getaddrinfo(name, NULL, &hints, &list);
	if (r != 0)
		return 200 - r;
	for (const struct addrinfo *a = list; a != NULL; a = a->ai_next)
		n++;
	freeaddrinfo(list);
	return n;
}

static int look_up_all(bool own_ids)
{
	static const struct {
		const char *name;
		int expected;
	} rows[] = {
		{"localhost", 1}, {"127.0.0.1", 1}, {"::1", 1}, {"two.example", 3},
		{"long.example", MANY + 1}, {"none.example", 200 - EAI_NONAME},
		{"two", 3}, // without a dot: with the search list
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		pid_t pid = fork();
		int status;

		if (pid == 0)
			_exit(look_up(rows[i].name, own_ids));
		if (waitpid(pid, &status, 0) != pid)
			return 1;
		// "localhost" may stand in /etc/hosts once or twice.
		if (WIFEXITED(status) && (WEXITSTATUS(status) == rows[i].expected ||
						 (i == 0 && WEXITSTATUS(status) == 2)))
			continue;
		fprintf(stderr, "%s: status %#x, expected %#x\n", rows[i].name, status,
			rows[i].expected << 8);
		return 1;
	}
	return 0;
}

static int in_the_world(bool own_ids)
{
	int datagrams, listener, r;
	pid_t server;

	if (!enter_namespaces() || !use_name_server())
		return SKIPPED;
	datagrams = bound_socket(SOCK_DGRAM);
	listener = bound_socket(SOCK_STREAM);
	server = fork();
	if (server == 0) {
		serve(datagrams, listener);
		_exit(1);
	}
	r = look_up_all(own_ids);
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	return r;
}

static void test_in_the_world(bool own_ids)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(in_the_world(own_ids));
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)
		skip();
	assert_int_equal(status, 0);
}

static void test_with_the_ids_of_the_supervisor(void **state)
{
	test_in_the_world(false);
}

static void test_with_own_ids(void **state)
{
	test_in_the_world(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_with_the_ids_of_the_supervisor),
		root_unit_test(test_with_own_ids),
	};
	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
