// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// A process that changes the records is killed at a random moment, again and again, opening and
// recovering included. After each kill the database is sound, everything that was acknowledged is
// there, and what was under way has happened as a whole or not at all. TUNNELD_KILLS says how
// often.

#include "store_case.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

enum { BATCH = 5, TUNNELS_MAX = 1 << 20 };

enum deed { DEED_ADD, DEED_ACTIVATE, DEED_END_BATCH, DEED_PURGE };

// What the victim tells, first that it is going to, then that it is done.
struct word {
	enum deed deed;
	unsigned first, n; // tunnels it is about
	bool done;
};

static unsigned char states[TUNNELS_MAX]; // enum tunnel_state, as acknowledged
static unsigned next_tunnel, next_end;
static unsigned purged_to, may_be_purged_to; // ends before that: forgotten, begun to be

static uint32_t chance(uint32_t n)
{
	static uint64_t seed = 0x9e3779b97f4a7c15;
	seed = seed * 6364136223846793005 + 1442695040888963407;
	return (uint32_t)(seed >> 33) % n;
}

// ---- the victim

static int do_batch(struct store *store, unsigned first)
{
	int r = store_begin(store);
	for (unsigned n = first; r == 0 && n < first + BATCH; n++) {
		struct tunnel tunnel = case_tunnel(n);
		r = store_tunnel_end(
			store, tunnel.id, TUNNEL_EXPIRED, (int64_t)n, NULL, case_cause);
	}
	return r == 0 ? store_commit(store) : r;
}

static int do_deed(struct store *store, const struct word *word)
{
	struct tunnel tunnel = case_tunnel(word->first);
	bool more = true;
	int r = 0;
	switch (word->deed) {
	case DEED_ADD: return store_tunnel_add(store, &tunnel, case_cause);
	case DEED_ACTIVATE: return store_tunnel_activate(store, &tunnel, NULL, case_cause);
	case DEED_END_BATCH: return do_batch(store, word->first);
	case DEED_PURGE:
		while (r == 0 && more)
			r = store_purge(store, 1700000000, (int64_t)word->first, &more);
		return r;
	}
	return -EINVAL;
}

static void tell(int fd, struct word word)
{
	if (write(fd, &word, sizeof word) != sizeof word)
		_exit(3);
}

static void do_and_tell(struct store *store, int fd, struct word word)
{
	tell(fd, word);
	if (do_deed(store, &word) != 0)
		_exit(4);
	word.done = true;
	tell(fd, word);
}

// Tunnels are made in order, and ended in order, five at a time.
static void victim(int fd)
{
	struct store *store = NULL;
	char why[256];
	if (store_open(&store, case_path, why, sizeof why) < 0)
		_exit(2);
	for (;;) {
		if (next_tunnel - next_end < 3 * BATCH) {
			unsigned n = next_tunnel++;
			do_and_tell(store, fd, (struct word){DEED_ADD, n, 1, false});
			do_and_tell(store, fd, (struct word){DEED_ACTIVATE, n, 1, false});
		} else {
			do_and_tell(
				store, fd, (struct word){DEED_END_BATCH, next_end, BATCH, false});
			next_end += BATCH;
			if (next_end % (4 * BATCH) == 0)
				do_and_tell(store, fd,
					(struct word){DEED_PURGE, next_end - BATCH, 0, false});
		}
	}
}

// ---- what was told, and what is there

static enum tunnel_state outcome_of(enum deed deed)
{
	return deed == DEED_ADD        ? TUNNEL_STARTING
	       : deed == DEED_ACTIVATE ? TUNNEL_ACTIVE
				       : TUNNEL_EXPIRED;
}

static void believe(const struct word *word)
{
	if (word->deed == DEED_PURGE)
		purged_to = word->first + 1;
	for (unsigned n = word->first; n < word->first + word->n; n++)
		states[n] = outcome_of(word->deed);
}

static bool is_purged(unsigned n, unsigned to)
{
	return states[n] == TUNNEL_EXPIRED && n < to;
}

// LAST was under way when the end came.
static void judge(struct store *store, const struct word *last)
{
	unsigned changed = 0;
	for (unsigned n = last->first; n < last->first + last->n; n++)
		changed += case_state(store, n) == outcome_of(last->deed);
	if (changed != 0 && changed != last->n)
		fail_msg("%u of a batch of %u are there", changed, last->n);
	if (changed != 0)
		believe(last);
	for (unsigned n = purged_to > 100 ? purged_to - 100 : 0; n < next_tunnel; n++) {
		enum tunnel_state state = case_state(store, n);
		if (state == 0 && is_purged(n, may_be_purged_to))
			continue;
		if (state != states[n] || is_purged(n, purged_to))
			fail_msg("tunnel %u is %d, acknowledged was %d", n, state, states[n]);
	}
}

static struct word read_words(int fd)
{
	struct word word, last = {DEED_PURGE, 0, 0, true};
	while (read(fd, &word, sizeof word) == sizeof word) {
		last = word;
		if (word.done)
			believe(&word);
		if (word.deed == DEED_PURGE)
			may_be_purged_to = word.first + 1;
		next_tunnel =
			word.deed == DEED_ADD ? MAX(next_tunnel, word.first + 1) : next_tunnel;
	}
	return last;
}

// The next victim goes on where this one was: with what is there.
static void settle(struct store *store)
{
	while (next_tunnel > 0 && case_state(store, next_tunnel - 1) == 0 &&
		!is_purged(next_tunnel - 1, may_be_purged_to))
		next_tunnel--;
	for (unsigned n = next_end; n < next_tunnel; n++) {
		struct tunnel tunnel = case_tunnel(n);
		if (states[n] == TUNNEL_STARTING &&
			store_tunnel_activate(store, &tunnel, NULL, case_cause) == 0)
			states[n] = TUNNEL_ACTIVE;
	}
	while (next_end < next_tunnel && states[next_end] == TUNNEL_EXPIRED)
		next_end += BATCH;
}

static void one_kill(void)
{
	int pipe_fds[2], status;
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	fcntl(pipe_fds[1], F_SETPIPE_SZ, 1 << 20);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		victim(pipe_fds[1]);
	close(pipe_fds[1]);
	struct timespec pause = {0, (long)chance(12 * 1000 * 1000)};
	nanosleep(&pause, NULL);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFSIGNALED(status))
		fail_msg("the victim exited %d", WEXITSTATUS(status));
	struct word last = read_words(pipe_fds[0]);
	close(pipe_fds[0]);
	struct store *store = case_open();
	case_check(store);
	judge(store, &last);
	settle(store);
	store_free(store);
}

static void killed_at_random_moments(void **state)
{
	const char *wanted = getenv("TUNNELD_KILLS");
	unsigned kills = wanted != NULL ? (unsigned)strtoul(wanted, NULL, 10) : 460;
	for (unsigned i = 0; i < kills; i++)
		one_kill();
	print_message("%u kills, %u tunnels made, %u ended\n", kills, next_tunnel, next_end);
	assert_true(next_tunnel > kills / 4);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			killed_at_random_moments, case_setup, case_teardown),
	};
	if (store_prepare_process() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
