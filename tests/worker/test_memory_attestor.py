# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# An attestor without memory: as in test_memory.py every allocation of a story is refused, one a
# round, and then it and all behind it. The story is a statement and a fresh quote.

import contextlib
import itertools

import pytest
from child import MSG, SETTLE
from support import guest as guests
from test_attestor import Attestor
from test_memory import faults, modes, refuse_each  # noqa: F401


@pytest.fixture
def service(tmp_path):
    with guests.Guest(tmp_path / "dstack.sock") as serving:
        yield serving


def answers(attestor, request, seconds=SETTLE):
    """Whether a statement was signed, once the answer about the quote is there; of REQUEST, not of earlier ones."""
    found = lambda type_: any(m.type == type_ and m.fields[0] == request for m in attestor.answers)  # noqa: E731
    attestor.until(lambda: found(MSG.QUOTED), seconds)
    return found(MSG.STATED)


@modes
def test_statements_and_fresh_quotes(faults, service, stays, report):
    numbers = itertools.count(1)
    with Attestor(service, fresh_rate=1_000_000) as attestor:
        attestor.certificate("quoted")

        def ask():
            attestor.answers.clear()
            number = next(numbers)
            attestor.ask(request=number)
            attestor.fresh(request=number)
            return number

        def story():
            with contextlib.suppress(AssertionError):  # what it could not say it leaves out
                answers(attestor, ask(), 0.5)

        def sound():
            assert answers(attestor, ask())

        count = refuse_each(faults, attestor, story, sound, stays=stays)
    report(f"an attestor makes {count} allocations for a statement and a fresh quote")
    assert count >= 5
