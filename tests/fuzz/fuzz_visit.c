// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The input is what somebody pastes: a tunnel's URL, or what is to be shared. What is accepted
// holds nothing that could change a request head.

#include "check.h"
#include "target.h"
#include "visit.h"

static void check_visible(const char *text)
{
	for (; *text != '\0'; text++)
		CHECK(*text > ' ' && *text < 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span text = {(const char *)data, n};
	struct visit visit;
	struct target target;
	const char *why = NULL;
	if (visit_parse(&visit, text, &why) == 0) {
		check_visible(visit.path);
		check_visible(visit.secret);
		CHECK(visit.path[0] == '/' && visit.path[strlen(visit.path) - 1] == '/');
		CHECK(visit.server.port != 0);
	} else {
		CHECK(why != NULL);
	}
	if (target_parse(&target, text, &why) == 0) {
		struct target again;
		CHECK(target_parse(&again, span_of(target.text), &why) == 0);
		CHECK(strcmp(target.text, again.text) == 0);
		CHECK(target.tls == again.tls && target.insecure == again.insecure);
	}
	return 0;
}
