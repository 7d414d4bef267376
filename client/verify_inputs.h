// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What the user gives the verifier: files, a time, a root of trust. It is all read before anything
// is checked, so that a file that is missing is a mistake of the command line and no verdict.

#pragma once

#include "commands.h"
#include "verify.h"

struct verify_inputs {
	X509 *root;
	bool root_is_intel;
	int64_t at;
	struct policy policy;
	bool has_collateral;
	struct collateral collateral;
	uint8_t report_data[REPORT_DATA_SIZE];
	bool has_report_data;
	uint8_t spki_sha256[32]; // of --spki
	bool has_spki;
};

// Reads --root-ca, --at, --policy, --collateral, --report-data and --spki. Returns 0,
// EXIT_CODE_USAGE with its sentence, or a negative errno; verify_inputs_deinit() is needed in any
// case.
int verify_inputs_read(struct verify_inputs *inputs, const struct invocation *invocation,
	struct failure *failure) WARN_UNUSED;
void verify_inputs_deinit(struct verify_inputs *inputs);

// Gives a verification what was read.
void verify_inputs_apply(const struct verify_inputs *inputs, struct verification *verification);

// All of a file, at most MAX bytes, into *RET, which the caller frees. Returns 0, EXIT_CODE_USAGE
// with its sentence, or a negative errno.
int verify_file_read(char **ret, struct span *bytes, const char *path, size_t max,
	struct failure *failure) WARN_UNUSED;

// What an RA-TLS certificate's quote has to be about: SHA-512("ratls-cert:" || SPKI).
bool ratls_report_data(uint8_t out[REPORT_DATA_SIZE], struct span spki);
