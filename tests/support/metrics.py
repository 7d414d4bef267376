# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# A strict reader of the Prometheus text format 0.0.4: what it passes over without a word elsewhere
# is an error here. Metrics are a dict: (name, ((label, value), ...)) -> number.

import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? (\+Inf|[0-9]+(?:\.[0-9]+)?)")
HISTOGRAM = re.compile(r"_(bucket|sum|count)$")


def parse(text):
    assert text.endswith("\n") and "\r" not in text and "\n\n" not in text
    types, seen, metrics, family = {}, set(), {}, None
    lines = iter(text[:-1].split("\n"))
    for line in lines:
        if line.startswith("#"):
            family, help_ = re.fullmatch(rf"# HELP ({NAME}) (\S.*)", line).groups()
            assert family not in seen, f"{family} comes in two places"
            seen.add(family)
            assert "\\" not in help_
            name, type_ = re.fullmatch(rf"# TYPE ({NAME}) (\w+)", next(lines)).groups()
            assert name == family and type_ in ("gauge", "counter", "histogram"), line
            types[family] = type_
            continue
        match = SAMPLE.fullmatch(line)
        assert match, f"not a sample: {line!r}"
        name, labels, number = match[1], match[2] or "", match[match.re.groups]
        base = HISTOGRAM.sub("", name) if types.get(family) == "histogram" else name
        assert base == family, f"{name} stands below {family}"
        assert types[family] != "counter" or name.endswith("_total"), name
        key = (name, tuple(re.findall(LABEL, labels)))
        assert key not in metrics, f"{key} is there twice"
        metrics[key] = float("inf") if number == "+Inf" else float(number)
    _check_histograms(types, metrics)
    return metrics


def _check_histograms(types, metrics):
    for family in (name for name, type_ in types.items() if type_ == "histogram"):
        buckets = [(float(labels[0][1].replace("+Inf", "inf")), n)
                   for (name, labels), n in metrics.items() if name == f"{family}_bucket"]
        assert buckets == sorted(buckets) and buckets[-1][0] == float("inf"), buckets
        assert [n for _, n in buckets] == sorted(n for _, n in buckets), buckets
        assert buckets[-1][1] == metrics[f"{family}_count", ()], buckets
        assert (f"{family}_sum", ()) in metrics


def get(metrics, name, **labels):
    """One number, its labels in any order."""
    found = [n for (have, pairs), n in metrics.items()
             if have == f"tunneld_{name}" and dict(pairs) == labels]
    assert len(found) == 1, (name, labels, sorted(metrics))
    return found[0]
