// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The settings of tunneld: from the command line, the environment and a file, checked as a whole.
//
// One table (options_table.c) says all there is to say about each key. Reading, --help, the manual,
// the example file and the text that is hashed into the evidence are made from it.

#pragma once

#include "buf.h"
#include "policy.h"
#include "tunnel_config.h"

#include <stdio.h>

enum {
	OPTIONS_LISTEN_MAX = 16,        // addresses
	OPTIONS_RULES_MAX = 256,        // entries of backend_allow, and of backend_deny
	OPTIONS_PATH_MAX = 1024,        // bytes
	OPTIONS_FILES_MAX = 16,         // paths in a list
	OPTIONS_FILE_MAX = 64 * 1024,   // bytes
	OPTIONS_POOL_MAX = 4096,        // ports of port_pool
	OPTIONS_CONTACT_MAX = 300,      // bytes of abuse_contact
	OPTIONS_SETTINGS_MAX = 256,     // -o options
	OPTIONS_ERRORS_MAX = 50,        // reported; the rest is counted
	OPTIONS_TEXT_MAX = 1024 * 1024, // a cap for buffers of errors and of the effective text
};

enum attestation { ATTESTATION_AUTO = 1, ATTESTATION_REQUIRE, ATTESTATION_OFF };
enum sandbox_mode { SANDBOX_REQUIRE = 1, SANDBOX_BEST_EFFORT };
enum request_log_mode { REQUEST_LOG_NO = 1, REQUEST_LOG_YES, REQUEST_LOG_ADDRESSES };
enum interstitial { INTERSTITIAL_NO = 1, INTERSTITIAL_YES };
enum tls_insecure { TLS_INSECURE_NO = 1, TLS_INSECURE_YES };
enum log_format { LOG_FORMAT_TEXT = 1, LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };

struct options_addresses {
	struct sockaddr_storage items[OPTIONS_LISTEN_MAX];
	size_t n;
};

// Listeners at the same address, with ports from that of FIRST to LAST.
struct options_range {
	struct sockaddr_storage first;
	uint16_t last;
	bool bare; // was written without an address
};

struct options_ranges {
	struct options_range items[OPTIONS_LISTEN_MAX];
	size_t n;
};

struct options_paths {
	char *items[OPTIONS_FILES_MAX];
	size_t n;
};

struct options_rules {
	struct policy_rule items[OPTIONS_RULES_MAX];
	size_t n;
};

// Members are named as their keys. Times are in seconds. Texts are the struct's own; after
// options_parse() none is NULL but those that say so, and api_token when it was not given.
struct options {
	char *abuse_contact; // NULL: none
	uint32_t agent_grace;
	uint32_t agent_memory; // MiB
	uint32_t agent_rate;   // a minute, 0: no limit
	uint32_t api_timeout;
	char *api_token;
	char *api_token_file;
	enum attestation attestation;
	struct options_rules backend_allow;
	struct options_rules backend_deny;
	enum backend_reuse backend_reuse;
	char *collateral; // empty: none
	uint32_t connect_timeout;
	struct options_addresses control_listen;
	char *control_url;    // scheme://host[:port], canonical; NULL: not given
	uint32_t create_rate; // a minute, 0: no limit
	uint32_t default_timeout;
	char *dstack_socket;   // absolute path, empty: the usual places
	uint32_t edges;        // 0: one per core
	uint32_t failure_rate; // a minute and address, 0: no limit
	uint32_t fresh_rate;   // a minute, 0: none
	uint32_t gates;        // 0: one per core
	uint32_t handshake_timeout;
	uint32_t head_timeout;
	uint32_t idempotency_answers;
	uint32_t idle_timeout;
	enum interstitial interstitial;
	struct options_addresses listen; // at least one
	enum log_format log_format;
	uint32_t lookup_timeout;
	uint32_t max_api_connections;
	uint32_t max_connections_per_tunnel;
	uint32_t max_event_streams;
	uint32_t max_handshakes; // of one edge
	uint32_t max_lookups;
	uint32_t max_pending, max_pending_per_tunnel; // of one gate
	uint32_t max_timeout;
	uint32_t max_tokens;
	uint32_t max_tunnels;
	struct options_addresses metrics_listen;
	uint32_t pending_timeout;
	struct options_ranges port_pool; // one at most
	char *port_pool_url;             // with {port} in it; NULL: not given
	struct options_ranges proxy_protocol;
	char *public_url; // scheme://host[:port], canonical
	uint32_t relay_uid_base;
	enum request_log_mode request_log;
	uint32_t request_log_rate; // lines a second, of one process
	uint32_t request_rate;     // a second, 0: no limit
	uint32_t retention;
	enum sandbox_mode sandbox;
	char *state_dir;
	uint32_t stop_timeout;
	struct options_paths tls_cert, tls_key; // as many of each
	enum tls_insecure tls_insecure;
	uint32_t tls_life; // of a certificate of our own
	struct options_addresses tls_listen;
	char *tls_roots;
	struct options_rules trusted_proxies; // without ports
	char *wildcard_domain;                // lower case; NULL: none
};

void options_init(struct options *options);
// Frees the texts, wiping the token. Harmless on what options_init() or a failed call left.
void options_deinit(struct options *options);
// Wipes and frees the token alone: to be called as soon as its hash is taken.
void options_forget_token(struct options *options);

// Ports in port_pool.
size_t options_pool_size(const struct options *options);

enum { OPTIONS_INVALID = 1 };

// The command line. Pointers lead into argv.
struct options_command {
	const char *file;                           // of -c, or NULL
	const char *settings[OPTIONS_SETTINGS_MAX]; // of -o, "key=value"
	size_t n_settings;
	bool check, help, version;
};

// Reads argv. Returns 0, or OPTIONS_INVALID with a line for each mistake in ERRORS.
int options_command_parse(struct options_command *command, int argc, char *const *argv,
	struct buf *errors) WARN_UNUSED;

// Where settings come from, the last named counting most; all of it is borrowed.
struct options_input {
	const char *file_name; // for messages; NULL: there is no file
	struct span file_text;
	bool file_private;        // nobody but its owner can read the file: a token may stand in it
	char *const *environment; // "NAME=value", ended by NULL; or NULL. The value of a token is
				  // wiped there
	const char *const *settings; // "key=value"
	size_t n_settings;
};

// Fills OPTIONS, which options_init() prepared, with defaults and settings. Returns 0,
// OPTIONS_INVALID with one line in ERRORS for each mistake (where: key: what is wrong and what
// would be right), or -ENOMEM. On anything but 0 the only use for OPTIONS is options_deinit().
int options_parse(
	struct options *options, const struct options_input *input, struct buf *errors) WARN_UNUSED;

// The same, reading the file that COMMAND names. A file that cannot be read is a mistake like
// others.
int options_load(struct options *options, const struct options_command *command,
	char *const *environment, struct buf *errors) WARN_UNUSED;

// Appends the settings in force as "key=value\n", sorted by key, defaults included, secrets left
// out. Canonical: equal settings, however written, give equal bytes. It can be read as a file,
// unless a path from another place has a " #" in it. Returns 0 or a negative errno of buf_add().
int options_effective(const struct options *options, struct buf *text) WARN_UNUSED;

// Print parts of the documentation made from the table: the answer to --help, the key section of
// tunneld.conf(5) in mdoc(7), and tunneld.conf.example. Returns 0, or -EIO when OUT failed.
int options_print_help(FILE *out) WARN_UNUSED;
int options_print_manual(FILE *out) WARN_UNUSED;
int options_print_example(FILE *out) WARN_UNUSED;
