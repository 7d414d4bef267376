// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What a gate may still do once it is sealed; the tables are in sandbox.c.

#pragma once

#include "common/seal.h"

extern const struct seal_profile gate_seal_profile;
