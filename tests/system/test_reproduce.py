# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: whoever has the source can make the binaries that evidence names. One program is built here;
# `scripts/reproduce` alone builds all of them.

import pathlib
import re
import shutil
import subprocess

import pytest

TOP = pathlib.Path(__file__).parents[2]
SCRIPT = TOP / "scripts" / "reproduce"

pytestmark = [pytest.mark.skipif(not SCRIPT.exists(), reason="the source tree is not here"),
              pytest.mark.seconds(600)]  # it builds four times


def reproduce(top):
    """tree_sha256 and the hash of the resolver, which is quick to build."""
    done = subprocess.run([top / "scripts" / "reproduce", "tunneld-resolve"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.fullmatch(r"tree_sha256 ([0-9a-f]{64})\n([0-9a-f]{64})  tunneld-resolve\nequal: .*\n", done.stdout)
    assert found, done.stdout
    return found.groups()


def test_two_builds_are_equal_and_a_changed_byte_is_seen(tmp_path):
    leave = shutil.ignore_patterns(".git", "build*", "var", "__pycache__", ".pytest_cache")
    shutil.copytree(TOP, tmp_path / "copy", symlinks=True, ignore=leave)
    tree, program = reproduce(tmp_path / "copy")
    assert tree == subprocess.run([TOP / "scripts" / "source-hash"], capture_output=True, text=True).stdout.strip()
    page = tmp_path / "copy" / "README.md"  # not even code
    page.write_bytes(page.read_bytes() + b"\n")
    changed, other = reproduce(tmp_path / "copy")
    assert changed != tree and other != program
