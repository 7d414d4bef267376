// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Where collateral is fetched from when `collateral` is a URL: the attestor, which cannot connect,
// asks for a connection each time and speaks HTTP on it. Plain HTTP, for all of it is signed by
// Intel.

#pragma once

#include "dial.h"
#include "resolve.h"
#include "url.h"

struct supervisor;

enum { COLLATERAL_PATH_MAX = 1024 };

struct collateral_url {
	struct supervisor *supervisor;
	struct url url;
	const char *path; // borrowed from the options; NULL: it is no URL
	struct resolve resolve;
	struct dial_target target;
	unsigned attempt;
};

// Whether the value of `collateral` is meant to be one.
bool collateral_is_url(const char *text);

// Reads TEXT, which lives on. Returns 0, or 1 with *WHY (static).
int collateral_url_read(struct collateral_url *source, const char *text, const char **why);

// From the attestor: COLLATERAL or COLLATERAL_FAILED follows.
void collateral_url_connect(struct collateral_url *source);
// The attestor is gone. Harmless when nothing is under way.
void collateral_url_cancel(struct collateral_url *source);
