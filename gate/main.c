// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// tunneld-gate: started by the supervisor only, see seal.h for its arguments.

#include "gate.h"
#include "sandbox.h"

#include <err.h>

int main(int argc, char **argv)
{
	static struct gate gate;
	struct seal_args args;
	if (seal_args_parse(&args, argc, argv) < 0)
		errx(GATE_EXIT_USAGE, "is started by tunneld, not by hand");
	unsigned reached;
	const char *where = "";
	int r = seal_enter(&gate_seal_profile, &args, &reached, &where);
	if (r < 0)
		errx(GATE_EXIT_SEAL, "cannot seal itself: %s: %s", where, strerror(-r));
	r = gate_init(&gate, args.epoch, reached);
	if (r < 0)
		errx(GATE_EXIT_START, "cannot start: %s", strerror(-r));
	return gate_run(&gate);
}
