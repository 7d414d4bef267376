# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Adds up the results of one JUnit XML file (of pytest or meson) for scripts/test: prints
# "PASSED FAILED SKIPPED", then the name of each test that failed.

import sys
import xml.etree.ElementTree


def outcome(case):
    kinds = {child.tag for child in case}
    if kinds & {"failure", "error"}:
        return "failed"
    return "skipped" if "skipped" in kinds else "passed"


def main(path):
    outcomes = {}
    for case in xml.etree.ElementTree.parse(path).getroot().iter("testcase"):
        name = f"{case.get('classname', '')} {case.get('name', '')}".strip()
        # A test whose clean-up fails is there twice: the worse result counts.
        if outcomes.get(name) != "failed":
            outcomes[name] = outcome(case)
    count = list(outcomes.values()).count
    print(count("passed"), count("failed"), count("skipped"))
    for name, how in outcomes.items():
        if how == "failed":
            print(name)


if __name__ == "__main__":
    main(sys.argv[1])
