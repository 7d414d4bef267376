// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// tunneld-resolve: looks up the one name the supervisor sends, answers, exits.

#include "ipc.h"
#include "lookup.h"
#include "resolve_sandbox.h"

#include <err.h>

struct resolve_role {
	struct loop loop;
	struct ipc_channel control;
};

static int on_resolve(struct ipc_channel *channel, struct ipc_message *message)
{
	struct span text = message->fields[0].bytes;
	struct in6_addr addresses[ADDRESSES_MAX];
	char name[254];
	const char *why = "";

	memcpy(name, text.p, text.n); // at most 253 bytes, see messages.c
	name[text.n] = '\0';
	size_t n = lookup_name(name, addresses, &why);
	int r = n > 0 ? ipc_post(channel, MSG_RESOLVED, -1,
				wire_bin(addresses, n * sizeof *addresses))
		      : ipc_post(channel, MSG_RESOLVE_FAILED, -1, wire_str(span_of(why)));
	loop_stop(channel->loop, r == IPC_SENT ? EXIT_SUCCESS : EXIT_FAILURE);
	return 0;
}

static void on_ended(struct ipc_channel *channel, const char *why)
{
	loop_stop(channel->loop, EXIT_SUCCESS);
}

static const struct ipc_handling handling[] = {
	{MSG_RESOLVE, on_resolve},
};

static const struct ipc_handlers handlers = {
	.self = ROLE_RESOLVER,
	.peer = ROLE_SUPERVISOR,
	.table = handling,
	.n = ARRAY_SIZE(handling),
};

static int run(uint32_t epoch, unsigned reached)
{
	static struct resolve_role role;
	int r = loop_init(&role.loop);

	if (r == 0)
		r = ipc_init(&role.control, &role.loop, IPC_FIRST_FD, &handlers, epoch, 0, 0);
	if (r < 0)
		return r;
	role.control.ended = on_ended;
	r = ipc_post(&role.control, MSG_READY, -1, wire_uint(reached));
	return r == IPC_SENT ? loop_run(&role.loop) : MIN(r, -EIO);
}

int main(int argc, char **argv)
{
	struct seal_args args;
	unsigned reached;
	const char *where = "";
	int r = seal_args_parse(&args, argc, argv);

	if (r < 0)
		errx(EXIT_FAILURE, "is started by tunneld, not by hand");
	lookup_init();
	r = seal_enter(&resolve_seal_profile, &args, &reached, &where);
	if (r < 0)
		errx(EXIT_FAILURE, "cannot seal itself: %s: %s", where, strerror(-r));
	r = run(args.epoch, reached);
	if (r < 0)
		errx(EXIT_FAILURE, "%s", strerror(-r));
	return r;
}
