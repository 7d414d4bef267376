// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "process.h"

#include "seal.h"
#include "spawn.h"
#include "supervisor.h"

#include <assert.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

enum { FDS_MOST = SPAWN_TARGET_LAST - SPAWN_TARGET_FIRST + 1 };

void process_log(struct process *process, enum log_level level, const char *format, ...)
{
	const struct log_about about = {
		ipc_role_name(process->role), process->pid, process->tunnel};
	char text[LOG_LINE_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	log_write(level, &about, "%s", text);
}

bool process_may_log(struct process *process)
{
	uint64_t dropped;

	if (!log_limit_pass(&process->log, instant_now(), &dropped))
		return false;
	if (dropped > 0)
		process_log(process, LOG_WARNING, "%" PRIu64 " lines of it were left out", dropped);
	return true;
}

int process_on_log(struct ipc_channel *channel, struct ipc_message *message)
{
	struct process *process = container_of(channel, struct process, control);
	enum log_level level = (enum log_level)message->fields[0].number;
	struct span text = message->fields[1].bytes;

	if (process_may_log(process))
		process_log(process, level, "%.*s", (int)text.n, text.p);
	return 0;
}

// ---- end

// How it ended, for the log. SIGSYS is what a sandbox does to a forbidden system call.
static void log_end(struct process *process, const siginfo_t *info)
{
	if (process->killed || process->supervisor->stopping) {
		process_log(process, LOG_DEBUG, "ended");
	} else if (info->si_code == CLD_EXITED) {
		process_log(process, info->si_status == 0 ? LOG_INFO : LOG_WARNING,
			"exited with status %d", info->si_status);
	} else {
		const char *name = sigabbrev_np(info->si_status);
		process_log(process, LOG_ERROR, "died of SIG%s%s", name != NULL ? name : "?",
			info->si_status == SIGSYS ? ", a system call its sandbox forbids" : "");
	}
}

static void on_exit_event(struct loop_watch *watch, uint32_t events)
{
	struct process *process = container_of(watch, struct process, exit);
	struct supervisor *supervisor = process->supervisor;
	int pidfd = watch->fd;
	siginfo_t info = {0};

	if (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0)
		return;
	// What it said last is still in its channel: a log line, an answer.
	if (!process->killed && ipc_open(&process->control))
		ipc_drain(&process->control);
	ipc_deinit(&process->control);
	loop_unwatch(&supervisor->loop, watch);
	close(pidfd);
	log_end(process, &info);
	process->pid = 0;
	supervisor->n_processes--;
	process->gone(process);
	supervisor_process_gone(supervisor);
}

void process_kill(struct process *process)
{
	if (!process_alive(process))
		return;
	process->killed = true;
	// Can only fail when it is dead already.
	(void)pidfd_send_signal(process->exit.fd, SIGKILL, NULL, 0);
}

static void on_channel_ended(struct ipc_channel *channel, const char *why)
{
	struct process *process = container_of(channel, struct process, control);
	bool killed = process->killed;

	if (why != ipc_peer_closed) {
		process->supervisor->tally.now.violations[process->role]++;
		process_log(process, LOG_ERROR, "protocol violation: %s", why);
	}
	// An exiting process closes its channel too; the signal does not change what it died of.
	process_kill(process);
	process->killed = killed || why != ipc_peer_closed;
}

static void on_channel_exhausted(struct ipc_channel *channel, const struct ipc_message *lost)
{
	struct process *process = container_of(channel, struct process, control);

	if (!process_may_log(process))
		return;
	process_log(process, LOG_WARNING,
		"a connection was lost: the supervisor has no free descriptor (RLIMIT_NOFILE)");
}

// ---- start

// Takes over CHILD and CONTROL_FD.
static int watch_child(struct process *process, const struct process_request *request,
	const struct spawn_child *child, int control_fd)
{
	struct loop *loop = &process->supervisor->loop;
	int r = ipc_init(&process->control, loop, control_fd, request->handlers, process->epoch, 0,
		request->queue_max);

	process->control.ended = on_channel_ended;
	process->control.exhausted = on_channel_exhausted;
	if (r == 0)
		r = loop_watch(loop, &process->exit, child->pidfd, EPOLLIN);
	if (r == 0)
		return 0;
	ipc_deinit(&process->control);
	(void)pidfd_send_signal(child->pidfd, SIGKILL, NULL, 0);
	while (waitid(P_PIDFD, (id_t)child->pidfd, &(siginfo_t){0}, WEXITED) < 0 && errno == EINTR)
		;
	close(child->pidfd);
	return r;
}

int process_start(struct process *process, struct supervisor *supervisor,
	const struct process_request *request)
{
	CLEANUP(close_p) int ours = -1;
	CLEANUP(close_p) int theirs = -1;
	struct spawn_fd fds[FDS_MOST];
	struct spawn_child child;
	int pair[2];
	int r = ipc_pair(pair);

	if (r < 0)
		return r;
	ours = pair[0];
	theirs = pair[1];
	assert(request->n_fds < FDS_MOST);
	fds[0] = (struct spawn_fd){.source = theirs, .target = IPC_FIRST_FD};
	for (size_t i = 0; i < request->n_fds; i++)
		fds[1 + i] = request->fds[i];
	*process = (struct process){
		.supervisor = supervisor,
		.role = request->role,
		.tunnel = request->tunnel,
		.epoch = ++supervisor->last_epoch,
		.uid = request->uid,
		.exit = {.fd = -1, .ready = on_exit_event},
		.control = {.watch = {.fd = -1}},
		.gone = request->gone,
	};
	r = spawn_child(
		&(struct spawn_request){
			.program = &supervisor->programs[request->role],
			.mode = request->mode,
			.epoch = process->epoch,
			.uid = request->uid,
			.gid = (gid_t)request->uid,
			.root_fd = request->root_fd,
			.fds = fds,
			.n_fds = 1 + request->n_fds,
		},
		&child);
	if (r == 0)
		r = watch_child(process, request, &child, take_fd(&ours));
	if (r < 0)
		return r;
	process->pid = child.pid;
	supervisor->n_processes++;
	supervisor->tally.now.process_starts[process->role]++;
	return 0;
}

// ---- inspection

bool process_inspect(struct process *process, uint64_t reached, struct inspect_report *seen)
{
	const struct inspect_required required = {.uid = process->uid, .gid = (gid_t)process->uid};
	struct inspect_report report;
	char text[INSPECT_TEXT];
	int r = inspect_read(process->pid, &report);

	if (r < 0) {
		process_log(process, LOG_ERROR, "cannot be inspected: %s", strerror(-r));
		return false;
	}
	unsigned lacks = inspect_compare(&report, &required);
	bool refused = lacks != 0 && process->supervisor->options->sandbox == SANDBOX_REQUIRE;
	inspect_format(&report, lacks, text);
	process_log(process, lacks != 0 ? LOG_WARNING : LOG_INFO, "sealed: %s landlock=%s%s", text,
		reached & SEAL_LANDLOCK ? "yes" : "no",
		refused ? "; refused, because sandbox = require" : "");
	if (seen != NULL && !refused)
		*seen = report;
	return !refused;
}
