// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Which address a push tunnel may dial: judged on the very address and port handed to connect(),
// after name resolution, so that no name and no spelling gets around it.
//
// An IPv6 address may stand for an IPv4 one (mapped, NAT64, 6to4 ...). Both are judged: what is
// refused in either reading is refused. backend_allow has to hold what is dialled: the IPv4 address
// where it is only spelled differently, both where an IPv6 host is behind it (6to4, Teredo,
// ISATAP).

#pragma once

#include "util.h"

#include <netinet/in.h>
#include <sys/socket.h>

// A plain address: IPv4 in the first four bytes, or IPv6 in all sixteen; network order.
struct policy_ip {
	sa_family_t family; // AF_INET or AF_INET6
	uint8_t bytes[16];
};

// One entry of backend_allow or backend_deny.
struct policy_rule {
	struct policy_ip network;
	uint8_t bits;  // of the address that must agree: 0..32 or 0..128
	uint16_t port; // host order; 0: any
};

// Borrowed, not owned: the arrays must outlive the policy.
struct policy {
	const struct policy_rule *allow;
	size_t n_allow;
	const struct policy_rule *deny;
	size_t n_deny;
	// What tunneld itself listens on, as getsockname() tells it. A wildcard address stands for
	// that port on every address of this machine, in both families.
	const struct sockaddr_storage *listeners;
	size_t n_listeners;
};

enum { POLICY_FORBIDDEN = 1 };

// Whether ADDRESS (AF_INET or AF_INET6, with its port) may be dialled for a tunnel made with the
// owner token (OWNER) or with a scoped one. Returns 0, or POLICY_FORBIDDEN with *WHY (static text,
// reads after "the backend address is refused: "). May ask the kernel's routing table; never blocks
// on anything else.
int policy_check(const struct policy *policy, const struct sockaddr *address, bool owner,
	const char **why) WARN_UNUSED;

// Parses one rule: 10.0.0.0/8, 10.1.2.3:443, fd00::/8, [fd00::]/8:443 or [::1]:3000; a missing
// length means the one address. Returns 0, or 1 with *WHY set to what is wrong and what to write
// instead (static text). Refused too: bits set behind the length, port 0, IPv4 networks in IPv6
// spelling (they would never match, policy_check() looks at the IPv4 address they stand for).
int policy_rule_parse(struct policy_rule *rule, struct span text, const char **why) WARN_UNUSED;

// Writes the one canonical spelling, length always there. Returns its length without the NUL.
enum { POLICY_RULE_TEXT_MAX = INET6_ADDRSTRLEN + sizeof "[]/128:65535" };
size_t policy_rule_format(const struct policy_rule *rule, char out[POLICY_RULE_TEXT_MAX]);
