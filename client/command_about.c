// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Commands about this program itself: completion, version.

#include "handlers.h"
#include "help.h"

int completion_run(const struct invocation *invocation, struct failure *failure)
{
	if (strcmp(invocation->operands[0], "bash") != 0)
		return failure_set(failure, EXIT_CODE_USAGE, "there is completion for bash only");
	help_completion(stdout);
	return 0;
}

int version_run(const struct invocation *invocation, struct failure *failure)
{
	if (option_given(invocation, OPTION_JSON))
		printf("{\"name\":\"tunnel\",\"version\":\"%s\"}\n", TUNNELD_VERSION);
	else
		printf("tunnel %s\n", TUNNELD_VERSION);
	return 0;
}
