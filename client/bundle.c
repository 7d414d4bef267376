// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "bundle.h"

#include "clock.h"
#include "file.h"
#include "hex.h"
#include "json_read.h"
#include "policy_draft.h"
#include "verify_inputs.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

// ---- writing

// Whole or not at all: a name of its own until it is complete.
static int write_file(int folder, const char *name, struct span bytes)
{
	char making[64];
	snprintf(making, sizeof making, ".%s.new", name);
	CLEANUP(close_p)
	int fd =
		openat(folder, making, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
	if (fd < 0)
		return -errno;
	int r = file_write(fd, bytes.p, bytes.n);
	if (r < 0)
		return r;
	return renameat(folder, making, folder, name) == 0 ? 0 : -errno;
}

static int write_json(int folder, const char *name, const json_t *json)
{
	if (json == NULL)
		return 0;
	char *text = json_dumps(json, JSON_INDENT(1));
	int r = text != NULL ? write_file(folder, name, span_of(text)) : -ENOMEM;
	free(text);
	return r;
}

static json_t *text_or_null(struct span text)
{
	return text.p != NULL ? json_stringn(text.p, text.n) : json_null();
}

static int write_question(int folder, const char *url, const struct envelope_question *question)
{
	char at[RFC3339_SIZE], spki[2 * SHA256_SIZE + 1];
	rfc3339_format(wall_now(), at);
	hex_encode(spki, question->spki_sha256, SHA256_SIZE);
	CLEANUP(json_p)
	json_t *json = json_pack("{s:s, s:s, s:s, s:o, s:o, s:s?, s:b}", "type",
		"tunneld-question/1", "url", url, "asked_at", at, "tunnel",
		text_or_null(question->tunnel), "nonce", text_or_null(question->nonce),
		"spki_sha256", question->has_spki ? spki : NULL, "fresh", question->fresh);
	return json != NULL ? write_json(folder, "question.json", json) : -ENOMEM;
}

// The parts; what is not there leaves no file.
static int write_parts(int folder, const struct envelope *envelope)
{
	const json_t *instance = json_object_get(envelope->json, "instance");
	const struct {
		const char *name;
		struct span bytes;
	} parts[] = {
		{"quote.bin", envelope->evidence.quote},
		{"app-compose.json", envelope->evidence.app_compose},
		{"instance.json", envelope->instance.bytes},
		{"statement.json", envelope->outer.bytes},
	};
	int r = write_json(folder, "event-log.json", json_object_get(instance, "event_log"));
	if (r == 0)
		r = write_json(folder, "collateral.json", envelope->collateral);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(parts); i++)
		if (parts[i].bytes.p != NULL)
			r = write_file(folder, parts[i].name, parts[i].bytes);
	return r;
}

static int write_draft(int folder, const struct bundle_parts *parts)
{
	CLEANUP(json_p) json_t *draft = policy_draft(parts->verification, parts->envelope);
	return write_json(folder, "policy-seen.json", draft);
}

int bundle_save(const char *folder, const struct bundle_parts *parts, struct failure *failure)
{
	int r = mkdir(folder, 0777) == 0 || errno == EEXIST ? 0 : -errno;
	CLEANUP(close_p)
	int fd = r == 0 ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (r == 0 && fd < 0)
		r = -errno;
	if (r == 0)
		r = write_file(fd, "evidence.json", parts->document);
	if (r == 0)
		r = write_question(fd, parts->url, parts->question);
	if (r == 0)
		r = write_parts(fd, parts->envelope);
	if (r == 0)
		r = write_draft(fd, parts);
	return r == 0 || r == -ENOMEM ? r
				      : failure_set(failure, EXIT_CODE_OTHER,
						"%s cannot be written: %s", folder, strerror(-r));
}

// ---- reading

static int read_in(char **ret, struct span *bytes, const char *folder, const char *name, size_t max,
	struct failure *failure)
{
	CLEANUP(free_p) char *path = NULL;
	if (asprintf(&path, "%s/%s", folder, name) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	return verify_file_read(ret, bytes, path, max, failure);
}

int bundle_load(struct bundle *bundle, const char *folder, struct failure *failure)
{
	CLEANUP(free_p) char *text = NULL;
	struct span bytes;
	struct envelope_question *question = &bundle->question;
	*bundle = (struct bundle){0};
	int r = read_in(
		&bundle->text, &bundle->document, folder, "evidence.json", ENVELOPE_MAX, failure);
	if (r == 0)
		r = read_in(&text, &bytes, folder, "question.json", 64 << 10, failure);
	if (r != 0)
		return r;
	bundle->json = json_read(bytes, bytes.n);
	if (!span_eq(json_member_text(bundle->json, "type"), SPAN("tunneld-question/1")))
		return failure_set(failure, EXIT_CODE_USAGE,
			"%s/question.json is not what --save writes", folder);
	question->connected = true;
	question->tunnel = json_member_text(bundle->json, "tunnel");
	question->nonce = json_member_text(bundle->json, "nonce");
	question->fresh = json_is_true(json_object_get(bundle->json, "fresh"));
	question->has_spki =
		json_member_hex(bundle->json, "spki_sha256", question->spki_sha256, SHA256_SIZE);
	return 0;
}

void bundle_deinit(struct bundle *bundle)
{
	json_decref(bundle->json);
	free(bundle->text);
	*bundle = (struct bundle){0};
}
