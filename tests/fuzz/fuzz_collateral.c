// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The input is collateral. Nothing in it passes under Intel's root; read without its signatures it
// either has a status for a platform or says why not.

#include "certificates.h"
#include "check.h"
#include "collateral.h"
#include "json_read.h"
#include "tcb.h"

static void match(const struct collateral *collateral)
{
	static const char body[648] = {6, 1, 5}, report[QE_REPORT_SIZE];
	const struct quote quote = {
		.body = {body, sizeof body}, .qe_report = {report, sizeof report}};
	static const struct sgx_extension platform;
	struct tcb tcb;
	struct why why = {""};
	CLEANUP(json_p) json_t *info = json_read(collateral->tcb_info.text, COLLATERAL_MAX);
	CLEANUP(json_p) json_t *identity = json_read(collateral->qe_identity.text, COLLATERAL_MAX);
	if (tcb_match(&tcb, info, identity, &quote, &platform, &why))
		CHECK(tcb.status > TCB_UNKNOWN && tcb.status < TCB_STATUSES);
	else
		CHECK(why.text[0] != '\0');
	tcb_deinit(&tcb);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	CLEANUP(json_p)
	json_t *json = json_read((struct span){(const char *)data, n}, COLLATERAL_MAX);
	CLEANUP(x509_free_p) X509 *root = intel_root();
	struct collateral collateral;
	struct why why;
	collateral_init(&collateral, json);
	CLEANUP(crls_free_p) STACK_OF(X509_CRL) *crls = collateral_pck_crls(&collateral);
	CHECK(crls == NULL || sk_X509_CRL_num(crls) == 2);
	CHECK(collateral_open(&collateral, &collateral.tcb_info, root, 1780272000, &why) == NULL);
	match(&collateral);
	collateral_deinit(&collateral);
	return 0;
}
