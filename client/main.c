// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// tunnel: what people and scripts use of tunneld.

#include "handlers.h"
#include "help.h"

#include <jansson.h>
#include <malloc.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

// Documents have secrets of tunnels in them.
static void wipe_and_free(void *memory)
{
	if (memory != NULL)
		explicit_bzero(memory, malloc_usable_size(memory));
	free(memory);
}

// Tokens and secrets are in this process: no core file, no look from other processes of the user.
static void harden(void)
{
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
	json_set_alloc_funcs(malloc, wipe_and_free);
	signal(SIGPIPE, SIG_IGN); // a reader that has gone is an error of a write
}

static int run(const struct invocation *invocation, struct failure *failure)
{
	if (invocation->command == NULL)
		help_overview(stdout);
	else if (option_given(invocation, OPTION_HELP))
		help_command(stdout, invocation->command);
	else
		return invocation->command->run(invocation, failure);
	return 0;
}

// Says why it did not work; what was written has to have arrived as well. Returns the exit code.
static int end(int r, struct failure *failure)
{
	if (r == 0 && fflush(stdout) != 0)
		r = -errno;
	if (r < 0)
		r = failure_set(failure, EXIT_CODE_OTHER, "%s", strerror(-r));
	if (r != 0 && failure->text[0] != '\0')
		failure_print(failure);
	return r;
}

int main(int argc, char **argv)
{
	struct invocation invocation;
	struct failure failure = {{0}};
	int r;

	harden();
	if (argc < 2) {
		help_overview(stderr);
		return EXIT_CODE_USAGE;
	}
	r = invocation_parse(&invocation, argc, argv, &failure);
	if (r == 0) {
		r = run(&invocation, &failure);
		invocation_deinit(&invocation);
	}
	return end(r, &failure);
}
