// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "pending.h"

void pendings_init(struct pendings *set, struct loop *loop)
{
	*set = (struct pendings){.loop = loop};
	TAILQ_INIT(&set->all);
}

static void on_deadline(struct loop_timer *timer)
{
	struct pending *pending = container_of(timer, struct pending, deadline);
	pending_stop(pending);
	pending->answered(pending, NULL);
}

uint64_t pending_start(struct pendings *set, struct pending *pending, enum message asked,
	int64_t patience_ms, void (*answered)(struct pending *, const struct ipc_message *))
{
	*pending = (struct pending){
		.set = set, .asked = asked, .answered = answered, .deadline.expired = on_deadline};
	struct instant due = instant_add_ms(instant_now(), patience_ms);
	if (loop_timer_set(set->loop, &pending->deadline, due) < 0)
		return 0;
	pending->request = ++set->last;
	TAILQ_INSERT_TAIL(&set->all, pending, link);
	return pending->request;
}

void pending_stop(struct pending *pending)
{
	if (pending->request == 0)
		return;
	loop_timer_clear(pending->set->loop, &pending->deadline);
	TAILQ_REMOVE(&pending->set->all, pending, link);
	pending->request = 0;
}

static bool answers(enum message answer, enum message asked)
{
	switch ((int)answer) {
	case MSG_SPAWNED:
	case MSG_SPAWN_FAILED: return asked == MSG_SPAWN;
	case MSG_EXTENDED:
	case MSG_EXTEND_FAILED: return asked == MSG_EXTEND;
	case MSG_STATEMENT: return asked == MSG_STATEMENT_GET;
	case MSG_FRESH_QUOTE: return asked == MSG_FRESH_GET;
	case MSG_METRICS: return asked == MSG_METRICS_GET;
	case MSG_COUNTERS: return asked == MSG_COUNTERS_GET;
	default: return false;
	}
}

void pendings_answer(struct pendings *set, const struct ipc_message *answer)
{
	struct pending *pending;
	TAILQ_FOREACH(pending, &set->all, link)
	{
		if (pending->request != answer->fields[0].number)
			continue;
		if (!answers(answer->type->type, pending->asked))
			return;
		pending_stop(pending);
		pending->answered(pending, answer);
		return;
	}
}
