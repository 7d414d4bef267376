// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Shared by the tests of the store: a database of its own for each test, and short words for what
// is in it.

#pragma once

#include "store_private.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <dirent.h>
#include <limits.h>
#include <stdio.h>

#define BOOT "11111111-2222-3333-4444-555555555555"

static char folder[64];
static char path[PATH_MAX];
static struct store *store;

static const struct store_cause asked = {"owner", "asked for"};
static const struct store_cause other = {"supervisor", "said so"};

// ---- a database of its own for each test

static inline void reopen(void)
{
	char why[256] = "";
	store_free(store);
	store = NULL;
	int r = store_open(&store, path, why, sizeof why);
	if (r != 0)
		print_error("%s\n", why);
	assert_int_equal(r, 0);
}

static inline int setup(void **state)
{
	snprintf(folder, sizeof folder, "/tmp/tunneld-store-XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof path, "%s/test.db", folder);
	reopen();
	return 0;
}

static inline int teardown(void **state)
{
	char name[PATH_MAX];
	store_free(store);
	store = NULL;
	DIR *dir = opendir(folder);
	for (struct dirent *d; dir != NULL && (d = readdir(dir)) != NULL;) {
		snprintf(name, sizeof name, "%s/%s", folder, d->d_name);
		unlink(name);
	}
	closedir(dir);
	return rmdir(folder);
}

// ---- short words

static inline int64_t number(const char *sql)
{
	sqlite3_stmt *statement;
	assert_int_equal(sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	int64_t n = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return n;
}

static inline void execute(const char *sql)
{
	char *why = NULL;
	int r = sqlite3_exec(store->db, sql, NULL, NULL, &why);
	if (r != SQLITE_OK)
		print_error("%s: %s\n", sql, why);
	assert_int_equal(r, SQLITE_OK);
}

static inline struct tunnel sample(unsigned n)
{
	struct tunnel tunnel = {
		.token = "owner",
		.state = TUNNEL_STARTING,
		.name = "d\xc3\xa9mo",
		.backend = "http://127.0.0.1:3000",
		.auth = AUTH_BASIC,
		.prefix = PREFIX_KEEP,
		.timeout_s = 60,
		.life_ms = 60000,
		.max_connections = 1,
		.max_requests = 2,
		.max_bytes = UINT64_MAX,
		.request_rate = 4,
		.created_at = 1700000000 + n,
	};
	snprintf(tunnel.id, sizeof tunnel.id, "t-%024u", n);
	memset(tunnel.secret_hash.bytes, (int)n + 1, SECRET_HASH_SIZE);
	return tunnel;
}

static inline struct tunnel add(unsigned n)
{
	struct tunnel tunnel = sample(n);
	assert_int_equal(store_tunnel_add(store, &tunnel, asked), 0);
	return tunnel;
}

static inline struct tunnel add_active(unsigned n)
{
	struct tunnel tunnel = add(n);
	tunnel.expires_at = 1700001000 + n;
	tunnel.deadline_us = 5000000 + n;
	tunnel.remaining_ms = 4000;
	memcpy(tunnel.boot_id, BOOT, sizeof BOOT);
	assert_int_equal(store_tunnel_activate(store, &tunnel, NULL, other), 0);
	return tunnel;
}

static inline struct tunnel get(const char *id)
{
	struct tunnel tunnel;
	assert_int_equal(store_tunnel_get(store, span_of(id), &tunnel), 0);
	return tunnel;
}

// What a list has shown.
struct seen {
	int64_t seqs[16];
	char ids[16][TUNNEL_ID_MAX + 1];
	unsigned n, stop_after;
};

static inline bool see(const struct tunnel *tunnel, void *arg)
{
	struct seen *seen = arg;
	assert_true(seen->n < 16);
	seen->seqs[seen->n] = tunnel->seq;
	memcpy(seen->ids[seen->n++], tunnel->id, sizeof tunnel->id);
	return seen->n != seen->stop_after;
}
