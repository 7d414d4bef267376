// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// tunneld-api: started by the supervisor only, see seal.h for its arguments.

#include "document.h"
#include "sandbox.h"
#include "worker.h"

#include <err.h>
#include <jansson.h>
#include <sys/random.h>
#include <time.h>

// What libraries would read from files that the sandbox hides, and what keeps strangers from
// choosing keys of JSON objects that collide.
static int prepare_libraries(void)
{
	size_t seed = 0;
	while (seed == 0)
		if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
			return -errno;
	json_object_seed(seed);
	document_prepare_process();
	tzset();
	return store_prepare_process();
}

int main(int argc, char **argv)
{
	static struct worker worker;
	struct seal_args args;
	unsigned reached;
	const char *where = "";
	if (seal_args_parse(&args, argc, argv) < 0)
		errx(WORKER_EXIT_USAGE, "is started by tunneld, not by hand");
	int r = prepare_libraries();
	if (r < 0)
		errx(WORKER_EXIT_START, "cannot prepare its libraries: %s", strerror(-r));
	r = seal_enter(&api_seal_profile, &args, &reached, &where);
	if (r < 0)
		errx(WORKER_EXIT_SEAL, "cannot seal itself: %s: %s", where, strerror(-r));
	r = worker_init(&worker, args.epoch, reached);
	if (r < 0)
		errx(WORKER_EXIT_START, "cannot start: %s", strerror(-r));
	return worker_run(&worker);
}
