// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "collateral.h"

#include "bytes.h"
#include "certificates.h"
#include "crypto.h"
#include "hex.h"
#include "json_read.h"

enum {
	CRL_MAX = 256 << 10,
	SIGNERS = 2, // TCB signing leaf and root
};

static X509_CRL *read_crl(const json_t *object, const char *name, struct why *why)
{
	struct span text = json_member_text(object, name);
	X509_CRL *crl = NULL;
	CLEANUP(free_p) uint8_t *der = malloc(text.n / 2 + 1);
	if (text.p == NULL || der == NULL || text.n / 2 > CRL_MAX ||
		hex_decode(der, text.n / 2, text) != 0) {
		why_not(why, "the collateral has no %s", name);
		return NULL;
	}
	const unsigned char *p = der;
	crl = d2i_X509_CRL(NULL, &p, (long)(text.n / 2));
	if (crl == NULL)
		why_not(why, "the collateral's %s cannot be read", name);
	return crl;
}

static void read_signed(struct signed_text *out, const json_t *object, const char *text,
	const char *signature, const char *chain)
{
	struct why ignored; // what is missing is said when it is opened
	out->text = json_member_text(object, text);
	out->signature = json_member_text(object, signature);
	out->chain = certificates_read(json_member_text(object, chain), SIGNERS, &ignored);
}

void collateral_init(struct collateral *collateral, const json_t *object)
{
	*collateral = (struct collateral){.json = json_deep_copy(object)};
	object = collateral->json;
	collateral->pck_crl = read_crl(object, "pck_crl", &collateral->crl_why);
	collateral->root_crl = read_crl(object, "root_ca_crl", &collateral->crl_why);
	read_signed(&collateral->tcb_info, object, "tcb_info", "tcb_info_signature",
		"tcb_info_issuer_chain");
	read_signed(&collateral->qe_identity, object, "qe_identity", "qe_identity_signature",
		"qe_identity_issuer_chain");
}

void collateral_deinit(struct collateral *collateral)
{
	X509_CRL_free(collateral->pck_crl);
	X509_CRL_free(collateral->root_crl);
	certificates_free_p(&collateral->tcb_info.chain);
	certificates_free_p(&collateral->qe_identity.chain);
	json_decref(collateral->json);
	*collateral = (struct collateral){0};
}

static bool push(STACK_OF(X509_CRL) * list, X509_CRL *crl)
{
	if (crl == NULL || X509_CRL_up_ref(crl) != 1)
		return false;
	if (sk_X509_CRL_push(list, crl) > 0)
		return true;
	X509_CRL_free(crl);
	return false;
}

STACK_OF(X509_CRL) * collateral_root_crls(const struct collateral *collateral)
{
	STACK_OF(X509_CRL) *list = sk_X509_CRL_new_null();
	if (list != NULL && push(list, collateral->root_crl))
		return list;
	crls_free_p(&list);
	return NULL;
}

STACK_OF(X509_CRL) * collateral_pck_crls(const struct collateral *collateral)
{
	STACK_OF(X509_CRL) *list = collateral_root_crls(collateral);
	if (list != NULL && push(list, collateral->pck_crl))
		return list;
	crls_free_p(&list);
	return NULL;
}

static bool check_signer(const struct collateral *collateral, STACK_OF(X509) * chain, X509 *root,
	int64_t at, struct why *why)
{
	if (chain == NULL || sk_X509_num(chain) != SIGNERS)
		return why_not(why, "its signing chain is not a leaf and a root");
	CLEANUP(crls_free_p) STACK_OF(X509_CRL) *crls = collateral_root_crls(collateral);
	if (crls == NULL)
		return why_not(why, "no revocation list of the root");
	return certificates_check(chain, root, crls, "SGX TCB Signing", at, why);
}

static bool check_signature(const struct signed_text *signed_text, struct why *why)
{
	uint8_t signature[P256_SIZE];
	EVP_PKEY *key = X509_get0_pubkey(sk_X509_value(signed_text->chain, 0));
	if (hex_decode(signature, sizeof signature, signed_text->signature) != 0)
		return why_not(why, "its signature is not 64 bytes of hex");
	if (!p256_verify(key, bytes_of(signature, sizeof signature), signed_text->text))
		return why_not(why, "its signature is not by its signing key");
	return true;
}

static bool check_dates(const json_t *object, int64_t at, struct why *why)
{
	int64_t issued, next;
	if (!json_member_time(object, "issueDate", &issued) ||
		!json_member_time(object, "nextUpdate", &next))
		return why_not(why, "it has no dates");
	if (issued > at)
		return why_not(why, "it is issued in the future");
	if (next < at)
		return why_not(why, "it has expired");
	return true;
}

json_t *collateral_open(const struct collateral *collateral, const struct signed_text *signed_text,
	X509 *root, int64_t at, struct why *why)
{
	if (signed_text->text.p == NULL) {
		why_not(why, "the collateral does not have it");
		return NULL;
	}
	if (!check_signer(collateral, signed_text->chain, root, at, why) ||
		!check_signature(signed_text, why))
		return NULL;
	json_t *object = json_read(signed_text->text, COLLATERAL_MAX);
	if (!json_is_object(object))
		why_not(why, "it is no JSON object");
	else if (check_dates(object, at, why))
		return object;
	json_decref(object);
	return NULL;
}
