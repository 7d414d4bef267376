// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#pragma once

#include "seal.h"

extern const struct seal_profile attest_seal_profile;
