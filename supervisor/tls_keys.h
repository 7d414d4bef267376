// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The keys that edges end TLS with: the operator's, or one that is made at every start. The
// supervisor holds them as sealed memory files and never has one in its own memory. A short-lived
// `tunneld-edge --keygen`, which meets nobody else, makes or checks them and says what the SHA-256
// of each public half is.
//
// New ones replace the old only as a whole and only when all are good. A key of our own stays for
// good; its certificate is made again long before it expires, and when there is a quote for it to
// carry.

#pragma once

#include "buf.h"
#include "options.h"
#include "process.h"

enum { SPKI_SIZE = 32 };

struct tls_key {
	char *chain; // PEM, owned
	int key_fd;  // sealed, owned
	// Once checked: its SubjectPublicKeyInfo, owned, and SHA-256 of that.
	uint8_t *spki;
	size_t n_spki;
	uint8_t spki_sha256[SPKI_SIZE];
};

struct tls_key_set {
	struct tls_key items[CHAINS_MAX];
	size_t n;
};

struct tls_keys {
	struct supervisor *supervisor;
	struct tls_key_set set;      // in force; the same for every TLS listener
	struct tls_key_set next;     // being checked
	char *files[2][CHAINS_MAX];  // absolute paths of certificates and keys
	size_t n_files;              // of each; 0: a key of our own
	size_t n_checked;            // of next
	bool again;                  // there was a reason to meanwhile
	struct buf quote, event_log; // that a certificate of our own carries
	struct process maker;
	struct loop_timer timer;   // the longest it may take
	struct loop_timer renewal; // of a certificate of our own
};

void tls_keys_init(struct tls_keys *keys, struct supervisor *supervisor);

// At start, and while any file may be opened: remembers where they are and reads them. What is
// wrong is logged. Returns 0 or a negative errno.
int tls_keys_read(struct tls_keys *keys, const struct options *options);

// Has what was read checked, or a key made. Edges are told when that is done; if it fails and there
// are no keys yet, the supervisor fails.
void tls_keys_check(struct tls_keys *keys);

// SIGHUP: reads the files again. When something is wrong with them the old keys stay, which is
// logged.
void tls_keys_reload(struct tls_keys *keys);

// The SubjectPublicKeyInfo of a key of our own whose certificate carries no quote yet; else empty.
struct span tls_keys_unquoted(const struct tls_keys *keys);

// Has the certificate of our own carry these from now on. Of no effect on the operator's.
void tls_keys_certify(struct tls_keys *keys, struct span quote, struct span event_log);

// Copies a file of at most MOST bytes into a sealed memory file without having its bytes in our
// memory; a SECRET one has to be closed to others. Returns the descriptor or a negative errno, with
// *WHY what is wrong.
int tls_keys_copy_file(const char *path, bool secret, size_t most, const char **why);

void tls_keys_stop(struct tls_keys *keys);
