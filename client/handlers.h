// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What the commands do: each reads its invocation, writes to standard output, and returns as
// failure.h says.

#pragma once

#include "commands.h"

int completion_run(const struct invocation *invocation, struct failure *failure);
int connect_run(const struct invocation *invocation, struct failure *failure);
int create_run(const struct invocation *invocation, struct failure *failure);
int doctor_run(const struct invocation *invocation, struct failure *failure);
int events_run(const struct invocation *invocation, struct failure *failure);
int extend_run(const struct invocation *invocation, struct failure *failure);
int login_run(const struct invocation *invocation, struct failure *failure);
int logout_run(const struct invocation *invocation, struct failure *failure);
int ls_run(const struct invocation *invocation, struct failure *failure);
int rm_run(const struct invocation *invocation, struct failure *failure);
int show_run(const struct invocation *invocation, struct failure *failure);
int verify_run(const struct invocation *invocation, struct failure *failure);
int up_run(const struct invocation *invocation, struct failure *failure);
int version_run(const struct invocation *invocation, struct failure *failure);
