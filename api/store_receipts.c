// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Receipts of tunnels that are over. Many share the certificate of one instance key: it is kept
// once, under the hash of the instance statement, for as long as a receipt refers to it.

#include "store_private.h"

static int put_certificate(
	struct store *store, const struct secret_hash *instance, struct span document)
{
	sqlite3_stmt *statement = store_statement(store, SQL_CERTIFICATE_PUT);
	store_bind_hash(statement, 1, instance);
	store_bind_span(statement, 2, document);
	return store_run(store, statement);
}

int store_receipt_add(struct store *store, const char *tunnel, const struct receipt *receipt,
	struct span certificate)
{
	bool own;
	int r = store_scope_begin(store, &own);
	if (r < 0)
		return r;
	if (certificate.n > 0)
		r = put_certificate(store, &receipt->instance, certificate);
	if (r == 0) {
		sqlite3_stmt *statement = store_statement(store, SQL_RECEIPT_ADD);
		store_bind_text(statement, 1, tunnel);
		sqlite3_bind_blob(statement, 2, receipt->statement, (int)receipt->n, SQLITE_STATIC);
		sqlite3_bind_blob(
			statement, 3, receipt->signature, sizeof receipt->signature, SQLITE_STATIC);
		store_bind_hash(statement, 4, &receipt->instance);
		r = store_run(store, statement);
	}
	return store_scope_end(store, own, r);
}

int store_certificate_update(
	struct store *store, const struct secret_hash *instance, struct span certificate)
{
	bool own;
	int r = store_scope_begin(store, &own);
	if (r < 0)
		return r;
	sqlite3_stmt *statement = store_statement(store, SQL_CERTIFICATE_UPDATE);
	store_bind_span(statement, 1, certificate);
	store_bind_hash(statement, 2, instance);
	return store_scope_end(store, own, store_run(store, statement));
}

static int read_receipt(sqlite3_stmt *statement, struct receipt *receipt, struct buf *certificate)
{
	receipt->n = (size_t)sqlite3_column_bytes(statement, 0);
	if (receipt->n > sizeof receipt->statement ||
		sqlite3_column_bytes(statement, 1) != sizeof receipt->signature)
		return -EUCLEAN;
	memcpy(receipt->statement, sqlite3_column_blob(statement, 0), receipt->n);
	memcpy(receipt->signature, sqlite3_column_blob(statement, 1), sizeof receipt->signature);
	store_read_hash(statement, 2, &receipt->instance);
	return buf_add(certificate, sqlite3_column_text(statement, 3),
		(size_t)sqlite3_column_bytes(statement, 3));
}

int store_receipt_get(
	struct store *store, const char *tunnel, struct receipt *receipt, struct buf *certificate)
{
	sqlite3_stmt *statement = store_statement(store, SQL_RECEIPT_GET);
	store_bind_text(statement, 1, tunnel);
	int result = sqlite3_step(statement);
	int r = result == SQLITE_ROW    ? read_receipt(statement, receipt, certificate)
		: result == SQLITE_DONE ? STORE_NONE
					: store_failed(store, result);
	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
	return r;
}
