# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Adds up the results of one JUnit XML file (of pytest or meson) for scripts/test: prints
# "PASSED FAILED SKIPPED", then "failed" and the name of each test that failed. With a second file,
# of those that failed run once more, "again" and the name of each that passed then.

import sys
import xml.etree.ElementTree


def outcome(case):
    kinds = {child.tag for child in case}
    if kinds & {"failure", "error"}:
        return "failed"
    return "skipped" if "skipped" in kinds else "passed"


def outcomes(path):
    found = {}
    for case in xml.etree.ElementTree.parse(path).getroot().iter("testcase"):
        name = f"{case.get('classname', '')} {case.get('name', '')}".strip()
        # A test whose clean-up fails is there twice: the worse result counts.
        if found.get(name) != "failed":
            found[name] = outcome(case)
    return found


def main(path, second=None):
    found = outcomes(path)
    again = {name for name, how in (outcomes(second) if second else {}).items()
             if how == "passed" and found.get(name) == "failed"}
    count = list(found.values()).count
    print(count("passed") + len(again), count("failed") - len(again), count("skipped"))
    for name, how in found.items():
        if how == "failed":
            print("again" if name in again else "failed", name)


if __name__ == "__main__":
    main(*sys.argv[1:])
