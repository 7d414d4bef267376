// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What an edge may still do once it is sealed; the tables are in sandbox.c.

#pragma once

#include "common/seal.h"

extern const struct seal_profile edge_seal_profile;
