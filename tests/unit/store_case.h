// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// For tests of the store: a database in a folder of its own, and tunnels to put into it.

#pragma once

#include "store_private.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <dirent.h>
#include <limits.h>
#include <stdio.h>

#define CASE_BOOT "11111111-2222-3333-4444-555555555555"

static char case_folder[64];
static char case_path[PATH_MAX];
static const struct store_cause case_cause = {"test", "of the store"};

static inline void case_empty(void)
{
	char name[PATH_MAX];
	DIR *dir = opendir(case_folder);
	for (struct dirent *d; dir != NULL && (d = readdir(dir)) != NULL;) {
		snprintf(name, sizeof name, "%s/%s", case_folder, d->d_name);
		unlink(name);
	}
	closedir(dir);
}

static inline int case_setup(void **state)
{
	// In memory where that is possible: thousands of commits, each of which would wait for a
	// disk.
	snprintf(case_folder, sizeof case_folder, "%s/tunneld-store-XXXXXX",
		access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (mkdtemp(case_folder) == NULL)
		return -1;
	snprintf(case_path, sizeof case_path, "%s/test.db", case_folder);
	return 0;
}

static inline int case_teardown(void **state)
{
	case_empty();
	return rmdir(case_folder);
}

// Opens what must be good.
static inline struct store *case_open(void)
{
	char why[256] = "";
	struct store *store = NULL;
	int r = store_open(&store, case_path, why, sizeof why);
	if (r != 0)
		print_error("%s\n", why);
	assert_int_equal(r, 0);
	return store;
}

// PRAGMA integrity_check, which looks at more than store_open() does.
static inline void case_check(struct store *store)
{
	sqlite3_stmt *statement;
	assert_int_equal(
		sqlite3_prepare_v2(store->db, "PRAGMA integrity_check", -1, &statement, NULL),
		SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	assert_string_equal(sqlite3_column_text(statement, 0), "ok");
	sqlite3_finalize(statement);
}

// Tunnel number N: its id, and all that is needed to make it active.
static inline struct tunnel case_tunnel(unsigned n)
{
	struct tunnel tunnel = {
		.token = "owner",
		.state = TUNNEL_STARTING,
		.name = "sample",
		.backend = "http://127.0.0.1:3000",
		.auth = AUTH_BEARER,
		.prefix = PREFIX_STRIP,
		.timeout_s = 60,
		.life_ms = 60000,
		.created_at = 1700000000,
		.expires_at = 1700001000,
		.deadline_us = 5000000,
		.remaining_ms = 4000,
	};
	snprintf(tunnel.id, sizeof tunnel.id, "t-%024u", n);
	memset(tunnel.secret_hash.bytes, (int)(n & 0xff), SECRET_HASH_SIZE);
	memcpy(tunnel.boot_id, CASE_BOOT, sizeof CASE_BOOT);
	return tunnel;
}

// Its state, 0 when it is not there.
static inline enum tunnel_state case_state(struct store *store, unsigned n)
{
	struct tunnel wanted = case_tunnel(n), found;
	int r = store_tunnel_get(store, span_of(wanted.id), &found);
	assert_true(r == 0 || r == STORE_NONE);
	return r == 0 ? found.state : 0;
}
