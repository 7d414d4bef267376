// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// tunneld-relay: started by the supervisor, one for each tunnel.

#include "relay.h"
#include "sandbox.h"

#include <stdio.h>

int main(int argc, char *argv[])
{
	static struct relay relay;
	struct seal_args args;
	unsigned reached;
	const char *where = "";
	int r = seal_args_parse(&args, argc, argv);
	if (r == 0)
		r = seal_enter(&relay_seal_profile, &args, &reached, &where);
	if (r == 0)
		r = relay_init(&relay, args.epoch, reached);
	if (r == 0)
		r = relay_run(&relay);
	if (r < 0)
		dprintf(STDERR_FILENO, "tunneld-relay: %s: %s\n", where, strerror(-r));
	return r < 0 ? EXIT_FAILURE : r;
}
