// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "agent.h"

#include "agent_link.h"
#include "hex.h"

#include <stdio.h>
#include <sys/random.h>
#include <sys/resource.h>

enum {
	DESCRIPTORS_KEPT = 64, // for links, look-ups and the standard streams
	RENEW_SHARE = 8,       // of the age up to one part in so many is left out at random
};

// ---- the next link

static void end(struct agent *agent, enum agent_outcome outcome)
{
	loop_timer_clear(agent->loop, &agent->next);
	agent->ended(agent, outcome);
}

static int next_in(struct agent *agent, uint32_t ms)
{
	return loop_timer_set(agent->loop, &agent->next, instant_add_ms(agent->loop->now, ms));
}

static void close_oldest(struct agent *agent)
{
	struct agent_link *oldest = agent->links;
	while (oldest->next != NULL)
		oldest = oldest->next;
	if (oldest != agent->current)
		agent_link_free(oldest);
}

static void retry(struct agent *agent)
{
	bool fresh = agent->current == NULL && agent->was_up;
	unsigned wait_ms = backoff_next(&agent->backoff, fresh);
	if (agent->current == NULL && wall_now() >= agent->options.ends_at) {
		end(agent, AGENT_LOST);
		return;
	}
	// While the old link works nobody needs to know that a new one did not come.
	agent->lost = agent->current == NULL;
	if (agent->lost)
		journal_link(agent->journal, JOURNAL_LINK_LOST, agent->failure.text, wait_ms);
	if (next_in(agent, wait_ms) < 0)
		end(agent, AGENT_LOST);
}

static void connect_now(struct agent *agent)
{
	if (agent->coming != NULL)
		return;
	if (agent->n_links >= AGENT_LINKS_MAX)
		close_oldest(agent);
	agent->coming = agent_link_new(agent);
	if (agent->coming == NULL) {
		snprintf(agent->failure.text, sizeof agent->failure.text,
			"no memory or descriptors left");
		retry(agent);
	}
}

static void on_next(struct loop_timer *timer)
{
	connect_now(container_of(timer, struct agent, next));
}

// Not all agents of a server that was restarted come back at the same time for good.
static uint32_t renewal(uint32_t age_ms)
{
	uint32_t random = 0;
	if (getrandom(&random, sizeof random, GRND_NONBLOCK) != sizeof random)
		random = 0;
	return age_ms - random % (age_ms / RENEW_SHARE + 1);
}

// ---- what links tell

void agent_link_up(struct agent *agent, struct agent_link *link)
{
	bool lost = agent->lost, first = !agent->was_up;
	agent->coming = NULL;
	agent->current = link;
	agent->backoff = (struct backoff){0};
	agent->was_up = true;
	agent->lost = false;
	if (next_in(agent, renewal(agent->options.renew_ms)) < 0)
		journal_note(agent->journal, "no memory left to renew the connection in time");
	if (first)
		agent->serving(agent);
	else
		journal_link(
			agent->journal, lost ? JOURNAL_LINK_BACK : JOURNAL_LINK_RENEWED, NULL, 0);
}

// Mostly because a younger one of ours is there already, which is about to be up.
void agent_link_retired(struct agent *agent, struct agent_link *link)
{
	if (agent->current != link)
		return;
	agent->current = NULL;
	if (agent->coming != NULL)
		return;
	snprintf(agent->failure.text, sizeof agent->failure.text,
		"the server says that it was replaced");
	retry(agent);
}

void agent_link_down(struct agent *agent, struct agent_link *link, bool final, unsigned status)
{
	bool mattered = link == agent->current || link == agent->coming;
	if (link == agent->current)
		agent->current = NULL;
	if (link == agent->coming)
		agent->coming = NULL;
	if (!mattered)
		return; // it had been replaced
	if (final && (status == 404 || status == 410) && agent->was_up)
		end(agent, AGENT_OVER);
	else if (final && agent->current == NULL)
		end(agent, AGENT_REFUSED);
	else if (agent->coming == NULL)
		retry(agent);
}

int agent_link_distrusted(struct agent *agent, struct agent_link *link)
{
	int r = link == agent->coming && agent->current == NULL ? agent->distrust(agent) : 0;
	if (r == 0)
		return 0;
	agent->coming = NULL;
	agent->code = r > 0 ? (enum exit_code)r : EXIT_CODE_OTHER;
	end(agent, AGENT_REFUSED);
	return r;
}

void agent_target(struct agent *agent, enum backend_failure failure)
{
	static const char *const words[] = {
		[BACKEND_REFUSED] = "nothing answers at",
		[BACKEND_TIMEOUT] = "no answer in time from",
		[BACKEND_UNTRUSTED] = "no TLS, or a certificate that is not trusted, at",
		[BACKEND_NO_ROOM] = "no descriptors left to reach",
	};
	if (failure == 0) {
		agent->silent = false;
		return;
	}
	if (!agent->silent)
		journal_note(agent->journal, "%s %s", words[failure], agent->options.target->text);
	agent->silent = true;
}

// ---- life

static uint32_t streams_for_descriptors(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return DESCRIPTORS_KEPT;
	limit.rlim_cur = MIN(limit.rlim_max, (rlim_t)(MUX_STREAMS_MAX + DESCRIPTORS_KEPT));
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0 && getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return DESCRIPTORS_KEPT;
	if (limit.rlim_cur < 2 * DESCRIPTORS_KEPT)
		return DESCRIPTORS_KEPT;
	return (uint32_t)MIN(limit.rlim_cur - DESCRIPTORS_KEPT, (rlim_t)MUX_STREAMS_MAX);
}

static int name_instance(struct agent *agent)
{
	uint8_t random[16];
	if (getrandom(random, sizeof random, 0) != sizeof random)
		return -EIO;
	hex_encode(agent->instance, random, sizeof random);
	return 0;
}

// What Host says of a target that is no host is up to us; servers of frameworks accept localhost.
static void name_host(struct agent *agent)
{
	const struct target *target = agent->options.target;
	if (target->kind == TARGET_INET)
		server_authority(&target->url, false, agent->host);
	else
		snprintf(agent->host, sizeof agent->host, "localhost");
}

int agent_init(struct agent *agent, struct loop *loop, struct journal *journal,
	const struct agent_options *options, struct failure *failure)
{
	*agent = (struct agent){
		.loop = loop,
		.journal = journal,
		.options = *options,
		.store.most = AGENT_HELD_MAX,
		.next.expired = on_next,
		.streams_max = streams_for_descriptors(),
		.scratch = malloc(AGENT_READ_SIZE),
		.piece = malloc(MUX_DATA_MAX),
	};
	if (agent->scratch == NULL || agent->piece == NULL)
		return -ENOMEM;
	name_host(agent);
	int r = name_instance(agent);
	return r < 0 ? r : backend_context_init(&agent->backends, loop, options->target, failure);
}

void agent_deinit(struct agent *agent)
{
	while (agent->links != NULL)
		agent_link_free(agent->links);
	loop_timer_clear(agent->loop, &agent->next);
	backend_context_deinit(&agent->backends);
	free(agent->scratch);
	free(agent->piece);
}

int agent_start(struct agent *agent)
{
	agent->coming = agent_link_new(agent);
	return agent->coming != NULL ? 0 : -ENOMEM;
}
