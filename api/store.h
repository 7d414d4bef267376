// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The tunnel records in SQLite. One process, one connection, kept for itself (locking_mode
// EXCLUSIVE: no shared memory, nobody else can hold a lock); WAL, and every commit is on disk
// before it is answered (synchronous=FULL).
//
// Functions return 0, a positive outcome named below, or a negative errno after which store_error()
// has the reason: -ENOSPC, -EROFS, -ENOMEM, -EBUSY, -EUCLEAN (damaged), else -EIO. A failed change
// has changed nothing.

#pragma once

#include "buf.h"
#include "clock.h"
#include "receipt.h"
#include "schema.h"
#include "token.h"
#include "tunnel.h"

struct store;

enum store_outcome {
	STORE_NONE = 1,      // no such tunnel or token
	STORE_UNCHANGED = 2, // not in a state in which this can happen
};

// To be called once, before the sandbox: whatever SQLite reads besides its database.
int store_prepare_process(void) WARN_UNUSED;

// Opens or creates PATH, checks it and brings it to the newest schema version. On failure *WHY (of
// SIZE bytes) has a sentence for the log.
int store_open(struct store **ret, const char *path, char *why, size_t size) WARN_UNUSED;
// The same with another schema.
int store_open_schema(struct store **ret, const char *path, const struct schema *schema, char *why,
	size_t size) WARN_UNUSED;
void store_free(struct store *store);

// What the last failed call was about; valid until the next one.
const char *store_error(const struct store *store);

// Several changes as one: all or none. Changes outside are transactions of their own.
int store_begin(struct store *store) WARN_UNUSED;
int store_commit(struct store *store) WARN_UNUSED; // failed: everything was rolled back
void store_rollback(struct store *store);

// Whether a change could be stored now: what the last one says, or after a while a small one made
// to find out.
bool store_writable(struct store *store);

// ---- tunnels (store_tunnels.c). Every change of state adds a row to the audit table: who (ACTOR)
// and why (REASON).

struct store_cause {
	const char *actor;
	const char *reason;
};

// Adds TUNNEL in state `starting`. Only its settings and created_at are read.
int store_tunnel_add(
	struct store *store, const struct tunnel *tunnel, struct store_cause cause) WARN_UNUSED;

// From `starting` to `active`, or a restored tunnel to its new deadline: stores expires_at,
// boot_id, deadline_us and remaining_ms of TUNNEL, and the hash of the idempotency KEY it was asked
// for with (NULL: leaves that as it is). STORE_UNCHANGED: it is in neither state.
int store_tunnel_activate(struct store *store, const struct tunnel *tunnel,
	const struct secret_hash *key, struct store_cause cause) WARN_UNUSED;

// An active tunnel's new end: stores timeout_s, life_ms, expires_at, boot_id, deadline_us and
// remaining_ms of TUNNEL. STORE_UNCHANGED: it is not active.
int store_tunnel_extend(
	struct store *store, const struct tunnel *tunnel, struct store_cause cause) WARN_UNUSED;

// To an end. Counters never go back: zeros leave them as they were. STORE_UNCHANGED: it was over
// already. STORE_NONE.
int store_tunnel_end(struct store *store, const char *id, enum tunnel_state end, int64_t ended_at,
	const struct tunnel_counters *counters, struct store_cause cause) WARN_UNUSED;

int store_tunnel_get(struct store *store, struct span id, struct tunnel *ret) WARN_UNUSED;
// The one that was asked for with an idempotency KEY, over or not. STORE_NONE.
int store_tunnel_of_key(
	struct store *store, const struct secret_hash *key, struct tunnel *ret) WARN_UNUSED;

// Tunnels starting or active, of TOKEN (its id; NULL: of all).
int store_tunnels_count(struct store *store, const char *token, uint64_t *ret) WARN_UNUSED;

// Calls EACH for the newest tunnels of TOKEN (its id; NULL: of all) older than BEFORE (seq;
// INT64_MAX: from the newest), at most LIMIT, of one STATE or (0) of all. EACH returns false to
// stop and must not change the store.
typedef bool (*store_each)(const struct tunnel *tunnel, void *arg);
int store_tunnels_list(struct store *store, const char *token, enum tunnel_state state,
	int64_t before, unsigned limit, store_each each, void *arg) WARN_UNUSED;

// ---- receipts (store_receipts.c)

// Adds the receipt of a tunnel, unless it has one, with the CERTIFICATE of its instance (absent:
// not known), unless that is there.
int store_receipt_add(struct store *store, const char *tunnel, const struct receipt *receipt,
	struct span certificate) WARN_UNUSED;

// There is a better certificate of an instance: receipts of it get that.
int store_certificate_update(struct store *store, const struct secret_hash *instance,
	struct span certificate) WARN_UNUSED;

// The receipt of a tunnel, and the certificate appended (nothing when it is not known). STORE_NONE.
int store_receipt_get(struct store *store, const char *tunnel, struct receipt *receipt,
	struct buf *certificate) WARN_UNUSED;

// ---- what has happened (store_audit.c)

struct audit_row {
	int64_t seq, at;                // order, and seconds since the epoch
	char subject[TOKEN_ID_MAX + 1]; // id of a tunnel or token
	char name[TUNNEL_NAME_MAX + 1]; // of a tunnel that is not forgotten yet, else empty
	char was[16], became[16];       // states; `was` is empty for a new one
	char actor[TOKEN_ID_MAX + 1];
	char reason[600];
};

// Calls EACH for the newest rows older than BEFORE (seq; INT64_MAX: from the newest), at most
// LIMIT: those about the newest 1000 tunnels of TOKEN that are not forgotten yet, or (NULL) all.
// EACH returns false to stop and must not change the store.
typedef bool (*store_audit_each)(const struct audit_row *row, void *arg);
int store_audit_list(struct store *store, const char *token, int64_t before, unsigned limit,
	store_audit_each each, void *arg) WARN_UNUSED;

// ---- scoped tokens (store_tokens.c), audited like tunnels

// Adds TOKEN.
int store_token_add(
	struct store *store, const struct token *token, struct store_cause cause) WARN_UNUSED;

// Forgets it; its tunnels are not touched. BECAME: "revoked" or "expired". STORE_NONE.
int store_token_remove(struct store *store, const char *id, const char *became,
	struct store_cause cause) WARN_UNUSED;

int store_token_get(struct store *store, struct span id, struct token *ret) WARN_UNUSED;
int store_token_find(
	struct store *store, const struct secret_hash *hash, struct token *ret) WARN_UNUSED;

int store_tokens_count(struct store *store, uint64_t *ret) WARN_UNUSED;

// Calls EACH for all, newest first. EACH returns false to stop and must not change the store.
typedef bool (*store_token_each)(const struct token *token, void *arg);
int store_tokens_list(struct store *store, store_token_each each, void *arg) WARN_UNUSED;

// The one that ends first.
int store_token_next_end(struct store *store, struct token *ret) WARN_UNUSED;

// Calls EACH for tunnels starting or active whose token is no more.
int store_tunnels_disowned(struct store *store, store_each each, void *arg) WARN_UNUSED;
// Whether the token of this tunnel is no more.
bool store_tunnel_is_disowned(struct store *store, const char *id);

// ---- what lives at the supervisor (store_live.c): a set held in memory while it is being told

int store_live_clear(struct store *store) WARN_UNUSED;
int store_live_add(struct store *store, const char *id, int64_t deadline_us,
	const struct tunnel_counters *counters) WARN_UNUSED;

// Calls EACH with only `id` set for active tunnels whose deadline (in the boot BOOT_ID) is another
// in the set than in their row.
int store_live_moved(
	struct store *store, const char *boot_id, store_each each, void *arg) WARN_UNUSED;

// Stores deadline, remaining time (as of NOW) and counters of all active tunnels in the set. Where
// the deadline is another than the row says, the set is right: life and expires_at follow it.
// expires_at also follows the wall clock when that has been set.
int store_live_merge(struct store *store, const char *boot_id, struct instant now) WARN_UNUSED;

// Stores the remaining time of all active tunnels of this boot.
int store_checkpoint_remaining(
	struct store *store, const char *boot_id, struct instant now) WARN_UNUSED;

// Calls EACH with only `id` set for those in the set that are neither starting nor active.
int store_live_strays(struct store *store, store_each each, void *arg) WARN_UNUSED;
// Calls EACH for active tunnels that are not in the set and should be, soonest end first.
int store_live_missing(struct store *store, store_each each, void *arg) WARN_UNUSED;

// Forgets tombstones that ended at or before ENDED_BY and old audit rows: older than
// STORE_AUDIT_DAYS or beyond the newest STORE_AUDIT_ROWS. A bounded piece at a time: *MORE says
// whether there is more to do.
enum { STORE_AUDIT_DAYS = 30, STORE_AUDIT_ROWS = 100000 };
int store_purge(struct store *store, int64_t now, int64_t ended_by, bool *more) WARN_UNUSED;
