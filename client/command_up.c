// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// tunnel up: makes a tunnel (or takes one that is there), serves it from the target until it ends,
// and says what happens.

#include "account.h"
#include "agent.h"
#include "agent_sandbox.h"
#include "api.h"
#include "command_create.h"
#include "handlers.h"
#include "hint.h"
#include "signals.h"
#include "when.h"

struct up {
	const struct invocation *invocation;
	struct account account;
	struct target target;
	struct loop loop;
	struct journal journal;
	struct agent agent;
	struct hint hint;
	struct backend_context probe_context; // --require-backend
	struct backend probe;
	json_t *tunnel; // as the server describes it
	char id[TUNNEL_ID_SIZE];
	char prefix[sizeof "/t/" + TUNNEL_ID_SIZE]; // its path
	bool attached;
	struct signals signals;
	enum up_end { UP_NONE = 0, UP_INTERRUPTED, UP_OVER, UP_REFUSED, UP_LOST } end;
};

// ---- what is asked for

static int read_target(struct up *up, struct failure *failure)
{
	const struct invocation *invocation = up->invocation;
	bool demo = option_given(invocation, OPTION_DEMO);
	const char *why;
	if (demo == (invocation->n_operands > 0))
		return failure_set(failure, EXIT_CODE_USAGE,
			"say what to share: a port, host:port, URL or unix:PATH, or else --demo");
	if (demo)
		target_demo(&up->target);
	else if (target_parse(&up->target, span_of(invocation->operands[0]), &why) != 0)
		return failure_set(
			failure, EXIT_CODE_USAGE, "'%s': %s", invocation->operands[0], why);
	return 0;
}

static int read_renewal(const struct up *up, uint32_t *ret_ms, struct failure *failure)
{
	const char *text = up->invocation->values[OPTION_RECONNECT_AFTER], *why;
	int64_t seconds;
	*ret_ms = AGENT_RENEW_MS;
	if (text == NULL)
		return 0;
	if (when_away(span_of(text), wall_now(), &seconds, &why) != 0)
		return failure_set(
			failure, EXIT_CODE_USAGE, "--reconnect-after: '%s': %s", text, why);
	*ret_ms = (uint32_t)MIN(seconds, INT32_MAX / 1000) * 1000;
	return 0;
}

static struct journal_options journal_options(const struct invocation *invocation)
{
	const char *form = invocation->values[OPTION_OUTPUT];
	bool json = option_given(invocation, OPTION_JSON) ||
		    (form != NULL && strcmp(form, "json") == 0);
	return (struct journal_options){
		.form = json ? JOURNAL_JSON : JOURNAL_TEXT,
		.quiet = option_given(invocation, OPTION_QUIET),
		.qr = option_given(invocation, OPTION_QR),
	};
}

// ---- --require-backend

static void probed(struct backend *backend)
{
	loop_stop(backend->context->loop, backend->state == BACKEND_OPEN ? 0 : 1);
}

static int require_backend(struct up *up, struct failure *failure)
{
	int r = backend_context_init(&up->probe_context, &up->loop, &up->target, failure);
	if (r == 0)
		r = backend_open(&up->probe, &up->probe_context, probed);
	if (r == 0) {
		r = loop_run(&up->loop);
		up->loop.stopped = false;
		backend_close(&up->probe, false);
		if (r > 0)
			r = failure_set(failure, EXIT_CODE_NO_BACKEND, "nothing answers at %s",
				up->target.text);
	}
	backend_context_deinit(&up->probe_context);
	return r;
}

// ---- evidence

// Asks for the server's evidence, about the tunnel as well once there is one.
static int verify(struct up *up, struct failure *failure)
{
	struct span none = {NULL, 0};
	return account_verify(&up->account, up->id[0] != '\0' ? span_of(up->id) : none, failure);
}

static int on_distrust(struct agent *agent)
{
	return verify(container_of(agent, struct up, agent), &agent->failure);
}

// ---- the tunnel

static int describe(struct up *up, json_t **ret, struct failure *failure)
{
	char path[64 + TUNNEL_ID_SIZE];
	snprintf(path, sizeof path, "/_api/tunnels/%s", up->id);
	return api_call(&up->account.verified, &(struct api_call){.path = path}, ret, failure);
}

// What a tunnel that is over says to scripts.
static int over(const json_t *tunnel, struct failure *failure)
{
	static const struct {
		const char *state;
		enum exit_code code;
		const char *words;
	} ends[] = {
		{"expired", EXIT_CODE_EXPIRED, "the time of the tunnel is over"},
		{"revoked", EXIT_CODE_REVOKED, "the tunnel was revoked"},
		{"exhausted", EXIT_CODE_QUOTA, "a budget of the tunnel is used up"},
		{"failed", EXIT_CODE_OTHER, "the tunnel failed on the server"},
	};
	const char *state = api_text(tunnel, "state");
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		if (strcmp(ends[i].state, state) == 0)
			return failure_set(failure, ends[i].code, "%s", ends[i].words);
	return 0;
}

static int attach(struct up *up, struct failure *failure)
{
	const char *ref = up->invocation->values[OPTION_ATTACH];
	int r = api_find_tunnel(&up->account.verified, ref, up->id, failure);
	if (r == 0)
		r = describe(up, &up->tunnel, failure);
	if (r == 0)
		r = over(up->tunnel, failure);
	if (r == 0 && strcmp(api_text(up->tunnel, "mode"), "pull") != 0)
		r = failure_set(failure, EXIT_CODE_REFUSED,
			"tunnel %s leads to %s by itself: it takes no agent", up->id,
			api_text(up->tunnel, "backend"));
	up->attached = r == 0;
	return r;
}

static int create(struct up *up, struct failure *failure)
{
	json_t *members;
	int r = create_members(&members, up->invocation, failure);
	if (r != 0)
		return r;
	r = create_tunnel(&up->account.verified, members, &up->tunnel, failure);
	json_decref(members);
	if (r == 0)
		snprintf(up->id, sizeof up->id, "%s", api_text(up->tunnel, "id"));
	return r;
}

static const char *agent_token(const struct up *up)
{
	const char *own = api_text(json_object_get(up->tunnel, "agent"), "token");
	return own[0] != '\0' ? own : up->account.settings.token;
}

// ---- while it runs

static void stop(struct up *up, enum up_end end)
{
	up->end = end;
	loop_stop(&up->loop, 0);
}

static void on_agent_end(struct agent *agent, enum agent_outcome outcome)
{
	static const enum up_end ends[] = {
		[AGENT_OVER] = UP_OVER,
		[AGENT_REFUSED] = UP_REFUSED,
		[AGENT_LOST] = UP_LOST,
	};
	stop(container_of(agent, struct up, agent), ends[outcome]);
}

static void on_hint(struct hint *hint, const char *text)
{
	journal_note(&container_of(hint, struct up, hint)->journal, "%s", text);
}

// Below a path some services have to be told so.
static void look_for_hint(struct up *up)
{
	bool html = up->target.http && up->target.kind != TARGET_DEMO;
	if (!html || up->journal.options.quiet ||
		strcmp(api_text(up->tunnel, "origin"), "path") != 0)
		return;
	snprintf(up->prefix, sizeof up->prefix, "/t/%s", up->id);
	up->hint = (struct hint){
		.context = &up->agent.backends,
		.host = up->agent.host,
		.prefix = up->prefix,
		.keep = strcmp(api_text(up->tunnel, "prefix"), "keep") == 0,
		.told = on_hint,
	};
	(void)!hint_ask(&up->hint); // it is only advice
}

static void on_serving(struct agent *agent)
{
	struct up *up = container_of(agent, struct up, agent);
	const struct journal_tunnel tunnel = {
		.document = up->tunnel,
		.target = up->target.text,
		.attached = up->attached,
	};
	journal_ready(&up->journal, &tunnel);
	look_for_hint(up);
}

static void on_signal(struct signals *signals)
{
	stop(container_of(signals, struct up, signals), UP_INTERRUPTED);
}

static int serve(struct up *up, uint32_t renew_ms, struct failure *failure)
{
	struct agent_options options = {
		.settings = &up->account.verified,
		.id = up->id,
		.token = agent_token(up),
		.target = &up->target,
		.renew_ms = renew_ms,
		.ends_at = INT64_MAX,
	};
	(void)!when_point(span_of(api_text(up->tunnel, "expires_at")), &options.ends_at);
	int r = agent_init(&up->agent, &up->loop, &up->journal, &options, failure);
	up->agent.ended = on_agent_end;
	up->agent.serving = on_serving;
	up->agent.distrust = on_distrust;
	if (r == 0)
		r = agent_sandbox_enter();
	if (r == 0)
		r = agent_start(&up->agent);
	if (r == 0)
		r = loop_run(&up->loop);
	hint_cancel(&up->hint);
	agent_deinit(&up->agent);
	return r;
}

// ---- afterwards

static int revoke_tunnel(struct up *up, struct failure *failure)
{
	char path[64 + TUNNEL_ID_SIZE];
	struct failure why = {{0}};
	json_t *answer = NULL;
	snprintf(path, sizeof path, "/_api/tunnels/%s", up->id);
	int r = api_call(&up->account.verified,
		&(struct api_call){.method = "DELETE", .path = path}, &answer, &why);
	json_decref(answer);
	if (r == EXIT_CODE_NO_TUNNEL)
		return 0; // it was over by itself
	if (r > 0)
		return failure_set(failure, (enum exit_code)r,
			"the tunnel lives on until its time is over: %s", why.text);
	return r;
}

static int ask_why_over(struct up *up, struct failure *failure)
{
	json_t *tunnel = NULL;
	int r = describe(up, &tunnel, failure);
	if (r == 0)
		r = over(tunnel, failure);
	if (r == 0)
		r = failure_set(failure, EXIT_CODE_OTHER, "the server lets no agent in any more");
	json_decref(tunnel);
	return r;
}

static int settle(struct up *up, struct failure *failure)
{
	switch (up->end) {
	case UP_INTERRUPTED: return up->attached ? 0 : revoke_tunnel(up, failure);
	case UP_OVER: return ask_why_over(up, failure);
	case UP_REFUSED: *failure = up->agent.failure; return (int)up->agent.code;
	case UP_LOST:
		return failure_set(failure, EXIT_CODE_EXPIRED, "the time of the tunnel is over");
	case UP_NONE: break;
	}
	return 0;
}

static void tell_end(struct up *up, int r, const struct failure *failure)
{
	const char *why = r != 0         ? failure->text
			  : up->attached ? "not served from here any more; the tunnel stays"
					 : "the tunnel is ended";
	journal_closed(&up->journal, why, r < 0 ? EXIT_CODE_OTHER : r);
}

// A tunnel of ours that does not pass, or cannot be served, is not left behind. Returns R.
static int give_up(struct up *up, int r)
{
	struct failure ignored;
	if (!up->attached)
		(void)!revoke_tunnel(up, &ignored);
	return r;
}

static int run(struct up *up, struct failure *failure)
{
	uint32_t renew_ms;
	int r = read_renewal(up, &renew_ms, failure);
	if (r == 0 && option_given(up->invocation, OPTION_REQUIRE_BACKEND))
		r = require_backend(up, failure);
	if (r == 0)
		r = verify(up, failure);
	if (r == 0)
		r = signals_watch(&up->signals, &up->loop, on_signal);
	if (r == 0)
		r = option_given(up->invocation, OPTION_ATTACH) ? attach(up, failure)
								: create(up, failure);
	if (r != 0)
		return r;
	r = verify(up, failure);
	if (r != 0)
		return give_up(up, r);
	r = serve(up, renew_ms, failure);
	signals_forget(&up->signals); // who is in a hurry presses Ctrl-C again
	r = r == 0 ? settle(up, failure) : give_up(up, r);
	tell_end(up, r, failure);
	return r;
}

int up_run(const struct invocation *invocation, struct failure *failure)
{
	struct up *up = calloc(1, sizeof *up);
	const struct journal_options options = journal_options(invocation);
	if (up == NULL)
		return -ENOMEM;
	up->invocation = invocation;
	int r = read_target(up, failure);
	if (r == 0)
		r = account_read(&up->account, invocation, failure);
	if (r == 0)
		r = loop_init(&up->loop);
	if (r == 0) {
		r = journal_init(&up->journal, &up->loop, &options);
		if (r == 0)
			r = run(up, failure);
		journal_deinit(&up->journal);
		loop_deinit(&up->loop);
	}
	json_decref(up->tunnel);
	account_close(&up->account);
	free(up);
	return r;
}
