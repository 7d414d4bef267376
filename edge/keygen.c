// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "keygen.h"

#include "certificate.h"
#include "edge.h"
#include "file.h"
#include "ipc.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>

enum {
	EARLY_S = 3600, // for clocks that are behind
	SERIAL_SIZE = 16,
	NAME_MAX_ = 254,
};

#define OID_QUOTE     "1.3.6.1.4.1.62397.1.1"
#define OID_EVENT_LOG "1.3.6.1.4.1.62397.1.2"

// ---- the certificate

static bool add_name(GENERAL_NAMES *all, const char *name)
{
	GENERAL_NAME *general = GENERAL_NAME_new();
	ASN1_OCTET_STRING *address = a2i_IPADDRESS(name);
	ASN1_IA5STRING *text = address == NULL ? ASN1_IA5STRING_new() : NULL;
	if (general == NULL || (address == NULL && text == NULL) ||
		(text != NULL && !ASN1_STRING_set(text, name, -1)))
		return false;
	if (address != NULL)
		GENERAL_NAME_set0_value(general, GEN_IPADD, address);
	else
		GENERAL_NAME_set0_value(general, GEN_DNS, text);
	return sk_GENERAL_NAME_push(all, general) > 0;
}

// The name that NAMES begins with, which is taken off.
static const char *next_name(struct span *names, char out[NAME_MAX_])
{
	const char *comma = memchr(names->p, ',', names->n);
	size_t n = comma != NULL ? (size_t)(comma - names->p) : names->n;
	size_t used = comma != NULL ? n + 1 : n;
	snprintf(out, NAME_MAX_, "%.*s", (int)n, names->p);
	*names = (struct span){names->p + used, names->n - used};
	return out;
}

static bool set_names(X509 *x509, struct span names)
{
	char name[NAME_MAX_];
	GENERAL_NAMES *all = GENERAL_NAMES_new();
	X509_NAME *subject = X509_get_subject_name(x509);
	bool good = all != NULL;
	// A common name is 64 characters at most; those that count are the alternative names.
	good = good && X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
			       (const unsigned char *)"tunneld", -1, -1, 0);
	while (good && names.n > 0)
		good = add_name(all, next_name(&names, name));
	good = good && X509_set_issuer_name(x509, subject) &&
	       X509_add1_ext_i2d(x509, NID_subject_alt_name, all, 0, X509V3_ADD_DEFAULT) == 1;
	GENERAL_NAMES_free(all);
	return good;
}

static bool add_extension(X509 *x509, int nid, const char *value)
{
	X509V3_CTX context;
	X509V3_set_ctx(&context, x509, x509, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	bool good = extension != NULL && X509_add_ext(x509, extension, -1);
	X509_EXTENSION_free(extension);
	return good;
}

// An OCTET STRING in the one of the extension itself, as dstack has it.
static bool add_bytes(X509 *x509, const char *oid, struct span bytes)
{
	ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
	ASN1_OCTET_STRING *inner = ASN1_OCTET_STRING_new(), *outer = ASN1_OCTET_STRING_new();
	X509_EXTENSION *extension = NULL;
	uint8_t *der = NULL;
	int n = 0;
	if (object != NULL && inner != NULL && outer != NULL &&
		ASN1_STRING_set(inner, bytes.p, (int)bytes.n))
		n = i2d_ASN1_OCTET_STRING(inner, &der);
	if (n > 0) {
		ASN1_STRING_set0(outer, der, n);
		extension = X509_EXTENSION_create_by_OBJ(NULL, object, 0, outer);
	}
	bool good = extension != NULL && X509_add_ext(x509, extension, -1);
	X509_EXTENSION_free(extension);
	ASN1_OCTET_STRING_free(outer);
	ASN1_OCTET_STRING_free(inner);
	ASN1_OBJECT_free(object);
	return good;
}

static bool add_evidence(X509 *x509, const struct keygen_subject *subject)
{
	return (subject->quote.n == 0 || add_bytes(x509, OID_QUOTE, subject->quote)) &&
	       (subject->event_log.n == 0 || add_bytes(x509, OID_EVENT_LOG, subject->event_log));
}

static bool set_serial(X509 *x509)
{
	uint8_t bytes[SERIAL_SIZE];
	if (RAND_bytes(bytes, sizeof bytes) != 1)
		return false;
	bytes[0] &= 0x7f; // positive
	BIGNUM *number = BN_bin2bn(bytes, sizeof bytes, NULL);
	bool good = number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x509));
	BN_free(number);
	return good;
}

static bool fill_in(X509 *x509, EVP_PKEY *key, const struct keygen_subject *subject)
{
	return X509_set_version(x509, X509_VERSION_3) && set_serial(x509) &&
	       X509_gmtime_adj(X509_getm_notBefore(x509), -EARLY_S) != NULL &&
	       X509_gmtime_adj(X509_getm_notAfter(x509), (long)subject->life_s) != NULL &&
	       X509_set_pubkey(x509, key) && set_names(x509, subject->names) &&
	       add_extension(x509, NID_basic_constraints, "critical,CA:FALSE") &&
	       add_extension(x509, NID_key_usage, "critical,digitalSignature") &&
	       add_extension(x509, NID_ext_key_usage, "serverAuth") &&
	       add_extension(x509, NID_subject_key_identifier, "hash") &&
	       add_evidence(x509, subject) && X509_sign(x509, key, EVP_sha256()) > 0;
}

// ---- both as text

static int write_key(EVP_PKEY *key, int fd)
{
	BIO *bio = BIO_new(BIO_s_secmem()); // is wiped when it is freed
	char *text = NULL;
	int r = -ENOMEM;
	if (bio != NULL && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL)) {
		long n = BIO_get_mem_data(bio, &text);
		r = file_write(fd, text, (size_t)n);
	}
	BIO_free(bio);
	return r;
}

static char *format_certificate(X509 *x509)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL, *copy = NULL;
	if (bio != NULL && PEM_write_bio_X509(bio, x509)) {
		long n = BIO_get_mem_data(bio, &text);
		copy = strndup(text, (size_t)n);
	}
	BIO_free(bio);
	return copy;
}

// The key in FD, or a new one that it gets; NULL when there is none.
static EVP_PKEY *key_of(int fd)
{
	char first;
	if (pread(fd, &first, 1, 0) != 0)
		return certificate_read_key(fd);
	EVP_PKEY *key = EVP_EC_gen("P-256");
	if (key == NULL || write_key(key, fd) == 0)
		return key;
	EVP_PKEY_free(key);
	return NULL;
}

int keygen_make(const struct keygen_subject *subject, int key_fd, char **certificate)
{
	EVP_PKEY *key = key_of(key_fd);
	X509 *x509 = X509_new();
	int r = -ENOMEM;
	if (key != NULL && x509 != NULL && fill_in(x509, key, subject)) {
		*certificate = format_certificate(x509);
		r = *certificate != NULL ? 0 : -ENOMEM;
	}
	EVP_PKEY_free(key);
	X509_free(x509);
	ERR_clear_error();
	return r;
}

// ---- the process

struct keygen {
	struct loop loop;
	struct ipc_channel control;
};

static int tell(struct ipc_channel *control, struct span chain, struct certificate *certificate)
{
	uint8_t *spki;
	int n = certificate_spki(certificate, &spki);
	if (n < 0)
		return n;
	int r = ipc_post(
		control, MSG_KEY_MADE, -1, wire_bin(spki, (size_t)n), wire_bin(chain.p, chain.n));
	OPENSSL_free(spki);
	return r;
}

// Tells what KEY_FD and CHAIN are. Returns 0 or a negative errno.
static int report(struct ipc_channel *control, struct span chain, int key_fd)
{
	struct certificate certificate;
	const char *why = "";
	int r = certificate_load(&certificate, chain, key_fd, &why);
	if (r == CERTIFICATE_INVALID)
		r = ipc_post(control, MSG_KEY_REFUSED, -1, wire_str(span_of(why)));
	else if (r == 0)
		r = tell(control, chain, &certificate);
	certificate_deinit(&certificate);
	return MIN(r, 0);
}

static int on_job(struct ipc_channel *channel, struct ipc_message *message)
{
	const struct wire_value *f = message->fields;
	const struct keygen_subject subject = {f[0].bytes, f[2].number, f[3].bytes, f[4].bytes};
	struct span chain = f[1].bytes;
	CLEANUP(free_p) char *made = NULL;
	channel->phase = PHASE_RUN;
	int r = 0;
	if (chain.n == 0) {
		r = keygen_make(&subject, message->fd, &made);
		chain = span_of(made);
	}
	if (r == 0)
		r = report(channel, chain, message->fd);
	if (r < 0)
		loop_stop(channel->loop, EDGE_EXIT_START);
	return 0;
}

static void on_ended(struct ipc_channel *channel, const char *why)
{
	loop_stop(channel->loop, EXIT_SUCCESS);
}

int keygen_run(uint32_t epoch, unsigned reached)
{
	static const struct ipc_handling table[] = {{MSG_KEY_JOB, on_job}};
	static const struct ipc_handlers handlers = {
		ROLE_EDGE, ROLE_SUPERVISOR, table, ARRAY_SIZE(table)};
	static struct keygen keygen;
	int r = loop_init(&keygen.loop);
	if (r == 0)
		r = ipc_init(&keygen.control, &keygen.loop, IPC_FIRST_FD, &handlers, epoch, 0, 0);
	if (r < 0)
		return EDGE_EXIT_START;
	keygen.control.ended = on_ended;
	r = ipc_post(&keygen.control, MSG_READY, -1, wire_uint(reached));
	r = r == IPC_SENT ? loop_run(&keygen.loop) : -EIO;
	return r < 0 ? EDGE_EXIT_LOOP : r;
}
