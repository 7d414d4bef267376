// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Reading and writing of whole files, over interruptions and pieces.

#pragma once

#include "util.h"

// Reads into BYTES until SIZE are there or the file has ended. Returns how many, or a negative
// errno.
ssize_t file_read(int fd, void *bytes, size_t size) WARN_UNUSED;

// Writes all N BYTES. Returns 0 or a negative errno.
int file_write(int fd, const void *bytes, size_t n) WARN_UNUSED;
