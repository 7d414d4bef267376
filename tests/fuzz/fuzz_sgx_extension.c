// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The input is the SGX extension of a certificate, DER. A byte less, or one more, is none.

#include "check.h"
#include "sgx_extension.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static char longer[4096];
	struct sgx_extension extension, other;
	struct why why;
	if (n >= sizeof longer ||
		!sgx_extension_parse(&extension, (struct span){(const char *)data, n}, &why))
		return 0;
	CHECK(!sgx_extension_parse(&other, (struct span){(const char *)data, n - 1}, &why));
	memcpy(longer, data, n);
	longer[n] = '\0';
	CHECK(!sgx_extension_parse(&other, (struct span){longer, n + 1}, &why));
	return 0;
}
