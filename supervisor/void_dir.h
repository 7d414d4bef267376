// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// A folder in which there is nothing and never will be: roles without files are locked into it.

#pragma once

#include "util.h"

// Makes a folder, opens it and removes it. Nobody can reach it by name, and the kernel makes no
// file in a removed folder. Returns a descriptor, close-on-exec, or a negative errno.
int void_dir_open(void) WARN_UNUSED;
