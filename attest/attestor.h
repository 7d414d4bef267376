// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The attestor: holds the instance key and signs what the supervisor tells it, about the instance
// and about tunnels; has the guest service of the machine certify that key with a quote. It reads
// nothing of visitors or of API clients but their nonces.
//
// What it knows ends with it: its successor has another key, and a quote of its own.

#pragma once

#include "certificate.h"
#include "facts.h"
#include "ipc.h"
#include "statement.h"

enum { ATTESTOR_COLLATERAL_FD = 4 }; // a sealed memory file: JSON text, or nothing

enum attestor_exit {
	ATTESTOR_EXIT_USAGE = 2,   // started with other arguments than a supervisor gives
	ATTESTOR_EXIT_SEAL = 3,    // the sandbox could not be entered
	ATTESTOR_EXIT_START = 4,   // no memory or descriptors to begin with
	ATTESTOR_EXIT_CONTROL = 5, // the control channel ended
	ATTESTOR_EXIT_LOST = 6,    // a message was lost for want of a descriptor
	ATTESTOR_EXIT_LOOP = 7,    // epoll failed
};

struct attestor {
	struct loop loop;
	struct ipc_channel control;
	struct signer signer;
	struct facts facts;
	struct quoter quoter;
	struct buf statement; // the instance's
	struct certificate certificate;
	struct collateral collateral;
	size_t told;             // bytes of the certificate that the supervisor has
	struct loop_timer again; // puts the certificate together, once there was no memory for it
};

// To be called before the sandbox: makes the key, reads the collateral. Returns 0 or a negative
// errno.
int attestor_prepare(struct attestor *attestor);

// Prepares it with its channel on its fixed descriptor and reports REACHED (enum seal_reached).
// Returns 0 or a negative errno.
int attestor_init(struct attestor *attestor, uint32_t epoch, unsigned reached);

// Serves until the supervisor is gone. Returns an enum attestor_exit.
int attestor_run(struct attestor *attestor);
