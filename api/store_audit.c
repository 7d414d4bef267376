// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The audit table, read: each change of state adds a row in its own transaction (store_audit()).

#include "store_private.h"

static void read_row(sqlite3_stmt *s, struct audit_row *row)
{
	row->seq = sqlite3_column_int64(s, 0);
	row->at = sqlite3_column_int64(s, 1);
	store_read_text(s, 2, row->subject, sizeof row->subject);
	store_read_text(s, 3, row->was, sizeof row->was);
	store_read_text(s, 4, row->became, sizeof row->became);
	store_read_text(s, 5, row->actor, sizeof row->actor);
	store_read_text(s, 6, row->reason, sizeof row->reason);
	store_read_text(s, 7, row->name, sizeof row->name);
}

int store_audit_list(struct store *store, const char *token, int64_t before, unsigned limit,
	store_audit_each each, void *arg)
{
	struct audit_row row;
	int result, r = 0, place = 1;
	bool wanted = true;
	sqlite3_stmt *statement =
		store_statement(store, token != NULL ? SQL_AUDIT_TOKEN : SQL_AUDIT_ALL);
	if (token != NULL)
		store_bind_text(statement, place++, token);
	sqlite3_bind_int64(statement, place++, before);
	sqlite3_bind_int64(statement, place, limit);
	while (wanted && (result = sqlite3_step(statement)) != SQLITE_DONE) {
		if (result != SQLITE_ROW) {
			r = store_failed(store, result);
			break;
		}
		read_row(statement, &row);
		wanted = each(&row, arg);
	}
	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
	return r;
}
