// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The shape of the database and the steps that lead to it. docs/database.md describes the tables.

#pragma once

#include "util.h"

struct sqlite3;

// Step i leads from schema version i to i + 1; a database carries its version in user_version.
// Released steps are never changed: a new shape is a new step.
struct schema {
	const char *const *steps;
	int n_steps;
};

extern const struct schema schema_tunneld;

enum { SCHEMA_NEWER = 1, SCHEMA_FOREIGN = 2 };

// What DB is, without touching it. Returns 0 and its *VERSION, SCHEMA_NEWER when it is newer than
// any step known here, SCHEMA_FOREIGN when it has tables but is not ours, or -EIO with the reason
// in sqlite3_errmsg().
int schema_check(struct sqlite3 *db, const struct schema *schema, int *version) WARN_UNUSED;

// Brings DB from VERSION to the newest one, each step in a transaction of its own. Returns 0 or
// -EIO.
int schema_migrate(struct sqlite3 *db, const struct schema *schema, int version) WARN_UNUSED;
