// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "agent_memory.h"

#include "supervisor.h"

int agent_memory_tell(struct tunnel *tunnel)
{
	const struct supervisor *supervisor = tunnel->supervisor;
	uint64_t all = (uint64_t)supervisor->options->agent_memory << 20;

	return ipc_post(&tunnel->relay.control, MSG_AGENT_MEMORY, -1,
		wire_uint(all >> supervisor->agent_memory.halvings));
}

// A relay that does not read its channel cannot be told, and would keep more than its share.
static void tell_again(struct tunnel *tunnel)
{
	if (tunnel->pull && tunnel->state == TUNNEL_LIVE && agent_memory_tell(tunnel) != IPC_SENT)
		process_kill(&tunnel->relay);
}

static void share_out(struct supervisor *supervisor, unsigned halvings)
{
	supervisor->agent_memory.halvings = halvings;
	tunnels_each(&supervisor->tunnels, tell_again);
}

void agent_memory_taken(struct supervisor *supervisor)
{
	struct agent_memory *memory = &supervisor->agent_memory;

	if (++memory->relays > 1u << memory->halvings)
		share_out(supervisor, memory->halvings + 1);
}

// Not doubled before a quarter is left: at the edge one that comes and goes would change it always.
void agent_memory_given(struct supervisor *supervisor)
{
	struct agent_memory *memory = &supervisor->agent_memory;

	if (--memory->relays < 1u << memory->halvings >> 2)
		share_out(supervisor, memory->halvings - 1);
}
