// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// tunneld: reads its settings, then is the supervisor.

#include "check.h"
#include "options.h"
#include "prepare.h"
#include "source.h"
#include "spawn.h"
#include "supervisor.h"

enum { EXIT_USAGE = 2 };

extern char **environ;

static int usage_error(struct buf *errors)
{
	struct span text = buf_span(errors);

	fwrite(text.p, 1, text.n, stderr);
	fputs("tunneld --help lists the options and keys\n", stderr);
	buf_reset(errors);
	return EXIT_USAGE;
}

static int check(const struct options *options)
{
	const struct check_wishes wishes = {
		.uid_base = options->relay_uid_base,
		.n_relays = options->max_tunnels + UIDS_SPARE,
		.descriptors = prepare_descriptors(options, options->max_tunnels),
	};

	return check_print(stdout, &wishes);
}

static int version(void)
{
	const struct source *source = &source_built;

	return printf("tunneld %s\ncommit %s\ntree_sha256 %s\n", source->version, source->commit,
		       source->tree_sha256) > 0
		       ? EXIT_SUCCESS
		       : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	static struct supervisor supervisor;
	static struct options options;
	struct options_command command;
	struct buf errors;
	int r = spawn_init();

	// What whoever started us left open is nobody's business here.
	if (r == 0 && close_range(SPAWN_RESERVED_LAST + 1, ~0u, 0) < 0)
		r = -errno;
	if (r < 0) {
		fprintf(stderr, "tunneld: cannot start: %s\n", strerror(-r));
		return EXIT_FAILURE;
	}
	buf_init(&errors, OPTIONS_TEXT_MAX);
	if (options_command_parse(&command, argc, argv, &errors) != 0)
		return usage_error(&errors);
	if (command.help)
		return options_print_help(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
	if (command.version)
		return version();
	options_init(&options);
	if (options_load(&options, &command, environ, &errors) != 0)
		return usage_error(&errors);
	if (command.check)
		return check(&options);
	log_init(options.log_format, LOG_INFO);
	if (supervisor_init(&supervisor, &options, &source_built) < 0)
		return EXIT_FAILURE;
	return supervisor_run(&supervisor);
}
