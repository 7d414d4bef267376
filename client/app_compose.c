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

// The end of LINE without what may stand between a key or a list's dash and its value.
static struct span trimmed(struct span line, const char *characters)
{
	while (line.n > 0 && strchr(characters, line.p[line.n - 1]) != NULL)
		line.n--;
	return line;
}

static bool ends_with(struct span line, const char *text)
{
	size_t n = strlen(text);
	return line.n >= n && memcmp(line.p + line.n - n, text, n) == 0;
}

// Whether BEFORE leads to the source of a mount in the long form, as `source: ` does.
static bool is_source(struct span before)
{
	static const char *const keys[] = {"source", "src", "device"};
	before = trimmed(before, " \t\"'");
	if (!ends_with(before, ":"))
		return false;
	before = trimmed(before, ": \t\"'");
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (ends_with(before, keys[i]))
			return true;
	return false;
}

// A folder of the machine, mounted: as `/run:/run` anywhere in the line, or as a source.
static bool mounts_folder(struct span line)
{
	static const char *const folders[] = {"", "/run", "/var/run", "/var"};
	for (size_t i = 0; i < line.n; i++) {
		if (line.p[i] != '/' || (i > 0 && strchr(" \t-\"'[{,=", line.p[i - 1]) == NULL))
			continue;
		struct span path = {line.p + i, 0};
		while (i < line.n && strchr(" \t\"',:]}", line.p[i]) == NULL)
			path.n = ++i - (size_t)(path.p - line.p);
		struct span before = {line.p, (size_t)(path.p - line.p)};
		if (!is_source(before) && (i == line.n || line.p[i] != ':'))
			continue;
		path = trimmed(path, "/");
		for (size_t j = 0; j < ARRAY_SIZE(folders); j++)
			if (span_eq(path, span_of(folders[j])))
				return true;
	}
	return false;
}

// A mount whose source the environment names, which nobody has measured.
static bool mounts_variable(struct span line)
{
	const char *dollar = memchr(line.p, '$', line.n);
	if (dollar == NULL)
		return false;
	struct span before = {line.p, (size_t)(dollar - line.p)};
	return is_source(before) || (trimmed(before, " \t-\"'").n == 0 && contains(line, ":/"));
}

static bool is_privileged(struct span line)
{
	return (contains(line, "privileged:") || contains(line, "privileged\"") ||
		       contains(line, "privileged'") || contains(line, "privileged :")) &&
	       !contains(line, "false");
}

// What one container has, had by another without being named again.
static bool reuses(struct span line)
{
	return contains(line, "volumes_from") || contains(line, "extends") ||
	       contains(line, "<<:") || contains(line, ": *") || contains(line, "- *");
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
	bool reused = false;
	while (take_line(&compose, &line)) {
		if (contains(line, "docker.sock") || contains(line, "containerd.sock"))
			return why_not(why, "a container has the socket of the container engine");
		if (mounts_folder(line))
			return why_not(why, "a container has a folder of the machine's sockets");
		if (mounts_variable(line))
			return why_not(why, "the environment says what a container has mounted");
		if (is_privileged(line))
			return why_not(why, "a container is privileged");
		// Several containers may share a line.
		if (names_service(line) && contains(line, ","))
			return why_not(why, "a list in one line names the guest service's socket");
		named += names_service(line);
		reused |= reuses(line);
	}
	if (named > 0 && reused)
		return why_not(why, "a container may have the mounts of another");
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
