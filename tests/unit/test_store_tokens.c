// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Scoped tokens and idempotency keys in the database: what comes back, what belongs to whom, and
// that nothing a caller asks for is searched without an index.

#include "store_run.h"

// ---- tokens

static struct token sample_token(unsigned n)
{
	struct token token = {.name = "d\xc3\xa9mo",
		.quota = 3,
		.created_at = 1700000000,
		.expires_at = 1700000100};
	token.expires_at += n;
	snprintf(token.id, sizeof token.id, "k-%026u", n);
	memset(token.hash.bytes, (int)n + 1, SECRET_HASH_SIZE);
	return token;
}

static struct token add_token(unsigned n)
{
	struct token token = sample_token(n);
	assert_int_equal(store_token_add(store, &token, asked), 0);
	return token;
}

// A tunnel of a token, active.
static struct tunnel add_owned(unsigned n, const char *token)
{
	struct tunnel tunnel = sample(n);
	memset(tunnel.token, 0, sizeof tunnel.token);
	memcpy(tunnel.token, token, strlen(token));
	assert_int_equal(store_tunnel_add(store, &tunnel, asked), 0);
	tunnel.expires_at = 1700001000;
	tunnel.deadline_us = tunnel.remaining_ms = 5;
	memcpy(tunnel.boot_id, CASE_BOOT, sizeof CASE_BOOT);
	assert_int_equal(store_tunnel_activate(store, &tunnel, NULL, other), 0);
	return tunnel;
}

static void tokens_come_back_as_they_were(void **state)
{
	struct token made = add_token(1), read, nobody = sample_token(9);
	add_token(2);
	reopen();
	assert_int_equal(store_token_get(store, span_of(made.id), &read), 0);
	assert_string_equal(read.id, made.id);
	assert_string_equal(read.name, made.name);
	assert_memory_equal(&read.hash, &made.hash, SECRET_HASH_SIZE);
	assert_int_equal(read.quota, 3);
	assert_int_equal(read.created_at, 1700000000);
	assert_int_equal(read.expires_at, 1700000101);
	assert_int_equal(store_token_find(store, &made.hash, &read), 0);
	assert_string_equal(read.id, made.id);
	assert_int_equal(store_token_find(store, &nobody.hash, &read), STORE_NONE);
	assert_int_equal(store_token_get(store, SPAN("' OR 1=1 --"), &read), STORE_NONE);
	assert_true(store_token_add(store, &made, asked) < 0); // ids and hashes are unique
	uint64_t n;
	assert_int_equal(store_tokens_count(store, &n), 0);
	assert_int_equal(n, 2);
}

static bool see_token(const struct token *token, void *arg)
{
	struct seen *seen = arg;
	memcpy(seen->ids[seen->n++], token->id, sizeof seen->ids[0]);
	return seen->n != seen->stop_after;
}

static void tokens_are_listed_and_forgotten(void **state)
{
	struct seen seen = {0};
	struct token late = add_token(7), soon = add_token(3), read;
	assert_int_equal(store_tokens_list(store, see_token, &seen), 0);
	assert_int_equal(seen.n, 2);
	assert_memory_equal(seen.ids[0], soon.id, strlen(soon.id)); // newest first
	assert_int_equal(store_token_next_end(store, &read), 0);
	assert_string_equal(read.id, soon.id);
	assert_int_equal(store_token_remove(store, soon.id, "expired", other), 0);
	assert_int_equal(store_token_remove(store, soon.id, "expired", other), STORE_NONE);
	assert_int_equal(store_token_next_end(store, &read), 0);
	assert_string_equal(read.id, late.id);
	assert_int_equal(store_token_remove(store, late.id, "revoked", asked), 0);
	assert_int_equal(store_token_next_end(store, &read), STORE_NONE);
	assert_int_equal(store_token_find(store, &late.hash, &read), STORE_NONE);
	assert_int_equal(number("SELECT count(*) FROM audit"), 4);
	assert_int_equal(
		number("SELECT count(*) FROM audit WHERE seq = 3 AND was = 'active' AND became ="
		       " 'expired' AND actor = 'supervisor' AND subject GLOB 'k-*3'"),
		1);
}

static void a_token_has_tunnels_of_its_own(void **state)
{
	uint64_t n;
	struct seen seen = {0};
	struct token one = add_token(1), two = add_token(2);
	add_active(1);
	struct tunnel over = add_owned(2, one.id);
	struct tunnel lives = add_owned(3, one.id);
	add_owned(4, two.id);
	assert_int_equal(store_tunnel_end(store, over.id, TUNNEL_REVOKED, 5, NULL, other), 0);
	assert_int_equal(store_tunnels_count(store, one.id, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(store_tunnels_count(store, NULL, &n), 0);
	assert_int_equal(n, 3);
	assert_int_equal(store_tunnels_list(store, one.id, 0, INT64_MAX, 9, see, &seen), 0);
	assert_int_equal(seen.n, 2);
	assert_string_equal(seen.ids[0], lives.id);
	int64_t before = seen.seqs[0];
	seen.n = 0;
	assert_int_equal(store_tunnels_list(store, one.id, 0, before, 9, see, &seen), 0);
	assert_int_equal(seen.n, 1);
	assert_string_equal(seen.ids[0], over.id);
	seen.n = 0;
	assert_int_equal(
		store_tunnels_list(store, one.id, TUNNEL_ACTIVE, INT64_MAX, 9, see, &seen), 0);
	assert_int_equal(seen.n, 1);
	assert_string_equal(seen.ids[0], lives.id);
}

static void tunnels_without_a_token(void **state)
{
	struct seen seen = {0};
	struct token one = add_token(1), two = add_token(2);
	struct tunnel owners = add_active(1), lost = add_owned(2, one.id),
		      kept = add_owned(3, two.id), over = add_owned(4, one.id);
	assert_int_equal(store_tunnel_end(store, over.id, TUNNEL_EXPIRED, 5, NULL, other), 0);
	assert_int_equal(store_tunnels_disowned(store, see, &seen), 0);
	assert_int_equal(seen.n, 0);
	assert_int_equal(store_token_remove(store, one.id, "revoked", asked), 0);
	assert_int_equal(store_tunnels_disowned(store, see, &seen), 0);
	assert_int_equal(seen.n, 1);
	assert_string_equal(seen.ids[0], lost.id);
	assert_true(store_tunnel_is_disowned(store, lost.id));
	assert_false(store_tunnel_is_disowned(store, kept.id));
	assert_false(store_tunnel_is_disowned(store, owners.id));
	// They are not restored either.
	seen.n = 0;
	assert_int_equal(store_live_missing(store, see, &seen), 0);
	assert_int_equal(seen.n, 2);
	assert_string_not_equal(seen.ids[0], lost.id);
	assert_string_not_equal(seen.ids[1], lost.id);
}

// ---- idempotency keys

static void keys_of_tunnels(void **state)
{
	struct secret_hash key = {{1}}, unused = {{2}};
	struct tunnel made = add(1), second = add(2), read;
	assert_int_equal(store_tunnel_of_key(store, &key, &read), STORE_NONE);
	memcpy(made.boot_id, CASE_BOOT, sizeof CASE_BOOT);
	memcpy(second.boot_id, CASE_BOOT, sizeof CASE_BOOT);
	assert_int_equal(store_tunnel_activate(store, &made, &key, other), 0);
	reopen();
	assert_int_equal(store_tunnel_of_key(store, &key, &read), 0);
	assert_string_equal(read.id, made.id);
	assert_int_equal(store_tunnel_of_key(store, &unused, &read), STORE_NONE);
	// Restored without it, it keeps it; nobody else gets it; and it outlives the tunnel's end.
	assert_int_equal(store_tunnel_activate(store, &made, NULL, other), 0);
	assert_true(store_tunnel_activate(store, &second, &key, other) < 0);
	assert_int_equal(get(second.id).state, TUNNEL_STARTING);
	assert_int_equal(store_tunnel_end(store, made.id, TUNNEL_EXPIRED, 5, NULL, other), 0);
	assert_int_equal(store_tunnel_of_key(store, &key, &read), 0);
	assert_int_equal(read.state, TUNNEL_EXPIRED);
	bool more;
	assert_int_equal(store_purge(store, 10, 5, &more), 0);
	assert_int_equal(store_tunnel_of_key(store, &key, &read), STORE_NONE);
	assert_int_equal(store_tunnel_activate(store, &second, &key, other), 0);
}

// What SQLite plans for a query: everything a caller can make it search is searched by an index.
static void expect_index(const char *query)
{
	char text[512];
	sqlite3_stmt *statement;
	snprintf(text, sizeof text, "EXPLAIN QUERY PLAN %s", query);
	assert_int_equal(sqlite3_prepare_v2(store->db, text, -1, &statement, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	const char *plan = (const char *)sqlite3_column_text(statement, 3);
	if (strncmp(plan, "SEARCH", 6) != 0)
		fail_msg("%s: %s", query, plan);
	int more = sqlite3_step(statement);
	if (more == SQLITE_ROW)
		fail_msg("%s: %s", query, (const char *)sqlite3_column_text(statement, 3));
	sqlite3_finalize(statement);
}

static void queries_of_callers_use_an_index(void **state)
{
	static const enum statement which[] = {SQL_GET, SQL_GET_KEY, SQL_COUNT, SQL_COUNT_TOKEN,
		SQL_LIST_STATE, SQL_LIST_ALL, SQL_LIST_TOKEN, SQL_LIST_TOKEN_STATE, SQL_TOKEN_GET,
		SQL_TOKEN_FIND};
	for (size_t i = 0; i < ARRAY_SIZE(which); i++)
		expect_index(sqlite3_sql(store->statements[which[i]]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(tokens_come_back_as_they_were, setup, teardown),
		cmocka_unit_test_setup_teardown(tokens_are_listed_and_forgotten, setup, teardown),
		cmocka_unit_test_setup_teardown(a_token_has_tunnels_of_its_own, setup, teardown),
		cmocka_unit_test_setup_teardown(tunnels_without_a_token, setup, teardown),
		cmocka_unit_test_setup_teardown(keys_of_tunnels, setup, teardown),
		cmocka_unit_test_setup_teardown(queries_of_callers_use_an_index, setup, teardown),
	};
	assert_int_equal(store_prepare_process(), 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
