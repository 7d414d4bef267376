// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "envelope.h"

#include "bytes.h"
#include "crypto.h"
#include "hex.h"

enum { TLS_KEYS_MAX = 256, COMPONENTS_MAX = 256 };

static const char *const types[] = {
	[ENVELOPE_INSTANCE] = "tunneld-instance/1",
	[ENVELOPE_TUNNEL] = "tunneld-tunnel/1",
	[ENVELOPE_RECEIPT] = "tunneld-receipt/1",
};

// ---- reading

static void statement_deinit(struct envelope_statement *statement)
{
	json_decref(statement->json);
	free(statement->text);
}

void envelope_deinit(struct envelope *envelope)
{
	statement_deinit(&envelope->outer);
	statement_deinit(&envelope->instance);
	evidence_deinit(&envelope->evidence);
	evidence_deinit(&envelope->fresh);
	json_decref(envelope->json);
	*envelope = (struct envelope){0};
}

static bool read_statement(
	struct envelope_statement *statement, const json_t *object, struct why *why)
{
	struct span encoded = json_member_text(object, "statement");
	statement->text = malloc(ENVELOPE_STATEMENT_MAX);
	int n = statement->text != NULL && encoded.p != NULL
			? base64_decode(statement->text, ENVELOPE_STATEMENT_MAX, encoded)
			: -EINVAL;
	if (n < 0)
		return why_not(why, "there is no statement in base64");
	statement->bytes = (struct span){statement->text, (size_t)n};
	statement->json = json_read(statement->bytes, ENVELOPE_STATEMENT_MAX);
	return json_is_object(statement->json) || why_not(why, "a statement is no JSON object");
}

static bool read_kind(struct envelope *envelope, struct why *why)
{
	struct span type = json_member_text(envelope->outer.json, "type");
	for (unsigned i = 0; i < ARRAY_SIZE(types); i++)
		if (span_eq(type, span_of(types[i]))) {
			envelope->kind = i;
			return true;
		}
	return why_not(why, "the statement is of a type this program does not know");
}

static bool read_instance(struct envelope *envelope, struct why *why)
{
	const json_t *claims = envelope->instance.json;
	if (!span_eq(json_member_text(claims, "type"), span_of(types[ENVELOPE_INSTANCE])))
		return why_not(why, "the instance statement is of another type");
	if (!json_member_hex(claims, "instance_key", envelope->key, sizeof envelope->key))
		return why_not(why, "the instance statement has no key");
	const json_t *tls = json_object_get(claims, "tls");
	const json_t *components = json_object_get(claims, "components");
	if (!json_is_array(tls) || json_array_size(tls) > TLS_KEYS_MAX ||
		!json_is_array(components) || json_array_size(components) > COMPONENTS_MAX)
		return why_not(why, "the instance statement has no keys or components");
	// A document about the instance says it twice.
	return envelope->kind != ENVELOPE_INSTANCE ||
	       span_eq(envelope->outer.bytes, envelope->instance.bytes) ||
	       why_not(why, "two different instance statements");
}

// OBJECT has `quote` and what belongs to it; null or no quote leaves EVIDENCE without one.
static bool read_evidence(struct evidence *evidence, const json_t *object, struct why *why)
{
	const json_t *quote = json_object_get(object, "quote");
	if (quote == NULL || json_is_null(quote))
		return true;
	return evidence_read_object(evidence, object, why);
}

bool envelope_read(struct envelope *envelope, struct span text, struct why *why)
{
	*envelope = (struct envelope){.json = json_read(text, ENVELOPE_MAX)};
	const json_t *instance = json_object_get(envelope->json, "instance");
	const json_t *fresh = json_object_get(envelope->json, "fresh");
	if (!json_is_object(instance))
		return why_not(why, "it is no document with an instance");
	if (!read_statement(&envelope->outer, envelope->json, why) ||
		!read_statement(&envelope->instance, instance, why) || !read_kind(envelope, why) ||
		!read_instance(envelope, why))
		return false;
	if (!json_member_hex(
		    envelope->json, "signature", envelope->signature, sizeof envelope->signature))
		return why_not(why, "it has no signature");
	const json_t *collateral = json_object_get(instance, "collateral");
	envelope->collateral = json_is_object(collateral) ? collateral : NULL;
	envelope->has_fresh = json_is_object(fresh);
	return read_evidence(&envelope->evidence, instance, why) &&
	       read_evidence(&envelope->fresh, fresh, why);
}

// ---- asking

bool envelope_signed(const struct envelope *envelope)
{
	struct span type = span_of(types[envelope->kind]), bytes = envelope->outer.bytes;
	size_t n = type.n + 1 + bytes.n;
	CLEANUP(free_p) char *message = malloc(n);
	CLEANUP(pkey_free_p)
	EVP_PKEY *key = EVP_PKEY_new_raw_public_key(
		EVP_PKEY_ED25519, NULL, envelope->key, sizeof envelope->key);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool good = message != NULL && key != NULL && context != NULL &&
		    EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) == 1;
	if (good) {
		memcpy(message, type.p, type.n);
		message[type.n] = ':';
		memcpy(message + type.n + 1, bytes.p, bytes.n);
		good = EVP_DigestVerify(context, envelope->signature, sizeof envelope->signature,
			       (const uint8_t *)message, n) == 1;
	}
	EVP_MD_CTX_free(context);
	return good;
}

bool envelope_key_is_own(const json_t *key)
{
	return json_object_get(key, "from_file") == NULL;
}

const json_t *envelope_tls_key(
	const struct envelope *envelope, const uint8_t spki_sha256[SHA256_SIZE])
{
	const json_t *tls = json_object_get(envelope->instance.json, "tls");
	for (size_t i = 0; i < json_array_size(tls); i++) {
		uint8_t digest[SHA256_SIZE];
		if (json_member_hex(json_array_get(tls, i), "spki_sha256", digest, sizeof digest) &&
			memcmp(digest, spki_sha256, sizeof digest) == 0)
			return json_array_get(tls, i);
	}
	return NULL;
}

bool envelope_component(
	const struct envelope *envelope, const char *name, uint8_t sha256[SHA256_SIZE])
{
	const json_t *components = json_object_get(envelope->instance.json, "components");
	for (size_t i = 0; i < json_array_size(components); i++) {
		const json_t *component = json_array_get(components, i);
		if (span_eq(json_member_text(component, "name"), span_of(name)))
			return json_member_hex(component, "sha256", sha256, SHA256_SIZE);
	}
	return false;
}
