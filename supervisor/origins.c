// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "origins.h"

#include "networks.h"
#include "supervisor.h"

static void network_encode(const struct policy_rule *rule, uint8_t network[NETWORK_SIZE])
{
	bool v4 = rule->network.family == AF_INET;

	memset(network, 0, NETWORK_SIZE);
	if (v4)
		memset(network + 10, 0xff, 2); // mapped
	memcpy(network + (v4 ? 12 : 0), rule->network.bytes, v4 ? 4 : 16);
	network[NETWORK_SIZE - 1] = (uint8_t)(rule->bits + (v4 ? 96 : 0));
}

int origins_send(struct process *process)
{
	const struct options_rules *trusted = &process->supervisor->options->trusted_proxies;
	uint8_t networks[NETWORKS_MAX * NETWORK_SIZE];

	for (size_t i = 0; i < trusted->n; i++)
		network_encode(&trusted->items[i], networks + i * NETWORK_SIZE);
	return ipc_post(
		&process->control, MSG_ORIGINS, -1, wire_bin(networks, trusted->n * NETWORK_SIZE));
}
