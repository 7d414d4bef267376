// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Evidence in a folder: the document as it was served, what it was asked with, and its parts as
// files of their own for other programs.
//
//     evidence.json     the document, byte for byte
//     question.json     {"type":"tunneld-question/1","url":TEXT,"asked_at":TIME,"tunnel":ID|null,
//                       "nonce":HEX|null,"spki_sha256":HEX|null,"fresh":BOOL}
//     policy-seen.json  a policy that would accept it: to be compared before it is used
//     quote.bin, event-log.json, app-compose.json, collateral.json, instance.json, statement.json

#pragma once

#include "failure.h"
#include "verify_envelope.h"

// What the user is told to give where a document is read that was not asked for here.
struct bundle {
	char *text;
	struct span document;
	json_t *json; // of question.json
	struct envelope_question question;
};

// Writes the folder, which is made if it is not there; files in it are replaced. Returns 0,
// EXIT_CODE_OTHER with its sentence, or a negative errno.
struct bundle_parts {
	const char *url;
	struct span document;
	const struct envelope *envelope;
	const struct envelope_question *question;
	const struct verification *verification;
};
int bundle_save(
	const char *folder, const struct bundle_parts *parts, struct failure *failure) WARN_UNUSED;

// Reads it. Returns 0, EXIT_CODE_USAGE with its sentence, or a negative errno; bundle_deinit() is
// needed in any case.
int bundle_load(struct bundle *bundle, const char *folder, struct failure *failure) WARN_UNUSED;
void bundle_deinit(struct bundle *bundle);
