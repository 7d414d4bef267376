// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "request_lines.h"

#include "log_line.h"
#include "peer.h"
#include "supervisor.h"

#include <inttypes.h>

enum { OLDEST_S = 60 }; // no entry is told later than that: an older one has a wrong clock

// ---- one line

struct view {
	const char *role;
	char tunnel[REQUEST_SHORT_ID + 1]; // empty: none
	const char *by, *code;             // code: NULL or an error of ours
	char peer[PEER_TEXT_SIZE];         // empty: not to be told
	const struct request_entry *entry;
};

static void add_text(struct log_line *line, const struct view *v)
{
	const struct request_entry *e = v->entry;

	log_line_add(line, " request %s%s%s: %.*s \"", v->role, v->tunnel[0] != '\0' ? " " : "",
		v->tunnel, (int)e->method.n, e->method.p);
	log_line_add_escaped(line, e->path, true);
	log_line_add(line, "\" %" PRIu64 " by %s%s%s, %" PRIu64 " ms, in %" PRIu64 ", out %" PRIu64,
		e->status, v->by, v->code != NULL ? " " : "", v->code != NULL ? v->code : "", e->ms,
		e->bytes_in, e->bytes_out);
	if (v->peer[0] != '\0')
		log_line_add(line, ", from %s", v->peer);
	if (e->cut)
		log_line_add(line, ", cut");
}

static void add_logfmt(struct log_line *line, const struct view *v)
{
	const struct request_entry *e = v->entry;

	log_line_add(line, " level=info msg=request role=%s", v->role);
	if (v->tunnel[0] != '\0')
		log_line_add(line, " tunnel=%s", v->tunnel);
	log_line_add(line, " method=\"%.*s\" path=\"", (int)e->method.n, e->method.p);
	log_line_add_escaped(line, e->path, true);
	log_line_add(line, "\" status=%" PRIu64 " by=%s", e->status, v->by);
	if (v->code != NULL)
		log_line_add(line, " code=%s", v->code);
	log_line_add(line, " ms=%" PRIu64 " bytes_in=%" PRIu64 " bytes_out=%" PRIu64, e->ms,
		e->bytes_in, e->bytes_out);
	if (v->peer[0] != '\0')
		log_line_add(line, " peer=%s", v->peer);
	log_line_add(line, " cut=%s", e->cut ? "true" : "false");
}

static void add_json(struct log_line *line, const struct view *v)
{
	const struct request_entry *e = v->entry;

	log_line_add(line, "\",\"level\":\"info\",\"msg\":\"request\",\"role\":\"%s\"", v->role);
	if (v->tunnel[0] != '\0')
		log_line_add(line, ",\"tunnel\":\"%s\"", v->tunnel);
	log_line_add(line, ",\"method\":\"%.*s\",\"path\":\"", (int)e->method.n, e->method.p);
	log_line_add_escaped(line, e->path, true);
	log_line_add(line, "\",\"status\":%" PRIu64 ",\"by\":\"%s\"", e->status, v->by);
	if (v->code != NULL)
		log_line_add(line, ",\"code\":\"%s\"", v->code);
	log_line_add(line, ",\"ms\":%" PRIu64 ",\"bytes_in\":%" PRIu64 ",\"bytes_out\":%" PRIu64,
		e->ms, e->bytes_in, e->bytes_out);
	if (v->peer[0] != '\0')
		log_line_add(line, ",\"peer\":\"%s\"", v->peer);
	log_line_add(line, ",\"cut\":%s}", e->cut ? "true" : "false");
}

size_t request_line_format(char out[LOG_LINE_MAX], enum log_format format, int64_t seconds,
	const char *role, const char *tunnel, const struct request_entry *entry, bool address)
{
	static const struct {
		const char *start;
		void (*add)(struct log_line *line, const struct view *view);
	} forms[] = {
		[LOG_FORMAT_TEXT] = {"", add_text},
		[LOG_FORMAT_LOGFMT] = {"ts=", add_logfmt},
		[LOG_FORMAT_JSON] = {"{\"ts\":\"", add_json},
	};
	struct view view = {
		.role = role,
		.by = entry->ours          ? "tunneld"
		      : entry->status != 0 ? "backend"
					   : "nobody",
		.code = entry->code != CODE_NONE ? code_info((enum code)entry->code)->name : NULL,
		.entry = entry,
	};
	struct log_line line = {.out = out};
	char time[RFC3339_SIZE];

	if (tunnel != NULL)
		snprintf(view.tunnel, sizeof view.tunnel, "%s", tunnel);
	if (address && entry->peer.n == PEER_SIZE)
		peer_format((const uint8_t *)entry->peer.p, view.peer);
	rfc3339_format(seconds, time);
	log_line_add(&line, "%s%s", forms[format].start, time);
	forms[format].add(&line, &view);
	out[line.n++] = '\n';
	return line.n;
}

// ---- how many

static bool may_print(struct process *process, struct instant now)
{
	static struct log_limit all;
	const uint32_t rate = process->supervisor->options->request_log_rate;
	uint64_t ignored;

	if (log_limit_pass_rate(&process->requests, now, rate, rate, &ignored) &&
		log_limit_pass_rate(&all, now, REQUEST_LINES_ALL, REQUEST_LINES_ALL, &ignored))
		return true;
	process->requests_dropped++;
	return false;
}

static void print(struct process *process, const struct request_entry *entry)
{
	const bool address = process->supervisor->options->request_log == REQUEST_LOG_ADDRESSES;
	struct instant now = instant_now();
	char out[LOG_LINE_MAX];
	struct log_line line = {.out = out};

	if (!may_print(process, now))
		return;
	int64_t ago_s = instant_diff_us(now, entry->at) / 1000000;
	ago_s = MAX(0, MIN(ago_s, (int64_t)OLDEST_S));
	line.n = request_line_format(out, log_chosen_format(), wall_now() - ago_s,
		ipc_role_name(process->role), process->tunnel, entry, address);
	log_line_write(&line);
}

static int print_all(struct process *process, struct span entries)
{
	struct request_entry entry;
	int r;

	while ((r = request_log_next(&entries, &entry)) == REQUEST_ENTRY)
		print(process, &entry);
	if (process->requests_dropped > 0 && process_may_log(process)) {
		process_log(process, LOG_WARNING, "%" PRIu64 " requests got no line",
			process->requests_dropped);
		process->requests_dropped = 0;
	}
	return r;
}

int request_lines_on_message(struct ipc_channel *channel, struct ipc_message *message)
{
	struct process *process = container_of(channel, struct process, control);
	const uint64_t dropped = message->fields[0].number;

	expiry_run(&process->supervisor->expiry);
	if (process->supervisor->options->request_log == REQUEST_LOG_NO)
		return -EBADMSG; // nobody was asked for it
	if (!process_alive(process) || process->killed)
		return 0; // its tunnel has just ended
	process->requests_dropped += dropped;
	log_count_limited(dropped);
	return print_all(process, message->fields[1].bytes);
}

void request_lines_left(struct process *process, const struct request_batch *batch)
{
	struct request_batch copy;
	uint32_t used = atomic_load_explicit(&batch->used, memory_order_acquire);

	if (process->supervisor->options->request_log == REQUEST_LOG_NO || used == 0 ||
		used > sizeof copy.bytes)
		return;
	memcpy(copy.bytes, batch->bytes, used);
	if (print_all(process, (struct span){(const char *)copy.bytes, used}) < 0)
		process_log(process, LOG_WARNING, "what it left of the request log is malformed");
}
