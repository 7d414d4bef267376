// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// A TDX quote, version 4 or 5: what is where. Intel, "TDX DCAP Quoting Library API", quote format.
//
// Parsing believes nothing: it only makes sure that every part is inside the bytes. All spans point
// into the caller's bytes and live as long as they. Bytes behind the authentication data are not
// signed and are left alone.

#pragma once

#include "why.h"

enum {
	QUOTE_MAX = 64 << 10,
	QE_REPORT_SIZE = 384,
	MEASUREMENT_SIZE = 48, // SHA-384
	REPORT_DATA_SIZE = 64,
};

// Fields of a TD report, in the order in which they stand.
enum td_field {
	TD_TEE_TCB_SVN,
	TD_MR_SEAM,
	TD_MR_SIGNER_SEAM,
	TD_SEAM_ATTRIBUTES,
	TD_ATTRIBUTES,
	TD_XFAM,
	TD_MR_TD,
	TD_MR_CONFIG_ID,
	TD_MR_OWNER,
	TD_MR_OWNER_CONFIG,
	TD_RTMR0,
	TD_RTMR1,
	TD_RTMR2,
	TD_RTMR3,
	TD_REPORT_DATA,
	TD_TEE_TCB_SVN2,  // TD report 1.5 only
	TD_MR_SERVICE_TD, // the same
	TD_FIELDS
};

// Fields of the quoting enclave's report that anyone asks for.
enum qe_field {
	QE_MISC_SELECT,
	QE_ATTRIBUTES,
	QE_MR_SIGNER,
	QE_ISV_PROD_ID,
	QE_ISV_SVN,
	QE_REPORT_DATA,
	QE_FIELDS
};

struct quote {
	unsigned version;     // 4 or 5
	unsigned body_type;   // 2: TD report 1.0, 3: 1.5
	struct span body;     // the TD report
	struct span measured; // what the attestation key signs: header and body
	struct span signature;
	struct span key; // attestation key, x || y
	struct span qe_report;
	struct span qe_signature;
	struct span qe_auth;         // authentication data of the quoting enclave
	unsigned certification_type; // 5: `chain` is there
	struct span chain;           // PEM
	uint32_t auth_size;
	size_t trailing; // bytes behind
};

bool quote_parse(struct quote *quote, struct span bytes, struct why *why);

// The absent span when this report has no such field.
struct span quote_td(const struct quote *quote, enum td_field field);
struct span quote_qe(const struct quote *quote, enum qe_field field);
// Its name in documents.
const char *quote_td_name(enum td_field field);
