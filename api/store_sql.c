// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// All SQL the store runs, by the names of its statements.

#include "store_private.h"

#define TUNNELS_LIVE "state IN ('starting','active')"
#define DISOWNED                     \
	"token <> '" TOKEN_OWNER "'" \
	" AND NOT EXISTS (SELECT 1 FROM tokens WHERE tokens.id = tunnels.token)"
#define AUDIT_COLUMNS "audit.seq, at, subject, was, became, actor, reason, tunnels.name"
#define TOKEN_COLUMNS "id, name, hash, quota, created_at, expires_at"

// A tunnel whose end was moved (in this boot, ?1) without its row.
#define LIVE_MOVED                                   \
	"(tunnels.state = 'active' AND boot_id = ?1" \
	" AND tunnels.deadline_us <> live.deadline_us)"

// What the wall clock (?3) says of a deadline, as of ?2. Two clocks are read: a difference that
// small is none.
#define NUMBER_TEXT_OF(value) #value
#define NUMBER_TEXT(macro)    NUMBER_TEXT_OF(macro)
#define LIVE_EXPIRES          "(?3 + (max(0, live.deadline_us - ?2) + 500000) / 1000000)"
#define LIVE_SAME_EXPIRES \
	"abs(expires_at - " LIVE_EXPIRES ") <= " NUMBER_TEXT(TUNNEL_EXPIRY_JITTER_S)

const char *const store_sql[STATEMENTS] = {
	[SQL_BEGIN] = "BEGIN IMMEDIATE",
	[SQL_COMMIT] = "COMMIT",
	[SQL_ROLLBACK] = "ROLLBACK",
	[SQL_PROBE] = "UPDATE probe SET at = ?",
	[SQL_AUDIT] = "INSERT INTO audit(at, subject, was, became, actor, reason)"
		      " VALUES(?, ?, ?, ?, ?, ?)",
	[SQL_AUDIT_ALL] = "SELECT " AUDIT_COLUMNS " FROM audit LEFT JOIN tunnels"
			  " ON tunnels.id = subject WHERE audit.seq < ?"
			  " ORDER BY audit.seq DESC LIMIT ?",
	[SQL_AUDIT_TOKEN] = "SELECT " AUDIT_COLUMNS " FROM (SELECT id, name FROM tunnels"
			    "  WHERE token = ? ORDER BY seq DESC LIMIT 1000) AS tunnels"
			    " CROSS JOIN audit ON subject = tunnels.id WHERE audit.seq < ?"
			    " ORDER BY audit.seq DESC LIMIT ?",
	[SQL_ADD] = "INSERT INTO tunnels(id, token, state, mode, name, backend, auth, prefix,"
		    " origin, secret_hash, timeout_s, max_connections, max_requests, max_bytes,"
		    " request_rate, created_at, life_ms, agent_hash)"
		    " VALUES(?, ?, 'starting', ?, ?, ?, ?, ?, '', ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[SQL_ACTIVATE] = "UPDATE tunnels SET state = 'active', expires_at = ?, boot_id = ?,"
			 " deadline_us = ?, remaining_ms = ?, origin = ?, port = ?,"
			 " idempotency_key = ifnull(?, idempotency_key) WHERE id = ?",
	[SQL_EXTEND] = "UPDATE tunnels SET timeout_s = ?, life_ms = ?, expires_at = ?,"
		       " boot_id = ?, deadline_us = ?, remaining_ms = ? WHERE id = ?",
	[SQL_EXTEND_LIVE] = "UPDATE live SET deadline_us = ? WHERE id = ?",
	[SQL_END] = "UPDATE tunnels SET state = ?, ended_at = ?, remaining_ms = 0,"
		    " connections = max(connections, ?), requests = max(requests, ?),"
		    " bytes_in = max(bytes_in, ?), bytes_out = max(bytes_out, ?),"
		    " last_activity = max(last_activity, ?) WHERE id = ?",
	[SQL_GET] = "SELECT " STORE_COLUMNS " FROM tunnels WHERE id = ?",
	[SQL_GET_KEY] = "SELECT " STORE_COLUMNS " FROM tunnels WHERE idempotency_key = ?",
	[SQL_COUNT] = "SELECT count(*) FROM tunnels WHERE " TUNNELS_LIVE,
	[SQL_COUNT_TOKEN] = "SELECT count(*) FROM tunnels WHERE token = ? AND " TUNNELS_LIVE,
	[SQL_LIST_STATE] = "SELECT " STORE_COLUMNS " FROM tunnels WHERE seq < ? AND state = ?"
			   " ORDER BY seq DESC LIMIT ?",
	[SQL_LIST_ALL] = "SELECT " STORE_COLUMNS " FROM tunnels WHERE seq < ?"
			 " ORDER BY seq DESC LIMIT ?",
	[SQL_LIST_TOKEN_STATE] = "SELECT " STORE_COLUMNS " FROM tunnels WHERE token = ?"
				 " AND seq < ? AND state = ? ORDER BY seq DESC LIMIT ?",
	[SQL_LIST_TOKEN] = "SELECT " STORE_COLUMNS " FROM tunnels WHERE token = ? AND seq < ?"
			   " ORDER BY seq DESC LIMIT ?",
	[SQL_LIVE_CLEAR] = "DELETE FROM live",
	[SQL_LIVE_ADD] = "INSERT OR REPLACE INTO live VALUES(?, ?, ?, ?, ?, ?, ?)",
	[SQL_LIVE_MOVED] = "SELECT id FROM tunnels JOIN live USING(id) WHERE " LIVE_MOVED,
	[SQL_LIVE_AUDIT] = "INSERT INTO audit(at, subject, was, became, actor, reason)"
			   " SELECT ?3, id, state, state, 'supervisor', 'its end was moved'"
			   " FROM tunnels JOIN live USING(id) WHERE " LIVE_MOVED,
	[SQL_LIVE_MERGE] = "UPDATE tunnels SET life_ms = life_ms + iif(" LIVE_MOVED ","
			   "  (live.deadline_us - tunnels.deadline_us) / 1000, 0),"
			   " expires_at = iif(boot_id = ?1 AND NOT " LIVE_MOVED
			   " AND " LIVE_SAME_EXPIRES ", expires_at, " LIVE_EXPIRES "),"
			   " deadline_us = live.deadline_us, boot_id = ?1,"
			   " remaining_ms = max(0, live.deadline_us - ?2) / 1000,"
			   " connections = max(tunnels.connections, live.connections),"
			   " requests = max(tunnels.requests, live.requests),"
			   " bytes_in = max(tunnels.bytes_in, live.bytes_in),"
			   " bytes_out = max(tunnels.bytes_out, live.bytes_out),"
			   " last_activity = max(tunnels.last_activity, live.last_activity)"
			   " FROM live WHERE live.id = tunnels.id AND tunnels.state = 'active'",
	[SQL_REMAINING] = "UPDATE tunnels SET remaining_ms = max(0, deadline_us - ?) / 1000"
			  " WHERE state = 'active' AND boot_id = ?",
	[SQL_STRAYS] = "SELECT id FROM live WHERE id NOT IN"
		       " (SELECT id FROM tunnels WHERE " TUNNELS_LIVE ")",
	[SQL_MISSING] =
		"SELECT " STORE_COLUMNS " FROM tunnels WHERE state = 'active'"
		" AND id NOT IN (SELECT id FROM live) AND NOT (" DISOWNED ") ORDER BY expires_at",
	[SQL_PURGE_TUNNELS] = "DELETE FROM tunnels WHERE seq IN (SELECT seq FROM tunnels"
			      " WHERE ended_at IS NOT NULL AND ended_at <= ? LIMIT ?)",
	[SQL_PURGE_AUDIT_AGE] = "DELETE FROM audit WHERE at < ? AND seq IN"
				" (SELECT seq FROM audit ORDER BY seq LIMIT ?)",
	[SQL_PURGE_AUDIT_ROWS] = "DELETE FROM audit WHERE seq <="
				 " (SELECT max(seq) FROM audit) - ? AND seq IN"
				 " (SELECT seq FROM audit ORDER BY seq LIMIT ?)",
	[SQL_PURGE_CERTIFICATES] = "DELETE FROM certificates WHERE instance NOT IN"
				   " (SELECT instance FROM receipts)",
	[SQL_RECEIPT_ADD] = "INSERT OR IGNORE INTO receipts VALUES(?, ?, ?, ?)",
	[SQL_RECEIPT_GET] = "SELECT statement, signature, instance, document FROM receipts"
			    " LEFT JOIN certificates USING(instance) WHERE tunnel = ?",
	[SQL_CERTIFICATE_PUT] = "INSERT OR IGNORE INTO certificates VALUES(?, ?)",
	[SQL_CERTIFICATE_UPDATE] = "UPDATE certificates SET document = ? WHERE instance = ?",
	[SQL_TOKEN_ADD] = "INSERT INTO tokens(id, name, hash, quota, created_at, expires_at)"
			  " VALUES(?, ?, ?, ?, ?, ?)",
	[SQL_TOKEN_REMOVE] = "DELETE FROM tokens WHERE id = ?",
	[SQL_TOKEN_GET] = "SELECT " TOKEN_COLUMNS " FROM tokens WHERE id = ?",
	[SQL_TOKEN_FIND] = "SELECT " TOKEN_COLUMNS " FROM tokens WHERE hash = ?",
	[SQL_TOKEN_COUNT] = "SELECT count(*) FROM tokens",
	[SQL_TOKEN_LIST] = "SELECT " TOKEN_COLUMNS " FROM tokens ORDER BY seq DESC",
	[SQL_TOKEN_NEXT] = "SELECT " TOKEN_COLUMNS " FROM tokens ORDER BY expires_at LIMIT 1",
	[SQL_DISOWNED] =
		"SELECT " STORE_COLUMNS " FROM tunnels WHERE " TUNNELS_LIVE " AND " DISOWNED,
	[SQL_IS_DISOWNED] = "SELECT count(*) FROM tunnels WHERE id = ? AND " DISOWNED,
};
