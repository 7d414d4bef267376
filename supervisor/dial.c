// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "dial.h"

#include "listener.h"

static void to_sockaddr(struct sockaddr_storage *out, const struct in6_addr *address, uint16_t port)
{
	*out = (struct sockaddr_storage){0};
	if (IN6_IS_ADDR_V4MAPPED(address)) {
		struct sockaddr_in *in = (void *)out;
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		memcpy(&in->sin_addr, address->s6_addr + 12, sizeof in->sin_addr);
	} else {
		struct sockaddr_in6 *in6 = (void *)out;
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		in6->sin6_addr = *address;
	}
}

unsigned dial_target_pin(struct dial_target *target, const struct policy *policy,
	const struct in6_addr *from, size_t n, const char **why)
{
	const char *refusal;

	target->n = target->preferred = 0;
	*why = "it has no address";
	for (size_t i = 0; i < n && target->n < DIAL_ADDRESSES_MAX; i++) {
		struct sockaddr_storage address;
		to_sockaddr(&address, &from[i], target->port);
		int r = policy_check(policy, (struct sockaddr *)&address, target->owner, &refusal);
		if (r == 0)
			target->addresses[target->n++] = from[i];
		else if (i == 0)
			*why = refusal;
	}
	return target->n;
}

bool dial_target_equal(const struct dial_target *a, const struct dial_target *b)
{
	return a->n == b->n && memcmp(a->addresses, b->addresses, a->n * sizeof *a->addresses) == 0;
}

unsigned dial_attempts(const struct dial_target *target)
{
	return target->n > 1 ? target->n + 1 : target->n;
}

static enum dial_failure failure_of(int error)
{
	switch (error) {
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
	case EADDRNOTAVAIL: // no free local port towards this address
		return DIAL_EXHAUSTED;
	case ETIMEDOUT: return DIAL_TIMEOUT;
	default: return DIAL_REFUSED;
	}
}

// Returns 0 with *FD, or an enum dial_failure.
static int connect_to(const struct sockaddr *address, int *fd)
{
	CLEANUP(close_p)
	int socket_fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (socket_fd < 0)
		return failure_of(errno);
	int r = listener_set_options(socket_fd);
	if (r < 0)
		return failure_of(-r);
	if (connect(socket_fd, address, listener_address_size(address)) < 0 && errno != EINPROGRESS)
		return failure_of(errno);
	*fd = take_fd(&socket_fd);
	return 0;
}

int dial_open(struct dial_target *target, const struct policy *policy, unsigned attempt, int *fd)
{
	unsigned first = attempt == 0 ? target->preferred : attempt % target->n;
	int failure = DIAL_REFUSED;

	for (unsigned i = 0; i < target->n; i++) {
		unsigned index = (first + i) % target->n;
		struct sockaddr_storage address;
		const char *why;
		to_sockaddr(&address, &target->addresses[index], target->port);
		if (policy_check(policy, (struct sockaddr *)&address, target->owner, &why) != 0) {
			failure = DIAL_FORBIDDEN;
			continue;
		}
		failure = connect_to((struct sockaddr *)&address, fd);
		if (failure == 0) {
			target->preferred = index;
			return 0;
		}
		if (failure == DIAL_EXHAUSTED)
			break;
	}
	return failure;
}
