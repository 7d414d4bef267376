// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Which applications give the guest service to one container at most, and name what they run.

#include "app_compose.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static bool alone(const char *compose)
{
	char text[1024];
	struct why why;
	snprintf(text, sizeof text, "{\"docker_compose_file\":\"%s\"}", compose);
	return app_compose_socket_alone(span_of(text), NULL, &why);
}

static void test_socket(void **state)
{
	static const struct {
		const char *compose;
		bool alone;
	} cases[] = {
		{"services:\\n a:\\n  volumes:\\n   - /var/run/dstack.sock:/var/run/dstack.sock\\n",
			true},
		{"services:\\n a:\\n  image: b\\n", true},
		{"  - /var/run/dstack.sock:/x\\n  - /var/run/dstack.sock:/y\\n", false},
		{"  - /var/run/dstack.sock:/x\\n  - /run/tappd.sock:/y\\n", false},
		{"  - /var/run/dstack:/var/run/dstack\\n  - /var/run/dstack.sock:/x", false},
		{"  - /var/run:/host\\n", false},
		{"  - \\\"/run/:/host\\\"\\n", false},
		{"  - '/:/host'\\n", false},
		{"  - /var/run/docker.sock:/var/run/docker.sock\\n", false},
		{"  privileged: true\\n", false},
		{"  privileged: false\\n", true},
		{"  - /run/lock:/run/lock\\n", false},
		{"  - data:/run:ro\\n  - data:/var\\n", true},
		{"  target: /run\\n  tmpfs:\\n   - /run\\n", true},
		{"  source: ./data\\n  image: ${IMAGE}\\n  - \\\"A=$PORT:80\\\"\\n", true},
		{"  source: /var/run\\n", false},
		{"  - {type: bind, source: /run/, target: /x}\\n", false},
		{"  - {\\\"type\\\":\\\"bind\\\",\\\"source\\\":\\\"/\\\"}\\n", false},
		{"  device: \\\"/run\\\"\\n", false},
		{"  volumes: [\\\"a:/a\\\", \\\"/var/run:/x\\\"]\\n", false},
		{"  - ${FOLDER}:/x\\n", false},
		{"  source: $FOLDER\\n", false},
		{"  - /var/run/dstack.sock:/x\\n b:\\n  volumes: *v\\n", false},
		{"  - /var/run/dstack.sock:/x\\n b:\\n  volumes_from: [a]\\n", false},
		{"  - /var/run/dstack.sock:/x\\n b:\\n  extends: {service: a}\\n", false},
		{"{a: {volumes: [/run/dstack.sock:/x]}, b: {volumes: [/run/dstack.sock:/x]}}",
			false},
		{"  privileged: yes\\n", false},
		{"  \\\"privileged\\\": true\\n", false},
		{"  image: nginx-unprivileged\\n", true},
		{"  privileged: true # false\\n", false},
		{"  privileged:\\n   true\\n", false},
		{"{a: {privileged: false}, b: {privileged: true}}", false},
		// other ways to write a path
		{"  - /var/./run:/x\\n", false},
		{"  - /var//run:/x\\n", false},
		{"  - /var/lib/../run:/x\\n", false},
		{"  - ../../../run:/x\\n", false},
		{"  - ./../run:/x\\n", false},
		{"  - .:/x\\n", false},
		{"  - ~/x:/x\\n", false},
		{"  - ./data:/x\\n", true},
		{"  - \\\"/var/run/d\\\\x73tack.sock:/x\\\"\\n", false},
		{"  - \\\"/var/run/d\\\\u0073tack.sock:/x\\\"\\n", false},
		{"  - \\\"\\\\/run:/x\\\"\\n", false},
		{"  - \\\"/var/run/dst\\\\\\n   ack.sock:/x\\\"\\n", false},
		{"  source: !!binary L3J1bg==\\n", false},
		{"  source: !<tag:yaml.org,2002:binary> L3J1bg==\\n", false},
		{"  source:\\n   /var/run\\n", false},
		{"  ? source\\n  : /var/run\\n", false},
		{"  \\\"source\\\" : \\\"/etc\\\"\\n", false},
		{"  - {type: volume, source: data, target: /x}\\n", true},
		{"  tmpfs:\\n   - /tmp:mode=0755,size=1m\\n", true},
		{"  secrets:\\n   s:\\n    file: /run\\n", false},
		{"  PATH: /usr/bin:/bin\\n", false}, // it cannot be told from a mount
		{"  URL: http://a:80/b\\n", true},
		{"  - /run://x\\n", false},
		// variables
		{"  - ${MOUNT}\\n", false},
		{"  volumes: [\\\"${MOUNT}\\\"]\\n", false},
		{"  - ${MOUNT}:80\\n", false},
		{"  - /var/${X:-run}:/x\\n", false},
		{"  - ./a${X}\\n", false},
		{"  source: /var/${X}\\n", false},
		{"  source:\\n   ${X}\\n", false},
		{"  A: ${A:?}\\n  - B=${B}\\n  - --c=${C}\\n", true},
		// what leads to quotes without the socket
		{"  - /sys/kernel/config:/sys/kernel/config\\n", false},
		{"  devices:\\n   - /dev/tdx_guest\\n", false},
		{"  devices:\\n   - /dev\\n", false},
		{"  - x > /dev/null\\n", true},
		{"  device_cgroup_rules: ['c 10:* rmw']\\n", false},
		{"  driver_opts: {type: configfs, device: none}\\n", false},
		{"  cap_add:\\n   - SYS_ADMIN\\n", false},
		{"  cap_add: [all]\\n", false},
		{"  cap_add:\\n   # cap_drop:\\n   - ALL\\n", false},
		{"  cap_add: [KILL]\\n  cap_drop:\\n   - ALL\\n  cap_add:\\n   - KILL\\n", true},
		{"  cap_drop: [ALL]\\n", true},
		{"  pid: host\\n", false},
		{"  pids_limit: 4096\\n", true},
		{"  use_api_socket: true\\n", false},
		{"  - /run/containerd:/x\\n", false},
		{"include:\\n - oci://x/y\\n", false},
		{"  provider: {type: x}\\n", false},
		{"  - /var/run/dstack.sock:/x\\n  volumes: [*v]\\n", false},
		{"  - /var/run/dstack.sock:/x\\n  source:  *v\\n", false},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (alone(cases[i].compose) != cases[i].alone)
			fail_msg("%s: not %d", cases[i].compose, cases[i].alone);
}

static bool has_script(const char *members, const json_t *accepted)
{
	char text[1024];
	struct why why;
	snprintf(text, sizeof text, "{\"docker_compose_file\":\"\"%s}", members);
	return app_compose_socket_alone(span_of(text), accepted, &why);
}

// What runs outside all containers has the socket, too.
static void test_scripts(void **state)
{
	static const char *const members[] = {",\"pre_launch_script\":\"x\"",
		",\"init_script\":\"x\"", ",\"init_script\":[\"\",\"x\"]",
		",\"bash_script\":\"x\""};
	// SHA-256 of "x"
	json_t *accepted = json_pack(
		"[s]", "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881");
	json_t *others = json_pack(
		"[s]", "3d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881");
	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		assert_false(has_script(members[i], NULL));
		assert_false(has_script(members[i], others));
		assert_true(has_script(members[i], accepted));
	}
	assert_true(has_script(",\"pre_launch_script\":\"\"", NULL));
	assert_true(has_script(",\"init_script\":null,\"runner\":\"docker-compose\"", NULL));
	assert_false(has_script(",\"pre_launch_script\":{}", accepted));
	assert_false(has_script(",\"runner\":\"bash\"", NULL));
	json_decref(accepted);
	json_decref(others);
}

static bool pinned(const char *compose)
{
	char text[1024];
	struct why why;
	snprintf(text, sizeof text, "{\"docker_compose_file\":\"%s\"}", compose);
	return app_compose_images_pinned(span_of(text), &why);
}

#define DIGEST "@sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"

static void test_images(void **state)
{
	assert_true(pinned("  image: a" DIGEST "\\n"));
	assert_true(pinned("{\\\"image\\\":\\\"a:1" DIGEST "\\\"}"));
	assert_false(pinned(""));
	assert_false(pinned("  image: a:1\\n"));
	assert_false(pinned("  image: a" DIGEST "\\n b:\\n  image: b\\n"));
	assert_false(pinned("  image: ${IMAGE}\\n"));
	assert_false(pinned("  image: ${A:-b}" DIGEST "\\n"));
	assert_false(pinned("  image: a # " DIGEST "\\n"));
	assert_false(pinned("  image:\\n   a" DIGEST "\\n"));
	assert_false(pinned("  image: a" DIGEST "0\\n"));
	assert_false(pinned("  image: " DIGEST "\\n"));
	assert_false(pinned("  image: a" DIGEST "\\n  build: .\\n"));
}

static void test_no_compose(void **state)
{
	struct why why;
	assert_false(app_compose_socket_alone(SPAN("{}"), NULL, &why));
	assert_false(app_compose_socket_alone(SPAN("["), NULL, &why));
	assert_false(app_compose_socket_alone((struct span){NULL, 0}, NULL, &why));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_socket),
		cmocka_unit_test(test_scripts),
		cmocka_unit_test(test_images),
		cmocka_unit_test(test_no_compose),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
