# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# An API worker or a relay of its own for each test. Tests of other processes have a `stage` of their
# own.

import pytest
from api_stage import Stage, state_folder
from relay_stage import Relay


@pytest.fixture
def folder(tmp_path):
    return state_folder(tmp_path)


@pytest.fixture
def stage(folder):
    with Stage(folder) as running:
        yield running


@pytest.fixture
def relay():
    with Relay() as relay:
        yield relay
