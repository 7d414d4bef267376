// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "sgx_extension.h"

#include "bytes.h"

#include <limits.h>

#include <openssl/asn1.h>

// OIDs below 1.2.840.113741.1.13.1, as DER: this prefix and one or two bytes.
#define PREFIX "\x2a\x86\x48\x86\xf8\x4d\x01\x0d\x01"

enum {
	MEMBER_TCB = 2,
	MEMBER_PCEID = 3,
	MEMBER_FMSPC = 4,
	TCB_PCE_SVN = 17,
	TCB_CPU_SVN = 18,
};

// Takes one DER element of universal TAG off *FROM: definite lengths only.
static bool take(struct span *from, int tag, struct span *content)
{
	const unsigned char *p = (const unsigned char *)from->p;
	long length;
	int found, class;
	if (from->n == 0 || from->n > LONG_MAX)
		return false;
	int r = ASN1_get_object(&p, &length, &found, &class, (long)from->n);
	if ((r & 0x80) != 0 || (r & 1) != 0 || found != tag || class != V_ASN1_UNIVERSAL ||
		length < 0)
		return false;
	size_t header = (size_t)((const char *)p - from->p);
	return bytes_take(from, header, NULL) && bytes_take(from, (size_t)length, content);
}

// Takes SEQUENCE {OID, value} off *FROM: the last parts of the OID below the prefix, and what
// follows it. *UNDER is 0 where there is only one.
static bool take_member(struct span *from, unsigned *id, unsigned *under, struct span *value)
{
	struct span oid;
	if (!take(from, V_ASN1_SEQUENCE, value) || !take(value, V_ASN1_OBJECT, &oid))
		return false;
	if (!span_starts(oid, SPAN(PREFIX)) || !bytes_take(&oid, sizeof PREFIX - 1, NULL))
		return false;
	if (oid.n < 1 || oid.n > 2)
		return false;
	*id = (unsigned char)oid.p[0];
	*under = oid.n == 2 ? (unsigned char)oid.p[1] : 0;
	return true;
}

static bool octets(struct span value, uint8_t *out, size_t n)
{
	struct span content;
	if (!take(&value, V_ASN1_OCTET_STRING, &content) || value.n != 0 || content.n != n)
		return false;
	memcpy(out, content.p, n);
	return true;
}

// A number from 0 to MAX, which is below 2^24: at most one leading zero byte, and no more.
static bool integer(struct span value, uint32_t max, uint32_t *out)
{
	struct span content;
	if (!take(&value, V_ASN1_INTEGER, &content) || value.n != 0 || content.n < 1 ||
		content.n > 3 || (content.p[0] & 0x80) != 0)
		return false;
	*out = 0;
	for (size_t i = 0; i < content.n; i++)
		*out = *out << 8 | (unsigned char)content.p[i];
	return *out <= max;
}

static bool tcb_member(struct sgx_extension *extension, unsigned which, struct span value)
{
	uint32_t number = 0;
	if (which == TCB_CPU_SVN)
		return octets(value, extension->cpu_svn, sizeof extension->cpu_svn);
	if (which == TCB_PCE_SVN) {
		bool good = integer(value, UINT16_MAX, &number);
		extension->pce_svn = (uint16_t)number;
		return good;
	}
	if (which < 1 || which > SGX_COMPONENTS || !integer(value, UINT8_MAX, &number))
		return false;
	extension->components[which - 1] = (uint8_t)number;
	return true;
}

// All eighteen, each once.
static bool tcb(struct sgx_extension *extension, struct span value)
{
	struct span list, member;
	uint32_t seen = 0;
	unsigned id, which;
	if (!take(&value, V_ASN1_SEQUENCE, &list) || value.n != 0)
		return false;
	while (list.n > 0) {
		if (!take_member(&list, &id, &which, &member) || id != MEMBER_TCB ||
			which > TCB_CPU_SVN || (seen & 1u << which) != 0 ||
			!tcb_member(extension, which, member))
			return false;
		seen |= 1u << which;
	}
	return seen == (1u << (TCB_CPU_SVN + 1)) - 2;
}

bool sgx_extension_parse(struct sgx_extension *extension, struct span der, struct why *why)
{
	struct span list, value;
	uint32_t seen = 0;
	unsigned id, under;
	*extension = (struct sgx_extension){0};
	if (!take(&der, V_ASN1_SEQUENCE, &list) || der.n != 0)
		return why_not(why, "the extension is no sequence");
	while (list.n > 0) {
		bool good = take_member(&list, &id, &under, &value) && under == 0 && id < 32 &&
			    (seen & 1u << id) == 0;
		if (good && id == MEMBER_TCB)
			good = tcb(extension, value);
		else if (good && id == MEMBER_PCEID)
			good = octets(value, extension->pceid, PCEID_SIZE);
		else if (good && id == MEMBER_FMSPC)
			good = octets(value, extension->fmspc, FMSPC_SIZE);
		if (!good)
			return why_not(why, "the extension has a malformed member");
		seen |= 1u << id;
	}
	const uint32_t needed = 1u << MEMBER_TCB | 1u << MEMBER_PCEID | 1u << MEMBER_FMSPC;
	if ((seen & needed) != needed)
		return why_not(why, "the extension lacks versions, PCEID or FMSPC");
	return true;
}

bool sgx_extension_of(struct sgx_extension *extension, const X509 *pck, struct why *why)
{
	ASN1_OBJECT *oid = OBJ_txt2obj("1.2.840.113741.1.13.1", 1);
	int at = oid != NULL ? X509_get_ext_by_OBJ(pck, oid, -1) : -1;
	bool twice = at >= 0 && X509_get_ext_by_OBJ(pck, oid, at) >= 0;
	ASN1_OBJECT_free(oid);
	if (at < 0 || twice)
		return why_not(why, "the PCK certificate has not exactly one SGX extension");
	const ASN1_OCTET_STRING *value = X509_EXTENSION_get_data(X509_get_ext(pck, at));
	return sgx_extension_parse(extension,
		bytes_of(ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value)), why);
}
