// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "app_compose.h"

#include "bytes.h"
#include "compose_lines.h"
#include "crypto.h"
#include "policy.h"

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

// ---- what runs outside all containers

static const char *const scripts[] = {"pre_launch_script", "init_script", "bash_script"};

static bool is_accepted(const json_t *script, const json_t *accepted)
{
	uint8_t hash[COMPOSE_HASH_SIZE];
	struct span text = {json_string_value(script), json_string_length(script)};
	return json_is_string(script) &&
	       (text.n == 0 || (app_compose_hash(text, hash) && policy_lists(accepted, hash)));
}

// A member may hold one or, since 0.6, several.
static bool check_script(
	const json_t *app, const char *name, const json_t *accepted, struct why *why)
{
	const json_t *member = json_object_get(app, name);
	bool good = member == NULL || json_is_null(member) || json_is_array(member) ||
		    is_accepted(member, accepted);
	for (size_t i = 0; i < json_array_size(member) && good; i++)
		good = is_accepted(json_array_get(member, i), accepted);
	return good || why_not(why, "a script outside all containers: %s", name);
}

static bool check_scripts(const json_t *app, const json_t *accepted, struct why *why)
{
	struct span runner = json_member_text(app, "runner");
	for (size_t i = 0; i < ARRAY_SIZE(scripts); i++)
		if (!check_script(app, scripts[i], accepted, why))
			return false;
	return runner.p == NULL || span_eq(runner, SPAN("docker-compose")) ||
	       why_not(why, "the application is no compose file");
}

// ---- the compose file

static bool find_compose(const json_t *app, struct span *compose, struct why *why)
{
	*compose = json_member_text(app, "docker_compose_file");
	return compose->p != NULL || why_not(why, "the app-compose has no docker_compose_file");
}

bool app_compose_socket_alone(struct span text, const json_t *accepted, struct why *why)
{
	CLEANUP(json_p) json_t *app = json_read(text, APP_COMPOSE_MAX);
	struct span compose;
	return find_compose(app, &compose, why) && check_scripts(app, accepted, why) &&
	       compose_lines_socket_alone(compose, why);
}

bool app_compose_images_pinned(struct span text, struct why *why)
{
	CLEANUP(json_p) json_t *app = json_read(text, APP_COMPOSE_MAX);
	struct span compose;
	return find_compose(app, &compose, why) && compose_lines_images_pinned(compose, why);
}
