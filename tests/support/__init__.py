# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# What the tests of running programs share: a tunneld to start, a client that can misbehave, a
# backend to be tunnelled to. Plain Python 3.11 and four Debian packages, see scripts/packages.
