// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "mr_config.h"

#include "buf.h"
#include "bytes.h"
#include "crypto.h"
#include "hex.h"
#include "json_read.h"
#include "keccak.h"

enum { HASH_SIZE = 32, PROVIDER_MAX = 4096, PROVIDER_ID_MAX = 512, DOCUMENT_MAX = 8192 };

// ---- what the boot left

struct provider {
	const char *word; // in a document
	uint8_t kind, id[PROVIDER_ID_MAX];
	size_t id_size;
};

// The key provider is JSON in its event: {"name":"kms","id":"HEX"}.
static bool read_provider(struct provider *provider, const struct event_log *log)
{
	static const struct {
		const char *name, *word; // in the event, in a document
	} kinds[] = {{"none", "none"}, {"local-sgx", "local"}, {"kms", "kms"}, {"tpm", "tpm"}};
	const struct event *event = event_log_boot(log, "key-provider");
	CLEANUP(json_p)
	json_t *json = event != NULL ? json_read(event->payload, PROVIDER_MAX) : NULL;
	struct span name = json_member_text(json, "name"), id = json_member_text(json, "id");
	*provider = (struct provider){.id_size = id.n / 2};
	for (uint8_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (span_eq(name, span_of(kinds[i].name))) {
			provider->kind = i;
			provider->word = kinds[i].word;
		}
	return provider->word != NULL && id.n <= 2 * sizeof provider->id &&
	       hex_decode(provider->id, provider->id_size, id) == 0;
}

// What the event of that name says; the absent span without one.
static struct span said(const struct event_log *log, const char *name)
{
	const struct event *event = event_log_boot(log, name);
	return event != NULL ? event->payload : (struct span){NULL, 0};
}

// ---- kinds 1 and 2

static bool is_compose_hash(struct span hash, const struct event_log *log)
{
	return span_eq(hash, said(log, "compose-hash"));
}

static bool is_keccak(struct span hash, const struct event_log *log)
{
	struct provider provider;
	uint8_t digest[KECCAK256_SIZE];
	CLEANUP(buf_reset) struct buf all;
	buf_init(&all, DOCUMENT_MAX);
	if (!read_provider(&provider, log) || buf_add_span(&all, said(log, "compose-hash")) < 0 ||
		buf_add_span(&all, said(log, "app-id")) < 0 ||
		buf_add(&all, &provider.kind, 1) < 0 ||
		buf_add(&all, provider.id, provider.id_size) < 0)
		return false;
	keccak256(digest, buf_span(&all));
	return span_eq(hash, bytes_of(digest, sizeof digest));
}

// ---- kind 3: the document is not at hand, but all that can stand in it is known

// Members that may have been left out.
enum {
	WITH_APP = 1,
	WITH_GPU = 2,
	WITH_SCRIPTS = 4,
	WITH_INSTANCE = 8,
	WITH_PROVIDER = 16,
	ALL = 32
};

static bool add_hex(struct buf *out, const char *before, struct span bytes)
{
	char hex[2 * PROVIDER_ID_MAX + 1];
	if (bytes.n > PROVIDER_ID_MAX)
		return false;
	hex_encode(hex, bytes.p, bytes.n);
	return buf_printf(out, "%s\"%s\"", before, hex) == 0;
}

static bool add_scripts(struct buf *out, const struct event_log *log)
{
	const struct event *event = NULL;
	const char *before = "";
	bool good = buf_printf(out, ",\"init_script_hashes\":[") == 0;
	while (good && (event = event_log_boot_next(log, event)) != NULL)
		if (span_eq(event->name, SPAN("init-script-hash"))) {
			good = add_hex(out, before, event->payload);
			before = ",";
		}
	return good && buf_add(out, "]", 1) == 0;
}

// The document as dstack writes it, in the form of RFC 8785: members by name, no spaces.
static bool format(struct buf *out, unsigned with, const struct event_log *log,
	const struct provider *provider)
{
	bool good = buf_add(out, "{", 1) == 0;
	if ((with & WITH_APP) != 0)
		good = good && add_hex(out, "\"app_id\":", said(log, "app-id")) &&
		       buf_add(out, ",", 1) == 0;
	good = good && add_hex(out, "\"compose_hash\":", said(log, "compose-hash"));
	if ((with & WITH_GPU) != 0)
		good = good && add_hex(out, ",\"gpu_policy_hash\":", said(log, "gpu-policy-hash"));
	if ((with & WITH_SCRIPTS) != 0)
		good = good && add_scripts(out, log);
	if ((with & WITH_INSTANCE) != 0)
		good = good && add_hex(out, ",\"instance_id\":", said(log, "instance-id"));
	good = good && buf_printf(out, ",\"key_provider\":\"%s\"", provider->word) == 0;
	if ((with & WITH_PROVIDER) != 0)
		good = good &&
		       add_hex(out,
			       ",\"key_provider_id\":", bytes_of(provider->id, provider->id_size));
	return good && buf_printf(out, ",\"version\":3}") == 0;
}

static bool is_document(struct span hash, const struct event_log *log)
{
	static const char domain[] = "dstack-mr-config-v3:"; // with its NUL
	struct provider provider;
	bool found = false;
	if (!read_provider(&provider, log))
		return false;
	for (unsigned with = 0; with < ALL && !found; with++) {
		uint8_t digest[HASH_SIZE];
		CLEANUP(buf_reset) struct buf document;
		buf_init(&document, DOCUMENT_MAX);
		if (!format(&document, with, log, &provider))
			continue;
		const struct digest_input input = {
			{bytes_of(domain, sizeof domain), buf_span(&document)}};
		found = digest_make(EVP_sha256(), &input, digest) &&
			span_eq(hash, bytes_of(digest, sizeof digest));
	}
	return found;
}

bool mr_config_fits(struct span mr_config_id, const struct event_log *log, struct why *why)
{
	static bool (*const kinds[])(struct span hash, const struct event_log *log) = {
		NULL, is_compose_hash, is_keccak, is_document};
	struct span rest = mr_config_id, kind, hash;
	if (bytes_zero(mr_config_id))
		return true;
	if (!bytes_take(&rest, 1, &kind) || !bytes_take(&rest, HASH_SIZE, &hash) ||
		bytes_number(kind) == 0 || bytes_number(kind) >= ARRAY_SIZE(kinds))
		return why_not(why, "mr_config_id is of a kind this program does not know");
	return (bytes_zero(rest) && kinds[bytes_number(kind)](hash, log)) ||
	       why_not(why, "mr_config_id does not agree with the events of the boot");
}
