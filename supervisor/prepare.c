// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "prepare.h"

#include "caps.h"
#include "collateral.h"
#include "log.h"
#include "state_dir.h"
#include "supervisor.h"
#include "token.h"
#include "void_dir.h"

#include <api_filter_hash.h>
#include <attest_filter_hash.h>
#include <edge_filter_hash.h>
#include <fcntl.h>
#include <gate_filter_hash.h>
#include <inttypes.h>
#include <relay_filter_hash.h>
#include <resolve_filter_hash.h>
#include <sha2.h>
#include <sys/prctl.h>
#include <sys/resource.h>

// Besides those for tunnels, gates and edges, and port_pool: listeners, programs, the API worker,
// look-ups, a gate that is behind, dials under way, agents that wait, and what starting a process
// takes for a moment.
enum {
	DESCRIPTORS_SPARE = 64,
	DESCRIPTORS_PER_TUNNEL = 3,
	DESCRIPTORS_PER_CHILD = 2, // of the gates and edges
};

// What a step may return besides 0 and a negative errno: it has logged what is wrong.
enum { STEP_EXPLAINED = 1 };

struct preparation {
	struct supervisor *supervisor;
	struct options *options;
};

uint64_t prepare_descriptors(const struct options *options, uint64_t n_tunnels)
{
	return n_tunnels * DESCRIPTORS_PER_TUNNEL +
	       (gates_count(options) + edges_count(options)) * DESCRIPTORS_PER_CHILD +
	       options_pool_size(options) + DESCRIPTORS_SPARE;
}

static int raise_descriptors(struct preparation *p)
{
	const uint64_t wanted = prepare_descriptors(p->options, p->options->max_tunnels);
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -errno;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -errno;
	if (limit.rlim_max < wanted)
		log_warning("the limit of open files is %" PRIu64 ": too low for max_tunnels = %u, "
			    "which may need %" PRIu64,
			(uint64_t)limit.rlim_max, p->options->max_tunnels, wanted);
	return 0;
}

// ---- user ids

static int choose_uids(struct preparation *p)
{
	struct supervisor *supervisor = p->supervisor;
	const uid_t base = p->options->relay_uid_base;
	const uint32_t n = p->options->max_tunnels + UIDS_SPARE;
	char who[UIDS_WHO_MAX];

	if (!caps_can_separate()) {
		if (geteuid() == 0)
			log_warning("root without CAP_SETUID, SETGID, SYS_CHROOT and KILL: all "
				    "processes keep the same user id");
		return 0;
	}
	switch (uids_check(base, n, who)) {
	case UIDS_UNMAPPED:
		log_warning("user ids %u to %u are not mapped into this namespace "
			    "(relay_uid_base): all processes keep the same user id",
			base, base + UID_RELAYS + n - 1);
		return 0;
	case UIDS_TAKEN:
		log_error("user ids %u to %u have to be tunneld's alone, but there is %s: set "
			  "relay_uid_base to the start of a free range",
			base, base + UID_RELAYS + n - 1, who);
		return STEP_EXPLAINED;
	default: supervisor->separate = true; return uids_init(&supervisor->uids, base, n);
	}
}

// ---- files

static int open_folders(struct preparation *p)
{
	struct supervisor *supervisor = p->supervisor;
	const char *path = p->options->state_dir;
	char why[STATE_DIR_WHY_MAX];
	int r = supervisor->state_dir_fd = state_dir_open(path, why);

	if (r >= 0)
		r = supervisor->state_fd = state_dir_open_api(
			supervisor->state_dir_fd, path, supervisor_uid(supervisor, UID_API), why);
	if (r == -EWOULDBLOCK) { // of its lock; strerror() would only confuse
		log_error("state_dir %s is in use by another tunneld", path);
		return STEP_EXPLAINED;
	}
	if (r < 0) {
		log_error("%s", why);
		return STEP_EXPLAINED;
	}
	r = supervisor->void_fd = void_dir_open();
	if (r < 0) {
		log_error(
			"no place for an empty folder in /run, /tmp or /dev/shm: %s", strerror(-r));
		return STEP_EXPLAINED;
	}
	return 0;
}

static int take_token(struct preparation *p)
{
	struct options *options = p->options;
	struct token token;
	const char *why = "";
	int r;

	if (options->api_token != NULL) {
		r = token_from_text(&token, span_of(options->api_token), &why);
		if (r != 0)
			log_error("api_token: %s", why);
	} else {
		r = token_from_file(&token, options->api_token_file, &why);
		if (r < 0)
			log_error("api_token_file %s cannot be read or made: %s",
				options->api_token_file, strerror(-r));
		else if (r != 0)
			log_error("api_token_file %s %s", options->api_token_file, why);
	}
	if (r != 0)
		return STEP_EXPLAINED;
	if (options->api_token == NULL && token.created)
		log_info("owner token written to %s", options->api_token_file);
	options_forget_token(options);
	p->supervisor->owner_token = token.hash;
	return 0;
}

static int load_programs(struct preparation *p)
{
	static const struct {
		const char *name, *filter;
	} roles[ROLES] = {
		[ROLE_GATE] = {"tunneld-gate", GATE_FILTER_SHA256},
		[ROLE_API] = {"tunneld-api", API_FILTER_SHA256},
		[ROLE_RELAY] = {"tunneld-relay", RELAY_FILTER_SHA256},
		[ROLE_RESOLVER] = {"tunneld-resolve", RESOLVE_FILTER_SHA256},
		[ROLE_ATTESTOR] = {"tunneld-attest", ATTEST_FILTER_SHA256},
		[ROLE_EDGE] = {"tunneld-edge", EDGE_FILTER_SHA256},
	};
	CLEANUP(close_p) int dir_fd = program_dir_open(NULL);

	if (dir_fd < 0)
		return dir_fd;
	for (size_t role = 0; role < ROLES; role++) {
		struct program *program = &p->supervisor->programs[role];
		if (roles[role].name == NULL)
			continue;
		int r = program_load(program, dir_fd, roles[role].name);
		if (r < 0) {
			log_error("%s, which must lie beside tunneld, cannot be loaded: %s",
				roles[role].name, strerror(-r));
			return STEP_EXPLAINED;
		}
		program->filter = roles[role].filter;
		log_info("%s sha256=%s seccomp_sha256=%s", program->name, program->sha256,
			roles[role].filter);
	}
	return 0;
}

// ---- what the evidence is about

static int collect_components(struct preparation *p)
{
	struct supervisor *supervisor = p->supervisor;
	struct components *components = &supervisor->components;

	if (p->options->attestation == ATTESTATION_OFF)
		return 0;
	int r = components_add_file(components, "/proc/self/exe", "tunneld");
	for (size_t role = 0; role < ROLES && r == 0; role++) {
		const struct program *program = &supervisor->programs[role];
		if (program->name != NULL)
			r = components_add(
				components, program->name, program->sha256, program->filter);
	}
	for (size_t role = 0; role < ROLES && r == 0; role++)
		if (supervisor->programs[role].name != NULL)
			r = components_add_libraries(components, &supervisor->programs[role]);
	return r;
}

static int hash_settings(struct preparation *p)
{
	CLEANUP(buf_reset) struct buf text;
	SHA2_CTX hash;

	buf_init(&text, OPTIONS_TEXT_MAX);
	int r = options_effective(p->options, &text);
	if (r < 0)
		return r;
	SHA256Init(&hash);
	SHA256Update(&hash, (const uint8_t *)buf_span(&text).p, buf_len(&text));
	SHA256Final(p->supervisor->config_sha256, &hash);
	return 0;
}

// A copy, so that the attestor opens no file and each of them gets the same; empty when it is
// fetched.
static int load_collateral(struct preparation *p)
{
	const char *path = p->options->collateral, *why;
	bool is_url = collateral_is_url(path);

	if (is_url && collateral_url_read(&p->supervisor->collateral_url, path, &why) != 0) {
		log_error("collateral %s: %s", path, why);
		return STEP_EXPLAINED;
	}
	int r = collateral_load(is_url ? "" : path);

	if (r < 0) {
		log_error("collateral %s cannot be read: %s", path, strerror(-r));
		return STEP_EXPLAINED;
	}
	p->supervisor->collateral_fd = r;
	return 0;
}

// 36 characters that change with every start of the kernel. Where it is hidden, every start of
// tunneld counts as one: stored remainders of life are then used instead of deadlines.
static int read_boot_id(struct preparation *p)
{
	char *id = p->supervisor->boot_id;
	CLEANUP(close_p) int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && read(fd, id, BOOT_ID_SIZE - 1) == BOOT_ID_SIZE - 1)
		return 0;
	snprintf(id, BOOT_ID_SIZE, "00000000-0000-0000-%04x-%012" PRIx64, getpid() & 0xffff,
		(uint64_t)wall_now() & 0xffffffffffff);
	return 0;
}

// ---- listeners

static int open_listeners(struct preparation *p)
{
	struct listeners *listeners = &p->supervisor->listeners;
	const struct options *options = p->options;
	int r = listeners_open(listeners, &options->listen, LISTENER_VISITORS, false, "listen");

	if (r == 0)
		r = listeners_open(
			listeners, &options->tls_listen, LISTENER_VISITORS, true, "tls_listen");
	if (r == 0)
		r = listeners_open(listeners, &options->metrics_listen, LISTENER_METRICS, false,
			"metrics_listen");
	if (r == 0)
		r = listeners_open(listeners, &options->control_listen, LISTENER_CONTROL, false,
			"control_listen");
	if (r == 0 && options->port_pool.n > 0)
		r = listeners_open_range(listeners, &options->port_pool.items[0], LISTENER_PORT,
			options->tls_listen.n > 0, "port_pool");
	if (r == 0)
		r = listeners_require_proxy(listeners, &options->proxy_protocol);
	if (r != 0)
		return r == LISTENERS_EXPLAINED ? STEP_EXPLAINED : r;
	p->supervisor->policy = (struct policy){
		.allow = options->backend_allow.items,
		.n_allow = options->backend_allow.n,
		.deny = options->backend_deny.items,
		.n_deny = options->backend_deny.n,
		.listeners = listeners->addresses,
		.n_listeners = listeners->n,
	};
	return ports_init(&p->supervisor->ports, listeners);
}

// ---- keys

static int read_keys(struct preparation *p)
{
	if (p->options->tls_listen.n == 0)
		return 0;
	return tls_keys_read(&p->supervisor->tls_keys, p->options) == 0 ? 0 : STEP_EXPLAINED;
}

static int copy_roots(struct preparation *p)
{
	enum { ROOTS_MAX = 1024 * 1024 };
	const char *path = p->options->tls_roots, *why = "out of memory";
	int fd = tls_keys_copy_file(path, false, ROOTS_MAX, &why);

	if (fd < 0) {
		log_warning("tls_roots %s: %s: no certificate of an https backend is believed",
			path, why);
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	}
	p->supervisor->roots_fd = fd;
	return fd < 0 ? -errno : 0;
}

// ---- privileges

static int drop_privileges(struct preparation *p)
{
	char names[128];
	int r = caps_drop();

	if (r < 0)
		return r;
	// Paths in the settings are not needed any more, and no file system is kept busy.
	if (chdir("/") < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -errno;
	caps_format(caps_effective(), names, sizeof names);
	log_info("capabilities: %s; children have %s", names,
		p->supervisor->separate ? "user ids of their own" : "our user id");
	return 0;
}

int prepare(struct supervisor *supervisor, struct options *options)
{
	// The last one gives up privileges that those before it may need.
	static const struct {
		const char *what;
		int (*run)(struct preparation *p);
	} steps[] = {
		{"limit of open files", raise_descriptors},
		{"user ids", choose_uids},
		{"folders", open_folders},
		{"token", take_token},
		{"listeners", open_listeners},
		{"keys", read_keys},
		{"authorities", copy_roots},
		{"programs", load_programs},
		{"components", collect_components},
		{"settings", hash_settings},
		{"collateral", load_collateral},
		{"boot id", read_boot_id},
		{"privileges", drop_privileges},
	};
	struct preparation p = {supervisor, options};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(steps) && r == 0; i++) {
		r = steps[i].run(&p);
		if (r < 0)
			log_error("cannot start: %s: %s", steps[i].what, strerror(-r));
	}
	return r == STEP_EXPLAINED ? -ECANCELED : r;
}
