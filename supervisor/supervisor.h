// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The supervisor: one thread, one loop, and everything that outlives a child. It starts the other
// processes, introduces them to each other, ends tunnels on time, and never sees a visitor's bytes.

#pragma once

#include "agent_memory.h"
#include "api_channel.h"
#include "attest_channel.h"
#include "collateral_url.h"
#include "components.h"
#include "edge_channel.h"
#include "expiry.h"
#include "gate_channel.h"
#include "listeners.h"
#include "options.h"
#include "policy.h"
#include "ports.h"
#include "program.h"
#include "resolve.h"
#include "secret.h"
#include "tally.h"
#include "tls_keys.h"
#include "tunnels.h"
#include "uids.h"

enum {
	SUPERVISOR_KILL_MS = 500,   // then, for killed children to be reaped
	SUPERVISOR_DRAIN_MS = 1000, // for agents to hear that the server stops
	BOOT_ID_SIZE = 37,
};

struct supervisor {
	struct loop loop;
	const struct options *options;

	// Made at start, the same until the end.
	struct secret_hash owner_token;
	const struct source *source; // this program was made from, borrowed
	int64_t started_at;          // seconds since the epoch
	struct instant started_on;
	uint8_t config_sha256[32];    // of options_effective()
	struct components components; // what runs
	int collateral_fd;            // sealed memory file with the content of `collateral`
	char boot_id[BOOT_ID_SIZE];
	struct policy policy;
	struct listeners listeners;
	struct ports ports;
	struct program programs[ROLES]; // not of ROLE_SUPERVISOR
	bool separate;                  // children have uids and folders of their own
	struct uids uids;               // if so
	int roots_fd;                   // certificates of the authorities that backends may have
	int void_fd;                    // the empty folder that roles without files are locked into
	int state_dir_fd;               // held open for its lock
	int state_fd;                   // the API worker's folder in it

	struct loop_watch signals; // signalfd, owned
	struct loop_timer stop_timer, drain_timer;
	bool stopping;
	unsigned n_draining; // relays that are to exit by themselves
	bool announced;      // that everything is ready
	unsigned n_processes;
	uint32_t last_epoch;

	struct expiry expiry;
	struct tunnels tunnels;
	struct resolver resolver;
	struct gates gates;
	struct edges edges;
	struct tls_keys tls_keys;
	struct api api;
	unsigned n_agents; // whose connections wait for a relay
	struct agent_memory agent_memory;
	struct attest attest;
	struct collateral_url collateral_url;
	struct tally tally;
};

// Everything up to the start of children; what is wrong is logged. OPTIONS is borrowed; a token in
// it is wiped. SOURCE is borrowed. There is one supervisor in a process, and it lasts as long as
// that. Returns 0 or a negative errno.
int supervisor_init(struct supervisor *supervisor, struct options *options,
	const struct source *source) WARN_UNUSED;

// Starts the children and runs until told to stop. Returns the exit status.
int supervisor_run(struct supervisor *supervisor) WARN_UNUSED;

// The supervisor cannot go on: logs WHY, ends everything, exit status 1.
void supervisor_fail(struct supervisor *supervisor, const char *why);

// From process.c and child.c: a process has been reaped; one of the fixed ones works.
void supervisor_process_gone(struct supervisor *supervisor);
// From tunnel_relay.c: it was the relay of a tunnel whose agents were told that the server stops.
void supervisor_drained(struct supervisor *supervisor);
void supervisor_child_proven(struct supervisor *supervisor);

// The uid of a fixed role by its offset (UID_GATE ...), or (uid_t)-1 where children keep ours.
uid_t supervisor_uid(const struct supervisor *supervisor, unsigned offset);
