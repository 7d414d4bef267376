// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

// An RA-TLS certificate as dstack makes them: quote and event log in extensions of its own, each a
// DER OCTET STRING inside the usual one.

#include "bytes.h"
#include "certificates.h"
#include "evidence.h"

#include <openssl/pem.h>

#define OID_DSTACK "1.3.6.1.4.1.62397.1."

enum { EVIDENCE_QUOTE = 1, EVIDENCE_EVENT_LOG = 2, EVIDENCE_ATTESTATION = 8 };

static X509 *read_x509(struct span bytes)
{
	const unsigned char *der = (const unsigned char *)bytes.p;
	if (bytes.n > EVIDENCE_MAX)
		return NULL;
	if (!span_starts(bytes, SPAN("-----BEGIN")))
		return d2i_X509(NULL, &der, (long)bytes.n);
	BIO *bio = BIO_new_mem_buf(bytes.p, (int)bytes.n);
	X509 *certificate = bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
	BIO_free(bio);
	return certificate;
}

// What stands in the extension, copied; the absent span when there is none.
static struct span extension(struct evidence *evidence, const X509 *certificate, unsigned which)
{
	char name[40];
	struct span found = {NULL, 0};
	snprintf(name, sizeof name, OID_DSTACK "%u", which);
	ASN1_OBJECT *oid = OBJ_txt2obj(name, 1);
	int at = oid != NULL ? X509_get_ext_by_OBJ(certificate, oid, -1) : -1;
	ASN1_OBJECT_free(oid);
	if (at < 0)
		return found;
	const ASN1_OCTET_STRING *outer = X509_EXTENSION_get_data(X509_get_ext(certificate, at));
	const unsigned char *p = ASN1_STRING_get0_data(outer);
	ASN1_OCTET_STRING *inner = d2i_ASN1_OCTET_STRING(NULL, &p, ASN1_STRING_length(outer));
	size_t n = inner != NULL ? (size_t)ASN1_STRING_length(inner) : 0;
	char *copy = inner != NULL ? evidence_memory(evidence, n) : NULL;
	if (copy != NULL) {
		memcpy(copy, ASN1_STRING_get0_data(inner), n);
		found = (struct span){copy, n};
	}
	ASN1_OCTET_STRING_free(inner);
	return found;
}

static bool set_spki(struct evidence *evidence, const X509 *certificate)
{
	uint8_t *der = NULL;
	int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
	char *copy = n > 0 ? evidence_memory(evidence, (size_t)n) : NULL;
	if (copy != NULL) {
		memcpy(copy, der, (size_t)n);
		evidence->spki = (struct span){copy, (size_t)n};
	}
	OPENSSL_free(der);
	return copy != NULL;
}

bool evidence_read_certificate(struct evidence *evidence, struct span bytes, struct why *why)
{
	CLEANUP(x509_free_p) X509 *certificate = read_x509(bytes);
	if (certificate == NULL)
		return why_not(why, "the certificate cannot be read");
	if (!set_spki(evidence, certificate))
		return why_not(why, "out of memory");
	struct span attestation = extension(evidence, certificate, EVIDENCE_ATTESTATION);
	if (attestation.p != NULL)
		return evidence_read_scale(evidence, attestation, why);
	evidence->quote = extension(evidence, certificate, EVIDENCE_QUOTE);
	if (evidence->quote.p == NULL)
		return why_not(why, "the certificate carries no quote");
	struct span log = extension(evidence, certificate, EVIDENCE_EVENT_LOG);
	if (log.p != NULL)
		evidence_read_log(evidence, log);
	return true;
}
