// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What a compose file leaves to chance or gives away, as far as its lines tell. They are read as
// words, not as YAML: what could be written in a way that is not seen here is refused, so a file
// that passes is a plain one.

#pragma once

#include "why.h"

// Whether one container at most can ask dstack's guest service for quotes: its socket is named on
// one line at most, by itself; no container has anything else of the machine's files, devices,
// processes or engine, rights to get at them, or, while there is such a line, what was written for
// another container.
bool compose_lines_socket_alone(struct span compose, struct why *why);

// Whether each image is named by its digest, in the text itself.
bool compose_lines_images_pinned(struct span compose, struct why *why);
