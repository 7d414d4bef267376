// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// A token is looked up by its SHA-256 in an index, which takes a time that depends on how many
// leading bits agree with a stored hash. That is harmless: whoever measures it learns bits of the
// hash at best, and even the whole hash of 256 random bits leads to no token.

#include "store_private.h"

static int insert(struct store *store, const struct token *token)
{
	sqlite3_stmt *statement = store_statement(store, SQL_TOKEN_ADD);
	store_bind_text(statement, 1, token->id);
	store_bind_text(statement, 2, token->name);
	store_bind_hash(statement, 3, &token->hash);
	store_bind_count(statement, 4, token->quota);
	sqlite3_bind_int64(statement, 5, token->created_at);
	sqlite3_bind_int64(statement, 6, token->expires_at);
	return store_run(store, statement);
}

int store_token_add(struct store *store, const struct token *token, struct store_cause cause)
{
	bool own;
	int r = store_scope_begin(store, &own);
	if (r < 0)
		return r;
	r = insert(store, token);
	if (r == 0)
		r = store_audit(store, token->id, NULL, "active", cause);
	return store_scope_end(store, own, r);
}

int store_token_remove(
	struct store *store, const char *id, const char *became, struct store_cause cause)
{
	bool own;
	int r = store_scope_begin(store, &own);
	if (r < 0)
		return r;
	sqlite3_stmt *statement = store_statement(store, SQL_TOKEN_REMOVE);
	store_bind_text(statement, 1, id);
	r = store_run(store, statement);
	if (r == 0 && sqlite3_changes(store->db) == 0)
		r = STORE_NONE;
	if (r == 0)
		r = store_audit(store, id, "active", became, cause);
	return store_scope_end(store, own, r);
}

// ---- reading

static void read_token(sqlite3_stmt *statement, struct token *token)
{
	*token = (struct token){0};
	store_read_text(statement, 0, token->id, sizeof token->id);
	store_read_text(statement, 1, token->name, sizeof token->name);
	store_read_hash(statement, 2, &token->hash);
	token->quota = store_read_count(statement, 3);
	token->created_at = sqlite3_column_int64(statement, 4);
	token->expires_at = sqlite3_column_int64(statement, 5);
}

// Reads the one row of STATEMENT. Returns 0, STORE_NONE or an error.
static int read_one(struct store *store, sqlite3_stmt *statement, struct token *ret)
{
	int result = sqlite3_step(statement), r = 0;
	if (result == SQLITE_ROW)
		read_token(statement, ret);
	else
		r = result == SQLITE_DONE ? STORE_NONE : store_failed(store, result);
	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
	return r;
}

int store_token_get(struct store *store, struct span id, struct token *ret)
{
	sqlite3_stmt *statement = store_statement(store, SQL_TOKEN_GET);
	store_bind_span(statement, 1, id);
	return read_one(store, statement, ret);
}

int store_token_find(struct store *store, const struct secret_hash *hash, struct token *ret)
{
	sqlite3_stmt *statement = store_statement(store, SQL_TOKEN_FIND);
	store_bind_hash(statement, 1, hash);
	return read_one(store, statement, ret);
}

int store_tokens_count(struct store *store, uint64_t *ret)
{
	return store_read_number(store, store_statement(store, SQL_TOKEN_COUNT), ret);
}

int store_token_next_end(struct store *store, struct token *ret)
{
	return read_one(store, store_statement(store, SQL_TOKEN_NEXT), ret);
}

int store_tokens_list(struct store *store, store_token_each each, void *arg)
{
	struct token token;
	int result, r = 0;
	bool wanted = true;
	sqlite3_stmt *statement = store_statement(store, SQL_TOKEN_LIST);
	while (wanted && (result = sqlite3_step(statement)) != SQLITE_DONE) {
		if (result != SQLITE_ROW) {
			r = store_failed(store, result);
			break;
		}
		read_token(statement, &token);
		wanted = each(&token, arg);
	}
	sqlite3_reset(statement);
	return r;
}

// ---- tunnels whose token is gone

int store_tunnels_disowned(struct store *store, store_each each, void *arg)
{
	return store_read_all(
		store, store_statement(store, SQL_DISOWNED), store_read_tunnel, each, arg);
}

bool store_tunnel_is_disowned(struct store *store, const char *id)
{
	uint64_t n = 0;
	sqlite3_stmt *statement = store_statement(store, SQL_IS_DISOWNED);
	store_bind_text(statement, 1, id);
	return store_read_number(store, statement, &n) == 0 && n > 0;
}
