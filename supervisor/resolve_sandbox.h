// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What the resolver may still do once it is sealed; the tables are in resolve_sandbox.c.

#pragma once

#include "seal.h"

extern const struct seal_profile resolve_seal_profile;
