// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// One process the supervisor has started, of whatever role: its pidfd, its control channel, its
// allowance of log lines. It ends in one way only: the pidfd says so, it is reaped, `gone` is
// called. A process that breaks the protocol or closes its channel is killed and then ends like
// that too.

#pragma once

#include "inspect.h"
#include "ipc.h"
#include "log.h"

struct supervisor;

struct process {
	struct supervisor *supervisor;
	enum ipc_role role;
	const char *tunnel;     // whose relay it is; borrowed, NULL for other roles
	pid_t pid;              // 0: there is none
	uint32_t epoch;         // generation, of all channels and messages of this process
	uid_t uid;              // its own, (uid_t)-1: ours
	bool killed;            // by us
	struct loop_watch exit; // pidfd, owned
	struct ipc_channel control;
	struct log_limit log;
	struct log_limit requests;             // lines of the request log
	uint64_t requests_dropped;             // that have not been reported
	void (*gone)(struct process *process); // reaped; PROCESS may be started again or freed
};

struct process_request {
	enum ipc_role role;
	const char *mode; // one more argument of its program, or NULL
	const struct ipc_handlers *handlers;
	size_t queue_max;           // of the control channel
	uid_t uid;                  // (uid_t)-1: ours
	int root_fd;                // folder to be locked into, -1: none
	const struct spawn_fd *fds; // besides the control channel
	size_t n_fds;
	const char *tunnel;
	void (*gone)(struct process *process);
};

// Starts a child. Returns 0 or a negative errno; `gone` is not called then.
int process_start(struct process *process, struct supervisor *supervisor,
	const struct process_request *request) WARN_UNUSED;

// Whether a start failed because the machine has no room for one more process now: nothing that the
// tunnel it was for could have caused, and worth another try.
static inline bool process_is_exhaustion(int error)
{
	return error == -EMFILE || error == -ENFILE || error == -ENOMEM || error == -EAGAIN ||
	       error == -ENOBUFS || error == -EUSERS;
}

static inline bool process_alive(const struct process *process)
{
	return process->pid != 0;
}

// SIGKILL, at once. `gone` follows from the loop. Harmless when there is no process.
void process_kill(struct process *process);

// Whether the child, which says it is ready, is seen from outside to be sealed as this
// configuration demands. Logs what was found, and writes it to REPORT (may be NULL) when it is.
bool process_inspect(struct process *process, uint64_t reached, struct inspect_report *report);

// A line about this process.
void process_log(struct process *process, enum log_level level, const char *format, ...)
	PRINTF(3, 4);

// Whether there may be another line that this process has caused; counts it. For lines it could
// cause without end.
bool process_may_log(struct process *process);

// Handler of LOG for every role.
int process_on_log(struct ipc_channel *channel, struct ipc_message *message) WARN_UNUSED;
