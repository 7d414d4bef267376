// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "origins.h"

#include "listener.h"
#include "networks.h"
#include "supervisor.h"
#include "url.h"

#include <stdio.h>

static void network_encode(const struct policy_rule *rule, uint8_t network[NETWORK_SIZE])
{
	bool v4 = rule->network.family == AF_INET;

	memset(network, 0, NETWORK_SIZE);
	if (v4)
		memset(network + 10, 0xff, 2); // mapped
	memcpy(network + (v4 ? 12 : 0), rule->network.bytes, v4 ? 4 : 16);
	network[NETWORK_SIZE - 1] = (uint8_t)(rule->bits + (v4 ? 96 : 0));
}

// The URL of a port, which speaks TLS if any address does. Without port_pool_url: that of the host
// that visitors know, unless the pool has an address of its own.
static void format_port_url(const struct options *options, char out[ORIGIN_TEXT_MAX + 1])
{
	const struct options_range *pool = &options->port_pool.items[0];
	const struct sockaddr *first = (const void *)&pool->first;
	const char *scheme = options->tls_listen.n > 0 ? "https" : "http";
	char address[LISTENER_TEXT_MAX];
	struct url url;
	const char *why;

	out[0] = '\0';
	if (options->port_pool.n == 0)
		return;
	listener_format(first, address);
	*strrchr(address, ':') = '\0';
	if (options->port_pool_url != NULL)
		snprintf(out, ORIGIN_TEXT_MAX + 1, "%s", options->port_pool_url);
	else if (!pool->bare && !listener_is_wildcard(first))
		snprintf(out, ORIGIN_TEXT_MAX + 1, "%s://%s:{port}", scheme, address);
	else if (url_parse(&url, span_of(options->public_url), &why) == 0)
		snprintf(out, ORIGIN_TEXT_MAX + 1,
			url.host_kind == URL_IPV6 ? "%s://[%s]:{port}" : "%s://%s:{port}", scheme,
			url.host);
}

// Scheme and port are those of public_url.
static void format_wildcard_url(const struct options *options, char out[ORIGIN_TEXT_MAX + 1])
{
	const char *host = strstr(options->public_url, "://") + strlen("://");
	const char *port = strrchr(host, ':');

	out[0] = '\0';
	if (options->wildcard_domain == NULL)
		return;
	if (port == NULL || strchr(port, ']') != NULL)
		port = "";
	snprintf(out, ORIGIN_TEXT_MAX + 1, "%.*s{id}.%s%s", (int)(host - options->public_url),
		options->public_url, options->wildcard_domain, port);
}

void origins_of(const struct options *options, struct origins *origins)
{
	snprintf(origins->url[ORIGIN_PATH], sizeof origins->url[ORIGIN_PATH], "%s",
		options->public_url);
	format_port_url(options, origins->url[ORIGIN_PORT]);
	format_wildcard_url(options, origins->url[ORIGIN_WILDCARD]);
}

int origins_send(struct process *process)
{
	const struct options *options = process->supervisor->options;
	const struct options_rules *trusted = &options->trusted_proxies;
	uint8_t networks[NETWORKS_MAX * NETWORK_SIZE];
	struct origins origins;

	for (size_t i = 0; i < trusted->n; i++)
		network_encode(&trusted->items[i], networks + i * NETWORK_SIZE);
	origins_of(options, &origins);
	return ipc_post(&process->control, MSG_ORIGINS, -1,
		wire_bin(networks, trusted->n * NETWORK_SIZE),
		wire_str(span_of(origins.url[ORIGIN_PATH])),
		wire_str(span_of(origins.url[ORIGIN_PORT])),
		wire_str(span_of(origins.url[ORIGIN_WILDCARD])),
		wire_bool(options->control_listen.n > 0));
}
