# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: no message that we and another widely used parser both take means different things to us, and
# wherever one refuses what the other takes, that is meant and written down.
#
# TUNNELD_CASES is how many messages are compared, TUNNELD_SEED where the sequence begins.

import collections
import os
import pathlib

import pytest

import readers
import rules
from support import daemon
from support.grammar import Grammar

CASES = int(os.environ.get("TUNNELD_CASES", 100_000))
SEED = int(os.environ.get("TUNNELD_SEED", 1))
BATCH = 5000
H11_MOST = 12_000  # bytes: its patterns go back and forth in long lines

REQUESTS, ANSWERS, TO_HEAD = 3, 2, 1  # of six


def batch(seed):
    grammar = Grammar(seed)
    cases = []
    for _ in range(BATCH):
        which = int(grammar.chance() * (REQUESTS + ANSWERS + TO_HEAD))
        if which < REQUESTS:
            cases.append((readers.REQUEST, grammar.request()))
        else:
            kind = readers.RESPONSE if which < REQUESTS + ANSWERS else readers.RESPONSE_TO_HEAD
            cases.append((kind, grammar.answer()))
    return cases


def compare(other, read, seed, cases, found):
    ours = readers.program("parser_ours")(cases)
    for (kind, data), mine, theirs in zip(cases, ours, read(cases)):
        found[mine.verdict] += 1
        try:
            rule = rules.classify(other, data, mine, theirs)
        except rules.Unexplained as difference:
            raise AssertionError(
                f"{difference}\nTUNNELD_SEED={seed} kind {kind}\n{data!r}\nours   {mine}\n{other:6} {theirs}"
            ) from None
        if rule:
            found[rule] += 1


def run(other, read, report, share=1):
    found = collections.Counter()
    for seed in range(SEED, SEED + max(1, CASES // BATCH // share)):
        cases = batch(seed)
        if other == "h11":
            cases = [case for case in cases if len(case[1]) < H11_MOST]
        compare(other, read, seed, cases, found)
    taken = found.pop(b"A")
    total = taken + found.pop(b"M") + found.pop(b"R")
    assert taken > total / 5, "most are refused: that compares little"
    report(f"parsers: {total} messages, {taken} of them taken, as {other} reads them but for "
           + ", ".join(f"{count} {rule}" for rule, count in found.most_common()))
    return found


def test_as_llhttp_reads_them(report):
    try:
        daemon.program("parser_llhttp")
    except FileNotFoundError:
        pytest.skip("llhttp is not there: node-llhttp of Debian (scripts/install-deps test) has it")
    run("llhttp", readers.program("parser_llhttp"), report)


def test_as_h11_reads_them(report):
    run("h11", readers.h11_reader, report, share=2)


def test_every_rule_is_explained():
    text = (pathlib.Path(__file__).parents[2] / "docs" / "http.md").read_text()
    _, heading, section = text.partition("\n# Compared with other parsers\n")
    assert heading, "docs/http.md has no such section"
    for name in rules.names():
        assert f"| {name.partition(': ')[2]} |" in section, f"docs/http.md does not explain {name!r}"


@pytest.mark.parametrize("change", [
    {"end": 1}, {"framing": b"close"}, {"body": b"x"}, {"length": 1}, {"verdict": b"M", "reason": b"body"},
    {"values": [b"i"]}, {"names": [b"x"]}, {"target": b"/y"}, {"start": b"PUT"}, {"minor": 0}])
def test_a_difference_would_be_found(change):
    data = b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n"
    (ours,) = readers.program("parser_ours")([(readers.REQUEST, data)])
    assert rules.classify("llhttp", data, ours, ours) is None
    with pytest.raises(rules.Unexplained):
        rules.classify("llhttp", data, ours, ours._replace(**change))
