// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "app_compose.h"

#include "bytes.h"
#include "crypto.h"
#include "json_read.h"

bool app_compose_hash(struct span text, uint8_t out[COMPOSE_HASH_SIZE])
{
	return digest_make(EVP_sha256(), &(struct digest_input){{text}}, out);
}

bool app_compose_is(struct span text, struct span expected, struct why *why)
{
	uint8_t hash[COMPOSE_HASH_SIZE];
	if (!app_compose_hash(text, hash))
		return why_not(why, "out of memory");
	return span_eq(bytes_of(hash, sizeof hash), expected) ||
	       why_not(why, "the compose-hash event is not the hash of the app-compose");
}

static bool contains(struct span line, const char *text)
{
	return memmem(line.p, line.n, text, strlen(text)) != NULL;
}

// A folder mounted from the machine: as `- /run:/run`, or the same in quotes.
static bool mounts_folder(struct span line)
{
	static const char *const folders[] = {
		"/:", "/run:", "/run/:", "/var/run:", "/var/run/:", "/var:", "/var/:"};
	while (line.n > 0 && strchr(" \t-\"'", *line.p) != NULL)
		bytes_take(&line, 1, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		if (span_starts(line, span_of(folders[i])))
			return true;
	return false;
}

static bool names_service(struct span line)
{
	return contains(line, "dstack.sock") || contains(line, "tappd.sock") ||
	       contains(line, "/run/dstack");
}

static bool take_line(struct span *text, struct span *line)
{
	if (text->n == 0)
		return false;
	const char *end = memchr(text->p, '\n', text->n);
	bytes_take(text, end != NULL ? (size_t)(end - text->p) : text->n, line);
	bytes_take(text, text->n > 0, NULL);
	return true;
}

static bool check_lines(struct span compose, struct why *why)
{
	struct span line = {NULL, 0};
	unsigned named = 0;
	while (take_line(&compose, &line)) {
		if (contains(line, "docker.sock") || contains(line, "containerd.sock"))
			return why_not(why, "a container has the socket of the container engine");
		if (mounts_folder(line))
			return why_not(why, "a container has a folder of the machine's sockets");
		if (contains(line, "privileged:") && contains(line, "true"))
			return why_not(why, "a container is privileged");
		named += names_service(line);
	}
	return named <= 1 || why_not(why, "%u lines name the guest service's socket", named);
}

bool app_compose_socket_alone(struct span text, struct why *why)
{
	CLEANUP(json_p) json_t *json = json_read(text, APP_COMPOSE_MAX);
	struct span compose = json_member_text(json, "docker_compose_file");
	if (compose.p == NULL)
		return why_not(why, "the app-compose has no docker_compose_file");
	return check_lines(compose, why);
}
