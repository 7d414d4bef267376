// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Where a target is. Literals and localhost are known (RFC 6761 section 6.3); a name is looked up
// each time, and those who ask meanwhile share the answer.

#pragma once

#include "loop.h"
#include "resolution.h"
#include "target.h"

enum { ADDRESSES_MOST = 8 };

struct address {
	socklen_t size;
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
	};
};

struct address_list {
	unsigned n; // 0: the name is not known, or nobody could be asked
	struct address at[ADDRESSES_MOST];
};

// Somebody who waits; embedded in what is going to connect.
struct addresses_wait {
	void (*found)(struct addresses_wait *wait, const struct address_list *list);
	struct addresses_wait *next, **prev; // private
};

struct addresses {
	struct loop *loop;
	const struct target *target;
	struct address_list list; // what is known, or was found last
	bool literal;             // it is never looked up
	struct addresses_wait *waits;
	struct resolution *asking;
	struct loop_watch answer;
};

// TARGET (borrowed) is TARGET_INET or TARGET_UNIX.
void addresses_init(struct addresses *addresses, struct loop *loop, const struct target *target);
void addresses_deinit(struct addresses *addresses);

// Calls WAIT->found(), perhaps before it returns.
void addresses_ask(struct addresses *addresses, struct addresses_wait *wait);
// WAIT is not called any more. One that does not wait is left alone.
void addresses_forget(struct addresses_wait *wait);

// INDEX has been connected to: it is tried first from now on. Only where addresses are not looked
// up.
void addresses_prefer(struct addresses *addresses, unsigned index);
