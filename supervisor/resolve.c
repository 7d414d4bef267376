// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "resolve.h"

#include "supervisor.h"

#include <assert.h>

// Outlives its asker when that cancels: it has to be reaped.
struct resolve_process {
	struct process process;
	struct resolver *resolver;
	struct resolve *asker; // NULL: nobody waits any more
};

static void on_timer(struct loop_timer *timer);
static void start_next(struct loop_task *task);

void resolver_init(struct resolver *resolver, struct supervisor *supervisor)
{
	*resolver = (struct resolver){.supervisor = supervisor, .task = {.run = start_next}};
	TAILQ_INIT(&resolver->waiting);
}

static void leave_queue(struct resolve *resolve)
{
	struct resolver *resolver = resolve->resolver;

	TAILQ_REMOVE(&resolver->waiting, resolve, link);
	resolver->n_waiting--;
}

// Takes the look-up off everything it is on; its process, if any, is ended.
static void detach(struct resolve *resolve)
{
	loop_timer_clear(&resolve->resolver->supervisor->loop, &resolve->timer);
	resolve->active = false;
	if (resolve->process == NULL) {
		leave_queue(resolve);
		return;
	}
	resolve->process->asker = NULL;
	process_kill(&resolve->process->process);
	resolve->process = NULL;
}

static void finish(
	struct resolve *resolve, const struct in6_addr *addresses, size_t n, const char *why)
{
	detach(resolve);
	resolve->done(resolve, addresses, n, why);
}

// Of a look-up, or of its wait for its turn, that begins now.
static struct instant deadline(const struct resolver *resolver)
{
	return instant_add_ms(
		instant_now(), (int64_t)resolver->supervisor->options->lookup_timeout * 1000);
}

int resolve_start(struct resolver *resolver, struct resolve *resolve, const char *name)
{
	struct loop *loop = &resolver->supervisor->loop;

	if (resolver->n_waiting >= RESOLVE_WAITING_MAX)
		return -EBUSY;
	resolve->resolver = resolver;
	resolve->name = name;
	resolve->process = NULL;
	resolve->timer = (struct loop_timer){.expired = on_timer};
	int r = loop_timer_set(loop, &resolve->timer, deadline(resolver));
	if (r < 0)
		return r;
	resolve->active = true;
	resolver->supervisor->tally.now.lookups++;
	resolver->n_waiting++;
	TAILQ_INSERT_TAIL(&resolver->waiting, resolve, link);
	loop_task_set(loop, &resolver->task);
	return 0;
}

void resolve_cancel(struct resolve *resolve)
{
	if (resolve->active)
		detach(resolve);
}

// ---- messages of the process

static struct resolve_process *process_of(struct ipc_channel *channel)
{
	struct process *process = container_of(channel, struct process, control);
	return container_of(process, struct resolve_process, process);
}

static int on_ready(struct ipc_channel *channel, struct ipc_message *message)
{
	struct resolve_process *process = process_of(channel);

	if (process->asker == NULL)
		return 0; // it has been killed
	if (!process_inspect(&process->process, message->fields[0].number, NULL)) {
		process_kill(&process->process);
		return 0;
	}
	channel->phase = PHASE_RUN;
	ipc_post(channel, MSG_RESOLVE, -1, wire_str(span_of(process->asker->name)));
	return 0;
}

static int on_resolved(struct ipc_channel *channel, struct ipc_message *message)
{
	struct resolve_process *process = process_of(channel);
	struct in6_addr addresses[ADDRESSES_MAX];
	struct span bytes = message->fields[0].bytes;

	if (bytes.n % sizeof *addresses != 0)
		return -EBADMSG;
	memcpy(addresses, bytes.p, bytes.n);
	if (process->asker != NULL)
		finish(process->asker, addresses, bytes.n / sizeof *addresses, NULL);
	return 0;
}

static int on_failed(struct ipc_channel *channel, struct ipc_message *message)
{
	struct resolve_process *process = process_of(channel);
	char why[257];
	struct span text = message->fields[0].bytes;

	snprintf(why, sizeof why, "%.*s", (int)text.n, text.p);
	if (process->asker != NULL)
		finish(process->asker, NULL, 0, why);
	return 0;
}

static const struct ipc_handling handling[] = {
	{MSG_READY, on_ready},
	{MSG_LOG, process_on_log},
	{MSG_RESOLVED, on_resolved},
	{MSG_RESOLVE_FAILED, on_failed},
};

static const struct ipc_handlers handlers = {
	.self = ROLE_SUPERVISOR,
	.peer = ROLE_RESOLVER,
	.table = handling,
	.n = ARRAY_SIZE(handling),
};

// ---- the process

static void on_gone(struct process *gone)
{
	struct resolve_process *process = container_of(gone, struct resolve_process, process);
	struct resolver *resolver = process->resolver;
	struct resolve *asker = process->asker;

	resolver->running--;
	loop_task_set(&resolver->supervisor->loop, &resolver->task);
	if (asker != NULL) {
		asker->process = NULL;
		loop_timer_clear(&resolver->supervisor->loop, &asker->timer);
		asker->active = false;
		asker->done(asker, NULL, 0, "the look-up ended without an answer");
	}
	free(process);
}

static int start(struct resolver *resolver, struct resolve *resolve)
{
	struct supervisor *supervisor = resolver->supervisor;
	struct resolve_process *process = calloc(1, sizeof *process);

	if (process == NULL)
		return -ENOMEM;
	process->resolver = resolver;
	int r = process_start(&process->process, supervisor,
		&(struct process_request){
			.role = ROLE_RESOLVER,
			.handlers = &handlers,
			.queue_max = 1024,
			.uid = supervisor_uid(supervisor, UID_RESOLVE),
			.root_fd = -1,
			.gone = on_gone,
		});
	if (r < 0) {
		free(process);
		return r;
	}
	process->asker = resolve;
	resolve->process = process;
	resolver->running++;
	return 0;
}

// One a round: starting a process takes a while.
static void start_next(struct loop_task *task)
{
	struct resolver *resolver = container_of(task, struct resolver, task);
	struct loop *loop = &resolver->supervisor->loop;
	struct resolve *resolve = TAILQ_FIRST(&resolver->waiting);

	if (resolve == NULL || resolver->running >= resolver->supervisor->options->max_lookups ||
		resolver->supervisor->stopping)
		return;
	leave_queue(resolve);
	int r = start(resolver, resolve);
	if (r < 0) {
		log_error("resolver cannot be started: %s", strerror(-r));
		loop_timer_clear(loop, &resolve->timer);
		resolve->active = false;
		resolve->done(resolve, NULL, 0, "the look-up could not be started");
	} else {
		// Set already, so moving it cannot fail.
		r = loop_timer_set(loop, &resolve->timer, deadline(resolver));
		assert(r == 0);
	}
	loop_task_set(loop, task);
}

static void on_timer(struct loop_timer *timer)
{
	struct resolve *resolve = container_of(timer, struct resolve, timer);

	finish(resolve, NULL, 0,
		resolve->process != NULL
			? "no answer within lookup_timeout"
			: "its turn did not come within lookup_timeout: max_lookups others are under way");
}
