// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "quote.h"

#include "bytes.h"

enum {
	HEADER_SIZE = 48,
	KEY_ECDSA_P256 = 2,
	TEE_TDX = 0x81,
	BODY_TD10 = 2,
	BODY_TD15 = 3,
	TD10_SIZE = 584,
	TD15_SIZE = 648,
	CERTIFICATION_QE_REPORT = 6,
	CERTIFICATION_CHAIN = 5,
};

struct place {
	const char *name;
	uint16_t offset, size;
};

static const struct place td_places[TD_FIELDS] = {
	[TD_TEE_TCB_SVN] = {"tee_tcb_svn", 0, 16},
	[TD_MR_SEAM] = {"mr_seam", 16, 48},
	[TD_MR_SIGNER_SEAM] = {"mr_signer_seam", 64, 48},
	[TD_SEAM_ATTRIBUTES] = {"seam_attributes", 112, 8},
	[TD_ATTRIBUTES] = {"td_attributes", 120, 8},
	[TD_XFAM] = {"xfam", 128, 8},
	[TD_MR_TD] = {"mr_td", 136, 48},
	[TD_MR_CONFIG_ID] = {"mr_config_id", 184, 48},
	[TD_MR_OWNER] = {"mr_owner", 232, 48},
	[TD_MR_OWNER_CONFIG] = {"mr_owner_config", 280, 48},
	[TD_RTMR0] = {"rtmr0", 328, 48},
	[TD_RTMR1] = {"rtmr1", 376, 48},
	[TD_RTMR2] = {"rtmr2", 424, 48},
	[TD_RTMR3] = {"rtmr3", 472, 48},
	[TD_REPORT_DATA] = {"report_data", 520, 64},
	[TD_TEE_TCB_SVN2] = {"tee_tcb_svn2", 584, 16},
	[TD_MR_SERVICE_TD] = {"mr_service_td", 600, 48},
};

// The layout of an SGX report (Intel SDM volume 3D, "REPORT").
static const struct place qe_places[QE_FIELDS] = {
	[QE_MISC_SELECT] = {"misc_select", 16, 4},
	[QE_ATTRIBUTES] = {"attributes", 48, 16},
	[QE_MR_SIGNER] = {"mr_signer", 128, 32},
	[QE_ISV_PROD_ID] = {"isv_prod_id", 256, 2},
	[QE_ISV_SVN] = {"isv_svn", 258, 2},
	[QE_REPORT_DATA] = {"report_data", 320, 64},
};

static struct span field(struct span report, const struct place *place)
{
	if ((size_t)place->offset + place->size > report.n)
		return (struct span){NULL, 0};
	return (struct span){report.p + place->offset, place->size};
}

struct span quote_td(const struct quote *quote, enum td_field which)
{
	return field(quote->body, &td_places[which]);
}

struct span quote_qe(const struct quote *quote, enum qe_field which)
{
	return field(quote->qe_report, &qe_places[which]);
}

const char *quote_td_name(enum td_field which)
{
	return td_places[which].name;
}

// Takes a number of SIZE bytes; *OK becomes false when there are fewer.
static uint32_t number(struct span *rest, size_t size, bool *ok)
{
	struct span s = {NULL, 0};
	*ok = *ok && bytes_take(rest, size, &s);
	return *ok ? (uint32_t)bytes_number(s) : 0;
}

static bool parse_header(struct quote *quote, struct span *rest, struct why *why)
{
	static const char vendor[] = "\x93\x9a\x72\x33\xf7\x9c\x4c\xa9\x94\x0a\x0d\xb3\x95\x7f"
				     "\x06\x07"; // Intel's quoting enclaves
	struct span header, maker;
	bool ok = true;
	if (!bytes_take(rest, HEADER_SIZE, &header))
		return why_not(why, "the quote ends within its header");
	quote->version = number(&header, 2, &ok);
	uint32_t key_type = number(&header, 2, &ok), tee = number(&header, 4, &ok);
	if (quote->version != 4 && quote->version != 5)
		return why_not(why, "quote version %u is neither 4 nor 5", quote->version);
	if (key_type != KEY_ECDSA_P256)
		return why_not(why, "attestation key type %u is not ECDSA P-256", key_type);
	if (tee != TEE_TDX)
		return why_not(why, "TEE type 0x%x is not TDX", tee);
	if (!bytes_take(&header, 4, NULL) || !bytes_take(&header, 16, &maker) ||
		!span_eq(maker, SPAN(vendor)))
		return why_not(why, "the quoting enclave is not of Intel's make");
	return true;
}

static bool parse_body(struct quote *quote, struct span *rest, struct why *why)
{
	bool ok = true;
	uint32_t size = TD10_SIZE;
	quote->body_type = BODY_TD10;
	if (quote->version == 5) {
		quote->body_type = number(rest, 2, &ok);
		size = number(rest, 4, &ok);
		if (!ok)
			return why_not(why, "the quote ends before its body");
	}
	if (quote->body_type != BODY_TD10 && quote->body_type != BODY_TD15)
		return why_not(why, "body type %u is no TD report", quote->body_type);
	if (size != (quote->body_type == BODY_TD10 ? TD10_SIZE : TD15_SIZE))
		return why_not(
			why, "%u is not the size of a body of type %u", size, quote->body_type);
	if (!bytes_take(rest, size, &quote->body))
		return why_not(why, "the quote ends within the TD report");
	return true;
}

// The certification data of type 6: the quoting enclave's report and who vouches for it.
static bool parse_certification(struct quote *quote, struct span rest, struct why *why)
{
	bool ok = bytes_take(&rest, QE_REPORT_SIZE, &quote->qe_report) &&
		  bytes_take(&rest, 64, &quote->qe_signature);
	uint32_t auth = number(&rest, 2, &ok);
	ok = ok && bytes_take(&rest, auth, &quote->qe_auth);
	quote->certification_type = number(&rest, 2, &ok);
	uint32_t size = number(&rest, 4, &ok);
	if (!ok)
		return why_not(why, "the quote ends within the quoting enclave's report");
	if (size != rest.n)
		return why_not(
			why, "the inner certification data has %zu bytes, not %u", rest.n, size);
	if (quote->certification_type == CERTIFICATION_CHAIN)
		quote->chain = rest;
	return true;
}

static bool parse_authentication(struct quote *quote, struct span rest, struct why *why)
{
	bool ok = bytes_take(&rest, 64, &quote->signature) && bytes_take(&rest, 64, &quote->key);
	uint32_t type = number(&rest, 2, &ok), size = number(&rest, 4, &ok);
	if (!ok)
		return why_not(why, "the quote ends within its signature");
	if (type != CERTIFICATION_QE_REPORT)
		return why_not(why, "certification data of type %u is not a report's", type);
	if (size != rest.n)
		return why_not(why, "the certification data has %zu bytes, not %u", rest.n, size);
	return parse_certification(quote, rest, why);
}

bool quote_parse(struct quote *quote, struct span bytes, struct why *why)
{
	struct span rest = bytes, auth;
	bool ok = true;
	*quote = (struct quote){0};
	if (bytes.n > QUOTE_MAX)
		return why_not(why, "%zu bytes are more than a quote may have", bytes.n);
	if (!parse_header(quote, &rest, why) || !parse_body(quote, &rest, why))
		return false;
	quote->measured = (struct span){bytes.p, bytes.n - rest.n};
	quote->auth_size = number(&rest, 4, &ok);
	if (!ok || !bytes_take(&rest, quote->auth_size, &auth))
		return why_not(why, "the quote ends before its authentication data does");
	quote->trailing = rest.n;
	return parse_authentication(quote, auth, why);
}
