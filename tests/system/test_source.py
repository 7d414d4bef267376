# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: which source a program was made from is one number that anybody can compute, and every program
# says its own. (The tree is there when the tests run from it; elsewhere there is nothing to compare.)

import hashlib
import pathlib
import re
import shutil
import subprocess

import pytest

from support.daemon import program

TOP = pathlib.Path(__file__).parents[2]
SCRIPT = TOP / "scripts" / "source-hash"
NAMES = ("tunneld", "tunneld-gate", "tunneld-api", "tunneld-relay", "tunneld-resolve",
         "tunneld-attest", "tunneld-edge", "tunnel")

pytestmark = pytest.mark.skipif(not SCRIPT.exists(), reason="the source tree is not here")


def run(folder, *arguments):
    command = [folder / "scripts" / "source-hash", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def said_by(path):
    found = re.findall(rb"tunneld-source version=(\S+) commit=(\S+) tree_sha256=([0-9a-f]{64})",
                       pathlib.Path(path).read_bytes())
    assert len(found) == 1, f"{path}: {found}"
    return tuple(word.decode() for word in found[0])


@pytest.fixture
def copy(tmp_path):
    """The tree as an archive would have it: without git, and with what a build leaves behind."""
    leave = shutil.ignore_patterns(".git", "build*", "var", "__pycache__", ".pytest_cache")
    shutil.copytree(TOP, tmp_path / "copy", symlinks=True, ignore=leave)
    return tmp_path / "copy"


def test_all_programs_say_the_same():
    said = {name: said_by(program(name)) for name in NAMES}
    assert len(set(said.values())) == 1, said
    version = subprocess.run([program(), "--version"], capture_output=True, text=True, check=True).stdout
    named, commit, tree = said["tunneld"]
    assert version == f"tunneld {named}\ncommit {commit}\ntree_sha256 {tree}\n", version


def test_the_formula(copy):
    lines = []
    for path in sorted(bytes(p.relative_to(copy)) for p in copy.rglob("*")):
        full = copy / path.decode()
        if path.startswith(b".commit") or not (full.is_file() or full.is_symlink()):
            continue
        link = full.is_symlink()
        content = bytes(full.readlink()) if link else full.read_bytes()
        mode = "l" if link else "x" if full.stat().st_mode & 0o100 else "-"
        lines.append(f"{hashlib.sha256(content).hexdigest()} {mode} {path.decode()}\n")
    text = "".join(lines)
    assert run(copy, "--list") == text
    assert run(copy).strip() == hashlib.sha256(text.encode()).hexdigest()


def test_it_is_the_same_in_a_clone_and_in_an_archive(copy):
    assert run(copy) == run(TOP)
    (copy / "build").mkdir()
    (copy / "build" / "left").write_text("over")
    (copy / ".commit").write_text("a" * 40 + "\n")
    assert run(copy) == run(TOP)
    assert run(copy, "--commit") == "a" * 40 + "\n"


@pytest.mark.parametrize("change", ["a byte", "a name", "a mode", "a file more"])
def test_any_change_changes_it(copy, change):
    before, path = run(copy), copy / "relay" / "main.c"
    if change == "a byte":
        path.write_bytes(path.read_bytes().replace(b"tunneld", b"Tunneld", 1))
    elif change == "a name":
        path.rename(path.with_name("Main.c"))
    elif change == "a mode":
        path.chmod(0o755)
    else:
        (copy / "relay" / "more.c").touch()
    assert run(copy) != before


def test_without_git_or_an_archive_the_commit_is_unknown(copy):
    (copy / ".commit").write_text("$Format:%H$\n")
    assert run(copy, "--commit") == "unknown\n"
