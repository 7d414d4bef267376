// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "tls_keys.h"

#include "file.h"
#include "hex.h"
#include "seal.h"
#include "supervisor.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <limits.h>
#include <sha2.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

enum { CERTIFICATES, KEYS };
enum {
	CHECK_MS = 10000,
	QUEUE = 4 * CHAIN_MAX,
	NAMES_MAX = 1024,
	RENEWALS = 3, // in the life of a certificate: two may fail
};

// ---- sets

static void set_clear(struct tls_key_set *set)
{
	while (set->n > 0) {
		struct tls_key *key = &set->items[--set->n];
		free(key->chain);
		free(key->spki);
		close_p(&key->key_fd);
	}
}

void tls_keys_init(struct tls_keys *keys, struct supervisor *supervisor)
{
	*keys = (struct tls_keys){
		.supervisor = supervisor,
		.maker = {.exit = {.fd = -1}, .control = {.watch = {.fd = -1}}},
	};
	buf_init(&keys->quote, RATLS_QUOTE_MAX);
	buf_init(&keys->event_log, RATLS_LOG_MAX);
}

// ---- files

// Opens PATH. Returns the descriptor or a negative errno, with *WHY what is wrong.
static int open_file(const char *path, bool secret, size_t most, const char **why)
{
	// O_NONBLOCK: a FIFO of that name must not stop us.
	CLEANUP(close_p) int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		*why = strerror(errno);
		return -errno;
	}
	if (!S_ISREG(st.st_mode))
		*why = "it is no regular file";
	else if (st.st_size == 0 || (size_t)st.st_size > most)
		*why = "it is empty or too long";
	else if (secret && (st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		*why = "group or others may use it: it must be closed to them (chmod 600)";
	else
		return take_fd(&fd);
	return -EINVAL;
}

static int memory_file(void)
{
	int fd = memfd_create("key", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	return fd < 0 ? -errno : fd;
}

// One that is sealed already stays so.
static int memory_file_seal(int fd)
{
	const int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

	if (fcntl(fd, F_GET_SEALS) == seals)
		return 0;
	return fcntl(fd, F_ADD_SEALS, seals) < 0 ? -errno : 0;
}

static char *read_chain(const char *path, const char **why)
{
	CLEANUP(close_p) int fd = open_file(path, false, CHAIN_MAX, why);
	CLEANUP(free_p) char *text = fd >= 0 ? calloc(1, CHAIN_MAX + 1) : NULL;

	if (text == NULL)
		return NULL;
	if (file_read(fd, text, CHAIN_MAX) <= 0) {
		*why = "it cannot be read";
		return NULL;
	}
	char *taken = text;
	text = NULL;
	return taken;
}

int tls_keys_copy_file(const char *path, bool secret, size_t most, const char **why)
{
	CLEANUP(close_p) int from = open_file(path, secret, most, why);
	CLEANUP(close_p) int to = from >= 0 ? memory_file() : -1;

	if (to < 0)
		return -EINVAL;
	ssize_t n = 1;
	for (size_t left = most; left > 0 && n > 0; left -= (size_t)n) {
		n = sendfile(to, from, NULL, left);
		if (n < 0) {
			*why = strerror(errno);
			return -errno;
		}
	}
	int r = memory_file_seal(to);
	return r < 0 ? r : take_fd(&to);
}

static int read_files(struct tls_keys *keys)
{
	set_clear(&keys->next);
	for (size_t i = 0; i < keys->n_files; i++) {
		const char *why = "out of memory", *path = keys->files[CERTIFICATES][i];
		CLEANUP(free_p) char *chain = read_chain(path, &why);
		int key_fd = -1;
		if (chain != NULL) {
			path = keys->files[KEYS][i];
			key_fd = tls_keys_copy_file(path, true, SEAL_KEY_SIZE, &why);
		}
		if (key_fd < 0) {
			log_error("%s %s: %s", chain == NULL ? "tls_cert" : "tls_key", path, why);
			set_clear(&keys->next);
			return -EINVAL;
		}
		keys->next.items[keys->next.n++] =
			(struct tls_key){.chain = chain, .key_fd = key_fd};
		chain = NULL;
	}
	return 0;
}

// Paths are kept absolute: the working directory is given up.
static int remember(char **files, const struct options_paths *paths)
{
	for (size_t i = 0; i < paths->n; i++) {
		CLEANUP(free_p)
		char *folder = paths->items[i][0] != '/' ? getcwd(NULL, 0) : strdup("");
		if (folder == NULL || asprintf(&files[i], "%s%s%s", folder,
					      folder[0] != '\0' ? "/" : "", paths->items[i]) < 0)
			return -ENOMEM;
	}
	return 0;
}

int tls_keys_read(struct tls_keys *keys, const struct options *options)
{
	int r = remember(keys->files[CERTIFICATES], &options->tls_cert);

	if (r == 0)
		r = remember(keys->files[KEYS], &options->tls_key);
	if (r < 0)
		return r;
	keys->n_files = options->tls_cert.n;
	return read_files(keys);
}

// ---- what is asked of the maker

// The names a certificate of our own is for: what people will write in front of a path.
static void own_names(const struct supervisor *supervisor, char out[NAMES_MAX])
{
	const char *host = strstr(supervisor->options->public_url, "//") + 2;
	bool bracket = *host == '[';
	size_t n = bracket ? strcspn(++host, "]") : strcspn(host, ":");
	bool local = span_eq((struct span){host, n}, SPAN("localhost"));

	snprintf(out, NAMES_MAX, "%.*s%s", (int)n, host, local ? "" : ",localhost");
}

static int give_job(struct tls_keys *keys)
{
	const struct tls_key *key = &keys->next.items[keys->n_checked];
	struct span quote = buf_span(&keys->quote), event_log = buf_span(&keys->event_log);
	char names[NAMES_MAX] = "";

	if (key->chain == NULL)
		own_names(keys->supervisor, names);
	return ipc_post(&keys->maker.control, MSG_KEY_JOB, key->key_fd, wire_str(span_of(names)),
		wire_bin(key->chain, span_of(key->chain).n),
		wire_uint(keys->supervisor->options->tls_life), wire_bin(quote.p, quote.n),
		wire_bin(event_log.p, event_log.n));
}

static struct tls_keys *keys_of(struct ipc_channel *channel)
{
	struct process *process = container_of(channel, struct process, control);

	return container_of(process, struct tls_keys, maker);
}

// ---- what comes of it

static void refused(struct tls_keys *keys, const char *why, int n)
{
	const char *path = keys->n_files > 0 ? keys->files[CERTIFICATES][keys->n_checked] : NULL;
	bool first = keys->set.n == 0;

	set_clear(&keys->next);
	if (path != NULL)
		log_error("tls_cert %s%s: %.*s", path, first ? "" : ", which stays as it was", n,
			why);
	else
		log_error("no TLS %s could be made: %.*s", first ? "key" : "certificate", n, why);
	if (first)
		supervisor_fail(keys->supervisor, "there is no key for tls_listen");
}

static void log_set(const struct tls_key_set *set)
{
	for (size_t i = 0; i < set->n; i++) {
		char text[2 * SPKI_SIZE + 1];
		hex_encode(text, set->items[i].spki_sha256, SPKI_SIZE);
		log_info("TLS key spki_sha256=%s", text);
	}
}

static bool same_keys(const struct tls_key_set *a, const struct tls_key_set *b)
{
	bool same = a->n == b->n;

	for (size_t i = 0; i < a->n && same; i++)
		same = memcmp(a->items[i].spki_sha256, b->items[i].spki_sha256, SPKI_SIZE) == 0;
	return same;
}

static void accepted(struct tls_keys *keys)
{
	bool same = same_keys(&keys->set, &keys->next);

	set_clear(&keys->set);
	keys->set = keys->next;
	keys->next.n = 0;
	edges_keys_changed(&keys->supervisor->edges);
	if (same) { // nothing that is stated about them has changed
		log_info("TLS certificates are new, over the same keys");
		return;
	}
	log_set(&keys->set);
	attest_keys_changed(&keys->supervisor->attest);
	supervisor_child_proven(keys->supervisor);
}

static int on_ready(struct ipc_channel *channel, struct ipc_message *message)
{
	struct tls_keys *keys = keys_of(channel);

	if (!process_inspect(&keys->maker, message->fields[0].number, NULL)) {
		process_kill(&keys->maker);
		return 0;
	}
	channel->phase = PHASE_RUN;
	if (give_job(keys) != IPC_SENT)
		process_kill(&keys->maker);
	return 0;
}

static int set_spki(struct tls_key *key, struct span spki)
{
	SHA2_CTX hash;

	key->spki = malloc(spki.n);
	if (key->spki == NULL)
		return -ENOMEM;
	memcpy(key->spki, spki.p, spki.n);
	key->n_spki = spki.n;
	SHA256Init(&hash);
	SHA256Update(&hash, key->spki, key->n_spki);
	SHA256Final(key->spki_sha256, &hash);
	return 0;
}

static int on_made(struct ipc_channel *channel, struct ipc_message *message)
{
	struct tls_keys *keys = keys_of(channel);
	struct span spki = message->fields[0].bytes, chain = message->fields[1].bytes;

	if (keys->n_checked >= keys->next.n)
		return -EBADMSG;
	struct tls_key *key = &keys->next.items[keys->n_checked];
	int r = set_spki(key, spki);
	if (r < 0)
		return r;
	if (key->chain == NULL) {
		key->chain = strndup(chain.p, chain.n);
		if (key->chain == NULL || memory_file_seal(key->key_fd) < 0)
			return -ENOMEM;
		if (keys->set.n > 0 && !same_keys(&keys->set, &keys->next))
			return -EBADMSG; // it was to be over the key there is
	}
	keys->n_checked++;
	if (keys->n_checked == keys->next.n) {
		accepted(keys);
		process_kill(&keys->maker);
	} else if (give_job(keys) != IPC_SENT) {
		process_kill(&keys->maker);
	}
	return 0;
}

static int on_refused(struct ipc_channel *channel, struct ipc_message *message)
{
	struct tls_keys *keys = keys_of(channel);
	struct span why = message->fields[0].bytes;

	if (keys->next.n == 0)
		return -EBADMSG;
	refused(keys, why.p, (int)why.n);
	process_kill(&keys->maker);
	return 0;
}

// ---- the maker

static void make_again(struct tls_keys *keys);

static void on_gone(struct process *process)
{
	static const char why[] = "the process that looks at keys ended without an answer";
	struct tls_keys *keys = container_of(process, struct tls_keys, maker);

	loop_timer_clear(&keys->supervisor->loop, &keys->timer);
	if (keys->supervisor->stopping)
		return;
	if (keys->next.n > 0)
		refused(keys, why, sizeof why - 1);
	if (keys->again)
		make_again(keys);
}

static void on_timer(struct loop_timer *timer)
{
	process_kill(&container_of(timer, struct tls_keys, timer)->maker);
}

static int start_maker(struct tls_keys *keys)
{
	static const struct ipc_handling table[] = {
		{MSG_READY, on_ready},
		{MSG_LOG, process_on_log},
		{MSG_KEY_MADE, on_made},
		{MSG_KEY_REFUSED, on_refused},
	};
	static const struct ipc_handlers handlers = {
		ROLE_SUPERVISOR, ROLE_EDGE, table, ARRAY_SIZE(table)};
	struct supervisor *supervisor = keys->supervisor;

	keys->timer.expired = on_timer;
	int r = loop_timer_set(
		&supervisor->loop, &keys->timer, instant_add_ms(instant_now(), CHECK_MS));
	if (r < 0)
		return r;
	return process_start(&keys->maker, supervisor,
		&(struct process_request){
			.role = ROLE_EDGE,
			.mode = "--keygen",
			.handlers = &handlers,
			.queue_max = QUEUE,
			.uid = supervisor_uid(supervisor, UID_KEYGEN),
			.root_fd = supervisor->void_fd,
			.gone = on_gone,
		});
}

static void on_renewal(struct loop_timer *timer)
{
	make_again(container_of(timer, struct tls_keys, renewal));
}

// The next certificate of our own: over the key there is, or over one to be made. Returns 0 or a
// negative errno.
static int next_own(struct tls_keys *keys)
{
	struct supervisor *supervisor = keys->supervisor;
	int64_t ms = supervisor->options->tls_life * INT64_C(1000) / RENEWALS;
	int fd = keys->set.n > 0 ? fcntl(keys->set.items[0].key_fd, F_DUPFD_CLOEXEC, 0)
				 : memory_file();

	keys->renewal.expired = on_renewal;
	int r = loop_timer_set(
		&supervisor->loop, &keys->renewal, instant_add_ms(instant_now(), ms));
	if (fd < 0)
		return -EMFILE;
	keys->next = (struct tls_key_set){{{.key_fd = fd}}, 1};
	return r;
}

void tls_keys_check(struct tls_keys *keys)
{
	int r = keys->n_files == 0 ? next_own(keys) : 0;

	keys->n_checked = 0;
	if (r == 0)
		r = start_maker(keys);
	if (r < 0)
		refused(keys, strerror(-r), (int)strlen(strerror(-r)));
}

static void make_again(struct tls_keys *keys)
{
	keys->again = process_alive(&keys->maker);
	if (keys->again)
		return;
	if (keys->n_files > 0 && read_files(keys) < 0)
		log_error("SIGHUP: the certificates stay as they were");
	else
		tls_keys_check(keys);
}

void tls_keys_reload(struct tls_keys *keys)
{
	if (keys->n_files == 0)
		log_info("SIGHUP: settings are read at start only, and there is no tls_cert");
	else
		make_again(keys);
}

struct span tls_keys_unquoted(const struct tls_keys *keys)
{
	const struct tls_key *own = &keys->set.items[0];

	if (keys->n_files > 0 || keys->set.n == 0 || buf_len(&keys->quote) > 0)
		return SPAN("");
	return (struct span){(const char *)own->spki, own->n_spki};
}

void tls_keys_certify(struct tls_keys *keys, struct span quote, struct span event_log)
{
	if (keys->n_files > 0 || keys->set.n == 0)
		return;
	buf_reset(&keys->quote);
	buf_reset(&keys->event_log);
	if (buf_add_span(&keys->quote, quote) == 0 &&
		buf_add_span(&keys->event_log, event_log) == 0)
		make_again(keys);
}

void tls_keys_stop(struct tls_keys *keys)
{
	process_kill(&keys->maker);
}
