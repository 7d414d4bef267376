// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The same with a store that is open from the beginning of each test to its end, and short words
// for what is in it.

#pragma once

#include "store_case.h"

static struct store *store;

static const struct store_cause asked = {"owner", "asked for"};
static const struct store_cause other = {"supervisor", "said so"};

static inline void reopen(void)
{
	store_free(store);
	store = case_open();
}

static inline int setup(void **state)
{
	if (case_setup(state) != 0)
		return -1;
	reopen();
	return 0;
}

static inline int teardown(void **state)
{
	store_free(store);
	store = NULL;
	return case_teardown(state);
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

// Every setting another than usual.
static inline struct tunnel sample(unsigned n)
{
	struct tunnel tunnel = case_tunnel(n);
	memcpy(tunnel.name, "d\xc3\xa9mo", sizeof "d\xc3\xa9mo");
	tunnel.auth = AUTH_BASIC;
	tunnel.prefix = PREFIX_KEEP;
	tunnel.max_connections = 1;
	tunnel.max_requests = 2;
	tunnel.max_bytes = UINT64_MAX;
	tunnel.request_rate = 4;
	tunnel.created_at += n;
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
