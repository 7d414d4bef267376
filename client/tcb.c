// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "tcb.h"

#include "bytes.h"
#include "isv_level.h"
#include "json_read.h"
#include "platform_level.h"

#include <stdio.h>

enum {
	TCB_INFO_VERSION = 3,
	QE_IDENTITY_VERSION = 2,
	QE_IDENTITY_VERSION_NEXT = 3, // announced, with the same members
};

static bool is_version(const json_t *object, struct span id, uint64_t lowest, uint64_t highest)
{
	uint64_t version;
	return span_eq(json_member_text(object, "id"), id) &&
	       json_member_number(object, "version", highest, &version) && version >= lowest;
}

static bool check_subject(
	const json_t *tcb_info, const struct sgx_extension *platform, struct why *why)
{
	uint8_t fmspc[FMSPC_SIZE], pceid[PCEID_SIZE];
	if (!is_version(tcb_info, SPAN("TDX"), TCB_INFO_VERSION, TCB_INFO_VERSION))
		return why_not(why, "the TCB info is not for TDX in version 3");
	if (!json_member_hex(tcb_info, "fmspc", fmspc, sizeof fmspc) ||
		memcmp(fmspc, platform->fmspc, sizeof fmspc) != 0)
		return why_not(why, "the TCB info is for another platform (FMSPC mismatch)");
	if (!json_member_hex(tcb_info, "pceId", pceid, sizeof pceid) ||
		memcmp(pceid, platform->pceid, sizeof pceid) != 0)
		return why_not(why, "the TCB info is for another PCE (PCEID mismatch)");
	return true;
}

// VALUE under the mask of that name equals the member NAME.
static bool equals_masked(
	const json_t *object, const char *name, const char *mask_name, struct span value)
{
	uint8_t wanted[16], mask[16];
	if (value.n > sizeof wanted || !json_member_hex(object, name, wanted, value.n) ||
		!json_member_hex(object, mask_name, mask, value.n))
		return false;
	for (size_t i = 0; i < value.n; i++) {
		uint8_t have = (uint8_t)value.p[i] & mask[i];
		if (have != wanted[i])
			return false;
	}
	return true;
}

// Nothing outside the mask is set in VALUE.
static bool within_mask(const json_t *object, const char *mask_name, struct span value)
{
	uint8_t mask[16];
	if (value.n > sizeof mask || !json_member_hex(object, mask_name, mask, value.n))
		return false;
	for (size_t i = 0; i < value.n; i++)
		if (((uint8_t)value.p[i] & ~mask[i]) != 0)
			return false;
	return true;
}

static bool equals_hex(const json_t *object, const char *name, struct span value)
{
	uint8_t wanted[MEASUREMENT_SIZE];
	return value.n <= sizeof wanted && json_member_hex(object, name, wanted, value.n) &&
	       memcmp(wanted, value.p, value.n) == 0;
}

static const json_t *module_identity(const json_t *tcb_info, const char *id)
{
	const json_t *list = json_object_get(tcb_info, "tdxModuleIdentities");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *identity = json_array_get(list, i);
		if (span_eq_nocase(json_member_text(identity, "id"), span_of(id)))
			return identity;
	}
	return NULL;
}

// The module's identity, and its status where it has a version of its own.
static bool match_module(struct tcb *tcb, uint16_t *newest, const json_t *tcb_info,
	const struct quote *quote, struct why *why)
{
	const uint8_t *svn = (const uint8_t *)quote_td(quote, TD_TEE_TCB_SVN).p;
	struct span attributes = quote_td(quote, TD_SEAM_ATTRIBUTES);
	const json_t *identity = json_object_get(tcb_info, "tdxModule");
	struct isv_level level;
	if (svn[1] > 0) {
		snprintf(tcb->module_id, sizeof tcb->module_id, "TDX_%02x", svn[1]);
		identity = module_identity(tcb_info, tcb->module_id);
	}
	if (identity == NULL)
		return why_not(why, "the TCB info does not know TDX module %u", svn[1]);
	if (!equals_hex(identity, "mrsigner", quote_td(quote, TD_MR_SIGNER_SEAM)) ||
		!equals_masked(identity, "attributes", "attributesMask", attributes) ||
		!within_mask(identity, "attributesMask", attributes))
		return why_not(why, "the TDX module's signer or attributes are not Intel's");
	if (svn[1] == 0)
		return true;
	if (!isv_level_find(&level, newest, identity, svn[0], why))
		return false;
	tcb->module = level.status;
	return tcb_advisories_add(tcb->advisories, level.object, why);
}

static bool match_qe(
	struct tcb *tcb, const json_t *identity, const struct quote *quote, struct why *why)
{
	struct isv_level level;
	uint64_t product;
	if (!is_version(identity, SPAN("TD_QE"), QE_IDENTITY_VERSION, QE_IDENTITY_VERSION_NEXT))
		return why_not(why, "the identity is not a TD quoting enclave's");
	if (!equals_hex(identity, "mrsigner", quote_qe(quote, QE_MR_SIGNER)) ||
		!json_member_number(identity, "isvprodid", UINT16_MAX, &product) ||
		product != bytes_number(quote_qe(quote, QE_ISV_PROD_ID)))
		return why_not(why, "the quoting enclave is another's");
	if (!equals_masked(
		    identity, "miscselect", "miscselectMask", quote_qe(quote, QE_MISC_SELECT)) ||
		!equals_masked(
			identity, "attributes", "attributesMask", quote_qe(quote, QE_ATTRIBUTES)))
		return why_not(why, "the quoting enclave's attributes are not the right ones");
	unsigned svn = (unsigned)bytes_number(quote_qe(quote, QE_ISV_SVN));
	if (!isv_level_find(&level, NULL, identity, svn, why))
		return false;
	tcb->qe = level.status;
	return tcb_advisories_add(tcb->advisories, level.object, why);
}

// Whether Intel would only advise to start the TD anew: the platform has been brought up to date
// under a TD that was started on an older module (TD report 1.5).
static bool is_relaunch(const struct tcb *tcb, uint16_t newest_module,
	const struct platform_levels *levels, const struct quote *quote)
{
	struct span now = quote_td(quote, TD_TEE_TCB_SVN2);
	const uint8_t *svn = (const uint8_t *)now.p;
	return svn != NULL && tcb->qe == TCB_UP_TO_DATE && tcb->module == TCB_OUT_OF_DATE &&
	       tcb_status_is_out_of_date(tcb->status) && levels->sgx_only.object != NULL &&
	       !tcb_status_is_out_of_date(levels->sgx_only.status) &&
	       levels->sgx_only.status != TCB_REVOKED && svn[0] >= newest_module &&
	       svn[2] >= levels->newest.tdx[2];
}

void tcb_deinit(struct tcb *tcb)
{
	json_decref(tcb->advisories);
	*tcb = (struct tcb){0};
}

bool tcb_match(struct tcb *tcb, const json_t *tcb_info, const json_t *qe_identity,
	const struct quote *quote, const struct sgx_extension *platform, struct why *why)
{
	struct platform_levels levels;
	uint16_t newest_module = 0;
	int64_t date = 0;
	*tcb = (struct tcb){.advisories = json_array()};
	if (tcb->advisories == NULL)
		return why_not(why, "out of memory");
	if (!check_subject(tcb_info, platform, why) ||
		!platform_level_find(
			&levels, tcb_info, platform, quote_td(quote, TD_TEE_TCB_SVN), why) ||
		!tcb_advisories_add(tcb->advisories, levels.matching.object, why) ||
		!match_module(tcb, &newest_module, tcb_info, quote, why) ||
		!match_qe(tcb, qe_identity, quote, why))
		return false;
	tcb->platform = levels.matching.status;
	json_member_time(levels.matching.object, "tcbDate", &date);
	rfc3339_format(date, tcb->date);
	tcb->status = tcb_status_fold(tcb->platform, tcb->module);
	tcb->relaunch = is_relaunch(tcb, newest_module, &levels, quote);
	tcb->status = tcb_status_fold(tcb->status, tcb->qe);
	return true;
}
