// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The extension of a PCK certificate that says which platform it is for and at which versions of
// its parts (Intel, "SGX PCK Certificate and CRL profile", OID 1.2.840.113741.1.13.1).

#pragma once

#include "why.h"

#include <openssl/x509.h>

enum { SGX_COMPONENTS = 16, FMSPC_SIZE = 6, PCEID_SIZE = 2 };

struct sgx_extension {
	uint8_t components[SGX_COMPONENTS]; // security versions of the SGX components
	uint16_t pce_svn;
	uint8_t cpu_svn[16];
	uint8_t pceid[PCEID_SIZE];
	uint8_t fmspc[FMSPC_SIZE]; // family, model, stepping, platform, custom SKU
};

// Reads the extension's DER. Members may stand in any order, each needed one exactly once.
bool sgx_extension_parse(struct sgx_extension *extension, struct span der, struct why *why);
// The same from the certificate that has it.
bool sgx_extension_of(struct sgx_extension *extension, const X509 *pck, struct why *why);
