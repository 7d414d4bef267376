// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The notice that people are shown before they get to a service, once for each browser and tunnel,
// where the operator wants it (`interstitial`). The API worker has the page; what is decided here
// is who is to see it: who goes to the tunnel with a window of a browser. Programs, frames, scripts
// and upgrades pass.

#pragma once

#include "http_head.h"

struct visitor;

bool notice_is_due(const struct visitor *visitor, const struct http_head *head);
