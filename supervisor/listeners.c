// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "listeners.h"

#include "log.h"

#include <stdio.h>

enum { ADVICE_MAX = 128 };

// [::] takes IPv4 too, unless that has a listener of its own on this port.
static bool has_v4_twin(const struct options_addresses *all, const struct sockaddr_in6 *in6)
{
	for (size_t i = 0; i < all->n; i++) {
		const struct sockaddr_in *in = (const void *)&all->items[i];
		if (in->sin_family == AF_INET && in->sin_port == in6->sin6_port)
			return true;
	}
	return false;
}

// What to do about ERROR, to be put behind it. KEY is the list that ADDRESS is from.
static void advise(const struct sockaddr *address, int error, const char *key, char out[ADVICE_MAX])
{
	const struct sockaddr_in *in = (const void *)address;
	const struct sockaddr_in6 *in6 = (const void *)address;
	bool v6 = address->sa_family == AF_INET6;

	out[0] = '\0';
	if (error == EADDRINUSE)
		snprintf(out, ADVICE_MAX, "; choose another address with -o %s=ADDRESS:PORT", key);
	else if (error == EACCES && ntohs(v6 ? in6->sin6_port : in->sin_port) < 1024)
		snprintf(out, ADVICE_MAX, "; ports below 1024 need root or CAP_NET_BIND_SERVICE");
}

// Makes room for one more. Returns 0 or -ENOMEM.
static int grow(struct listeners *l)
{
	struct listener_entry *entries = reallocarray(l->entries, l->n + 1, sizeof *entries);
	if (entries != NULL)
		l->entries = entries;
	struct sockaddr_storage *addresses =
		reallocarray(l->addresses, l->n + 1, sizeof *addresses);
	if (addresses != NULL)
		l->addresses = addresses;
	return entries != NULL && addresses != NULL ? 0 : -ENOMEM;
}

static int open_one(struct listeners *l, const struct sockaddr *wanted, bool only_v6,
	enum listener_use use, bool tls)
{
	CLEANUP(close_p) int fd = listener_open(wanted, only_v6);

	if (fd < 0)
		return fd;
	int r = grow(l);
	if (r < 0)
		return r;
	struct sockaddr_storage *address = &l->addresses[l->n];
	socklen_t size = sizeof *address;
	if (getsockname(fd, (struct sockaddr *)address, &size) < 0)
		return -errno;
	l->entries[l->n++] = (struct listener_entry){.fd = take_fd(&fd), .use = use, .tls = tls};
	return 0;
}

static int open_or_explain(struct listeners *l, const struct sockaddr *wanted, bool only_v6,
	enum listener_use use, bool tls, const char *key)
{
	char text[LISTENER_TEXT_MAX], advice[ADVICE_MAX];
	int r = open_one(l, wanted, only_v6, use, tls);

	if (r == 0)
		return 0;
	advise(wanted, -r, key, advice);
	log_error("cannot listen on %s: %s%s", listener_format(wanted, text), strerror(-r), advice);
	return LISTENERS_EXPLAINED;
}

int listeners_open(struct listeners *listeners, const struct options_addresses *addresses,
	enum listener_use use, bool tls, const char *key)
{
	int r = 0;

	for (size_t i = 0; i < addresses->n && r == 0; i++) {
		const struct sockaddr *wanted = (const void *)&addresses->items[i];
		bool only_v6 = wanted->sa_family == AF_INET6 &&
			       has_v4_twin(addresses, (const void *)wanted);
		r = open_or_explain(listeners, wanted, only_v6, use, tls, key);
	}
	return r;
}

int listeners_open_range(struct listeners *listeners, const struct options_range *range,
	enum listener_use use, bool tls, const char *key)
{
	struct sockaddr_storage address = range->first;
	int r = 0;

	for (uint32_t port = listener_port((const void *)&address); port <= range->last && r == 0;
		port++) {
		listener_set_port((void *)&address, (uint16_t)port);
		r = open_or_explain(listeners, (const void *)&address, false, use, tls, key);
	}
	return r;
}

// Makes those of RANGE require the header. Returns how many there are.
static unsigned require_proxy(struct listeners *l, const struct options_range *range)
{
	const struct sockaddr *first = (const void *)&range->first;
	unsigned n = 0;

	for (size_t i = 0; i < l->n; i++) {
		const struct sockaddr *address = (const void *)&l->addresses[i];
		uint16_t port = listener_port(address);
		if (!listener_same_host(address, first) || port < listener_port(first) ||
			port > range->last)
			continue;
		l->entries[i].proxy = true;
		n++;
	}
	return n;
}

int listeners_require_proxy(struct listeners *listeners, const struct options_ranges *ranges)
{
	for (size_t i = 0; i < ranges->n; i++) {
		const struct options_range *range = &ranges->items[i];
		const struct sockaddr *first = (const void *)&range->first;
		unsigned wanted = range->last - listener_port(first) + 1u;
		char text[LISTENER_TEXT_MAX];
		if (require_proxy(listeners, range) >= wanted)
			continue;
		log_error("proxy_protocol names %s%s, where nothing else listens: write it as in "
			  "the key that does",
			listener_format(first, text), wanted > 1 ? " and more" : "");
		return LISTENERS_EXPLAINED;
	}
	return 0;
}

void listeners_format(const struct listeners *listeners, char out[LISTENERS_TEXT_MAX])
{
	static const char *const leads[LISTENER_USES] = {
		[LISTENER_VISITORS] = "",
		[LISTENER_METRICS] = "for metrics ",
		[LISTENER_CONTROL] = "for the API ",
		[LISTENER_PORT] = "for single tunnels ",
	};
	size_t n = 0;

	for (size_t i = 0; i < listeners->n; i++) {
		char address[LISTENER_TEXT_MAX], last[sizeof "-65535"] = "";
		const struct listener_entry *entry = &listeners->entries[i];
		enum listener_use use = entry->use;
		bool first = i == 0 || use != entry[-1].use || entry->tls != entry[-1].tls;
		const char *lead = entry->tls && use == LISTENER_VISITORS ? "for TLS " : leads[use];
		listener_format((const void *)&listeners->addresses[i], address);
		while (use == LISTENER_PORT && i + 1 < listeners->n &&
			listeners->entries[i + 1].use == use)
			snprintf(last, sizeof last, "-%u",
				listener_port((const void *)&listeners->addresses[++i]));
		n += (size_t)snprintf(out + n, LISTENERS_TEXT_MAX - n, "%s%s%s%s",
			n == 0 ? "" : ", ", first ? lead : "", address, last);
	}
}
