// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// tunneld-attest: started by the supervisor only, see seal.h for its arguments.

#include "attestor.h"
#include "sandbox.h"

#include <err.h>

int main(int argc, char **argv)
{
	static struct attestor attestor;
	struct seal_args args;
	unsigned reached;
	const char *where = "";
	if (seal_args_parse(&args, argc, argv) < 0)
		errx(ATTESTOR_EXIT_USAGE, "is started by tunneld, not by hand");
	int r = attestor_prepare(&attestor);
	if (r < 0)
		errx(ATTESTOR_EXIT_START, "cannot make its key: %s", strerror(-r));
	r = seal_enter(&attest_seal_profile, &args, &reached, &where);
	if (r < 0)
		errx(ATTESTOR_EXIT_SEAL, "cannot seal itself: %s: %s", where, strerror(-r));
	r = attestor_init(&attestor, args.epoch, reached);
	if (r < 0)
		errx(ATTESTOR_EXIT_START, "cannot start: %s", strerror(-r));
	return attestor_run(&attestor);
}
