// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "verify_inputs.h"

#include "bytes.h"
#include "certificates.h"
#include "clock.h"
#include "crypto.h"
#include "file.h"
#include "hex.h"
#include "json_read.h"
#include "utc_time.h"

#include <fcntl.h>
#include <openssl/pem.h>

enum { KEY_FILE_MAX = 64 << 10 };

// ---- files

int verify_file_read(
	char **ret, struct span *bytes, const char *path, size_t max, struct failure *failure)
{
	CLEANUP(close_p) int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text = fd >= 0 ? malloc(max + 1) : NULL;
	ssize_t n = fd < 0 ? -errno : text == NULL ? -ENOMEM : file_read(fd, text, max + 1);
	if (n > (ssize_t)max)
		n = -EFBIG;
	if (n < 0) {
		free(text);
		return failure_set(failure, EXIT_CODE_USAGE, "%s: %s", path, strerror((int)-n));
	}
	*ret = text;
	*bytes = (struct span){text, (size_t)n};
	return 0;
}

// ---- options

static int read_root(struct verify_inputs *inputs, const char *path, struct failure *failure)
{
	CLEANUP(free_p) char *text = NULL;
	CLEANUP(x509_free_p) X509 *intel = intel_root();
	struct span bytes;
	struct why why;
	if (intel == NULL)
		return -ENOMEM;
	if (path == NULL) {
		inputs->root = X509_dup(intel);
		inputs->root_is_intel = true;
		return inputs->root != NULL ? 0 : -ENOMEM;
	}
	int r = verify_file_read(&text, &bytes, path, KEY_FILE_MAX, failure);
	if (r != 0)
		return r;
	CLEANUP(certificates_free_p) STACK_OF(X509) *list = certificates_read(bytes, 1, &why);
	if (list == NULL)
		return failure_set(failure, EXIT_CODE_USAGE, "%s is not one certificate", path);
	inputs->root = sk_X509_pop(list);
	inputs->root_is_intel = certificate_is(inputs->root, intel);
	return 0;
}

static int read_time(struct verify_inputs *inputs, const char *text, struct failure *failure)
{
	inputs->at = wall_now();
	if (text == NULL || utc_time_parse(&inputs->at, span_of(text)))
		return 0;
	return failure_set(failure, EXIT_CODE_USAGE,
		"--at: '%s' is not a time like 2026-01-31T12:00:00Z", text);
}

static int read_policy(struct verify_inputs *inputs, const char *path, struct failure *failure)
{
	CLEANUP(free_p) char *text = NULL;
	struct span bytes;
	struct why why;
	policy_init(&inputs->policy);
	if (path == NULL)
		return 0;
	int r = verify_file_read(&text, &bytes, path, POLICY_MAX, failure);
	if (r == 0 && !policy_read(&inputs->policy, bytes, &why))
		r = failure_set(failure, EXIT_CODE_USAGE, "%s: %s", path, why.text);
	return r;
}

static int read_collateral(struct verify_inputs *inputs, const char *path, struct failure *failure)
{
	CLEANUP(free_p) char *text = NULL;
	struct span bytes;
	if (path == NULL)
		return 0;
	int r = verify_file_read(&text, &bytes, path, COLLATERAL_MAX, failure);
	if (r != 0)
		return r;
	// What is no JSON has no members: each check that needs one says so.
	CLEANUP(json_p) json_t *json = json_read(bytes, COLLATERAL_MAX);
	collateral_init(&inputs->collateral, json);
	inputs->has_collateral = true;
	return 0;
}

bool ratls_report_data(uint8_t out[REPORT_DATA_SIZE], struct span spki)
{
	const struct digest_input input = {{SPAN("ratls-cert:"), spki}};
	return digest_make(EVP_sha512(), &input, out);
}

// DER of the key in a file that is a public key or a certificate, PEM or DER.
static int read_spki(struct span bytes, uint8_t **der)
{
	const unsigned char *p = (const unsigned char *)bytes.p;
	BIO *bio = BIO_new_mem_buf(bytes.p, (int)bytes.n);
	EVP_PKEY *key = d2i_PUBKEY(NULL, &p, (long)bytes.n);
	if (key == NULL)
		key = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
	if (key == NULL) {
		BIO_reset(bio);
		X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
		p = (const unsigned char *)bytes.p;
		if (certificate == NULL)
			certificate = d2i_X509(NULL, &p, (long)bytes.n);
		key = certificate != NULL ? X509_get_pubkey(certificate) : NULL;
		X509_free(certificate);
	}
	int n = key != NULL ? i2d_PUBKEY(key, der) : 0;
	EVP_PKEY_free(key);
	BIO_free(bio);
	return n;
}

static int read_key(struct verify_inputs *inputs, const char *path, struct failure *failure)
{
	CLEANUP(free_p) char *text = NULL;
	struct span bytes;
	uint8_t *der = NULL;
	int r = verify_file_read(&text, &bytes, path, KEY_FILE_MAX, failure);
	if (r != 0)
		return r;
	int n = read_spki(bytes, &der);
	const struct digest_input input = {{bytes_of(der, n > 0 ? (size_t)n : 0)}};
	bool good = n > 0 && digest_make(EVP_sha256(), &input, inputs->spki_sha256) &&
		    ratls_report_data(inputs->report_data, input.parts[0]);
	OPENSSL_free(der);
	inputs->has_spki = inputs->has_report_data = good;
	return good ? 0
		    : failure_set(failure, EXIT_CODE_USAGE,
			      "%s is neither a public key nor a certificate", path);
}

static int read_report_data(
	struct verify_inputs *inputs, const struct invocation *invocation, struct failure *failure)
{
	const char *hex = invocation->values[OPTION_REPORT_DATA];
	const char *path = invocation->values[OPTION_SPKI];
	if (hex != NULL && path != NULL)
		return failure_set(failure, EXIT_CODE_USAGE,
			"--report-data and --spki ask for the same: give one of them");
	if (path != NULL)
		return read_key(inputs, path, failure);
	if (hex == NULL)
		return 0;
	inputs->has_report_data = true;
	if (hex_decode(inputs->report_data, REPORT_DATA_SIZE, span_of(hex)) == 0)
		return 0;
	return failure_set(failure, EXIT_CODE_USAGE, "--report-data: write 64 bytes as hex");
}

int verify_inputs_read(
	struct verify_inputs *inputs, const struct invocation *invocation, struct failure *failure)
{
	const char *const *values = invocation->values;
	*inputs = (struct verify_inputs){0};
	int r = read_root(inputs, values[OPTION_ROOT_CA], failure);
	if (r == 0)
		r = read_time(inputs, values[OPTION_AT], failure);
	if (r == 0)
		r = read_policy(inputs, values[OPTION_POLICY], failure);
	if (r == 0)
		r = read_collateral(inputs, values[OPTION_COLLATERAL], failure);
	if (r == 0)
		r = read_report_data(inputs, invocation, failure);
	return r;
}

void verify_inputs_deinit(struct verify_inputs *inputs)
{
	X509_free(inputs->root);
	policy_deinit(&inputs->policy);
	if (inputs->has_collateral)
		collateral_deinit(&inputs->collateral);
	*inputs = (struct verify_inputs){0};
}

void verify_inputs_apply(const struct verify_inputs *inputs, struct verification *v)
{
	v->root = inputs->root;
	v->root_is_intel = inputs->root_is_intel;
	v->at = inputs->at;
	v->policy = &inputs->policy;
	v->collateral = inputs->has_collateral ? &inputs->collateral : NULL;
	if (inputs->has_report_data)
		v->report_data = bytes_of(inputs->report_data, REPORT_DATA_SIZE);
}
