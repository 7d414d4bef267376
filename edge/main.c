// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// tunneld-edge: started by the supervisor only, see seal.h for its arguments; with --keygen behind
// them it makes and looks at keys (keygen.h) and is no edge.

#include "edge.h"
#include "keygen.h"
#include "sandbox.h"

#include <err.h>

int main(int argc, char **argv)
{
	static struct edge edge;
	struct seal_args args;
	bool keygen = argc > 1 && strcmp(argv[argc - 1], "--keygen") == 0;
	if (seal_args_parse(&args, argc - keygen, argv) < 0)
		errx(EDGE_EXIT_USAGE, "is started by tunneld, not by hand");
	int r = edge_prepare();
	if (r < 0)
		errx(EDGE_EXIT_START, "cannot start OpenSSL");
	unsigned reached;
	const char *where = "";
	r = seal_enter(&edge_seal_profile, &args, &reached, &where);
	if (r < 0)
		errx(EDGE_EXIT_SEAL, "cannot seal itself: %s: %s", where, strerror(-r));
	if (keygen)
		return keygen_run(args.epoch, reached);
	r = edge_init(&edge, args.epoch, reached);
	if (r < 0)
		errx(EDGE_EXIT_START, "cannot start: %s", strerror(-r));
	return edge_run(&edge);
}
