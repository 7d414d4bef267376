// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "page_text.h"

#include <assert.h>

#define BY_ITSELF "This page looks again by itself, and opens the tunnel as soon as it can."

static const struct page_text texts[CODES] = {
	[CODE_TUNNEL_UNKNOWN] =
		{
			.visitor =
				"Open the whole link as it was shared with you: from a message, copy it in one piece. "
				"Tunnels that ended a while ago are not remembered.",
		},
	[CODE_TUNNEL_OVER] =
		{
			.visitor =
				"Tunnels end when their time is up, or when their owner ends them.",
			.owner = "A new tunnel to the service on your machine, with a new address:",
			.command = "tunnel up PORT",
		},
	[CODE_RATE_LIMITED] =
		{
			.visitor = "Wait a little before you try again: each try counts.",
		},
	[CODE_TOO_MANY_CONNECTIONS] =
		{
			.visitor = BY_ITSELF,
			.owner =
				"The tunnel was created with a limit of connections (limits.connections), or the "
				"server allows no more.",
			.retry = 4,
		},
	[CODE_BACKEND_REFUSED] =
		{
			.visitor = BY_ITSELF,
			.owner =
				"The tunnel works. Start the service that it leads to, or look at the port: nothing "
				"accepts connections there.",
			.retry = 4,
		},
	[CODE_BACKEND_TIMEOUT] =
		{
			.visitor =
				"It may be busy. What you sent may have arrived: look before you send it again.",
			.owner =
				"The tunnel works. The machine that it leads to does not answer: it may be off, "
				"overloaded, or behind a firewall that drops connections.",
		},
	[CODE_BACKEND_BAD_RESPONSE] =
		{
			.visitor = "What you sent may have arrived: look before you send it again.",
			.owner =
				"The tunnel works. Does the service speak HTTP on this port? For one that speaks HTTPS, or "
				"no HTTP at all, the tunnel has to be created with an https or tcp address.",
		},
	[CODE_AGENT_OFFLINE] =
		{
			.visitor = BY_ITSELF,
			.owner =
				"The tunnel lives, and keeps its address. Serve it again, from any machine, with the "
				"port that your service listens on:",
			.command = "tunnel up PORT --attach",
			.with_id = true,
			.retry = 2,
		},
	[CODE_DRAINING] =
		{
			.visitor = BY_ITSELF,
			.retry = 2,
		},
	[CODE_LOOP_DETECTED] =
		{
			.owner =
				"Share the port of the service itself, not one that leads to this server.",
		},
};

const struct page_text *page_text(enum code code)
{
	assert(code > CODE_NONE && code < CODES);
	return &texts[code];
}
