# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# What axe-core finds wrong with the page a browser shows: names, roles, contrast, headings, landmarks.
# `scripts/install-deps browser` installs it.

import functools
import pathlib

PATH = pathlib.Path(__file__).parents[2] / "build-node" / "node_modules" / "axe-core" / "axe.min.js"


@functools.cache
def _source():
    assert PATH.exists(), f"no axe-core at {PATH}: run `scripts/install-deps browser`"
    return PATH.read_text()


def check(browser, what=""):
    """Fails with all that is wrong with the page as it is now."""
    browser.ask(_source() + "\n;0")
    browser.ask("window.axeFound = undefined; axe.run(document, {resultTypes: ['violations']}).then("
                "found => window.axeFound = {n: found.passes.length, wrong: found.violations.map("
                "v => `${v.id}: ${v.help}: ${v.nodes.map(n => n.html.slice(0, 200)).join(' | ')}`)},"
                "error => window.axeFound = {n: 0, wrong: [String(error)]})")
    found = browser.wait("window.axeFound")
    assert found["n"] >= 5, f"{what}: axe-core has looked at nothing: {found}"
    assert found["wrong"] == [], f"{what}: {found['wrong']}"
