// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Which applications give the guest service to one container at most.

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
	return app_compose_socket_alone(span_of(text), &why);
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
		{"  - /run/lock:/run/lock\\n", true},
		{"  - data:/run:ro\\n  - data:/var\\n", true},
		{"  target: /run\\n  tmpfs:\\n   - /run\\n", true},
		{"  source: ./data\\n  image: ${IMAGE}\\n  - \\\"$PORT:80\\\"\\n", true},
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
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (alone(cases[i].compose) != cases[i].alone)
			fail_msg("%s: not %d", cases[i].compose, cases[i].alone);
}

static void test_no_compose(void **state)
{
	struct why why;
	assert_false(app_compose_socket_alone(SPAN("{}"), &why));
	assert_false(app_compose_socket_alone(SPAN("["), &why));
	assert_false(app_compose_socket_alone((struct span){NULL, 0}, &why));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_socket),
		cmocka_unit_test(test_no_compose),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
