# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# docs/agent-protocol.md says what common/mux*.h do: its numbers are theirs, its examples are messages,
# and agent.py has as many lines as it says.

import pathlib
import re

import msgpack
import pytest

ROOT = pathlib.Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "agent-protocol.md").read_text()
HEADERS = "".join((ROOT / "common" / name).read_text() for name in ("mux.h", "mux_message.h", "mux_stream.c"))


def constant(name):
    """Its value: products of numbers, as they stand in the headers."""
    (expression,) = re.findall(rf"\b{name} = ([\d *]+),", HEADERS)
    value = 1
    for factor in expression.split("*"):
        value *= int(factor)
    return value


def table(heading):
    """The rows of the first table below a heading, without its head."""
    below = PAGE.split(f"# {heading}\n", 1)[1]
    rows = re.search(r"(?:^\|.*\n)+", below, re.MULTILINE).group().splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


@pytest.mark.parametrize("name, said", [
    ("MUX_WINDOW", "**{} bytes** at the start"),
    ("MUX_WINDOW_MAX", "up to **{} bytes**"),
    ("MUX_WINDOW_MAX", "credit beyond {}, ends the connection"),
    ("WINDOW_LOW", "shrink to {}, or"),
    ("WINDOW_LEAST", "or {} when there are many streams"),
    ("MUX_STREAMS_MAX", "not said or more than {0}: {0}"),
    ("MUX_INSTANCE_MAX", "1 to {} bytes that name"),
    ("MUX_AGENT_MAX", "for the log; {} bytes at most"),
    ("MUX_HOST_MAX", "`localhost:3000`; {} bytes at most"),
])
def test_numbers(name, said):
    assert said.format(constant(name)) in PAGE, f"{name} is {constant(name)}"


def test_sizes_and_times():
    assert f"A DATA carries {constant('MUX_DATA_MAX') // 1024} KiB at most" in PAGE
    assert f"every other message has {constant('MUX_MESSAGE_MAX') // 1024} KiB at most" in PAGE
    assert f"pings every {constant('MUX_PING_MS') // 1000} seconds" in PAGE
    assert constant("MUX_PINGS_MISSED") == 2 and "has not answered two in a row" in PAGE
    assert f"HELLO does not come within {constant('MUX_HELLO_MS') // 1000} seconds" in PAGE


def test_reset_codes():
    codes = re.findall(r"\bMUX_RESET_\w+ = (\d+),", HEADERS)
    assert len(codes) == 7 and codes == [row[0] for row in table("Streams")]


def test_close_codes():
    rows = {row[0] for row in table("Close codes")}
    assert {str(constant(name)) for name in re.findall(r"\b(MUX_CLOSE_\w+) = ", HEADERS)} == {
        code for code in rows if code.startswith("40")}


def test_messages():
    numbers = re.search(r"enum mux_type \{(.*?)\}", HEADERS, re.DOTALL).group(1)
    names = [name.removeprefix("MUX_") for name in re.findall(r"MUX_\w+", numbers)][:-1]
    rows = table("Messages")
    assert [row[0] for row in rows] == names
    for number, (name, form, _, example) in enumerate(rows):
        packed = bytes.fromhex(re.search(r"`([0-9a-f ]+)`", example).group(1))
        message = msgpack.unpackb(packed)
        assert msgpack.packb(message) == packed, f"{name}: not in its shortest form"
        assert message[0] == number and form.startswith(f"`[{number}, "), name
        assert len(message) == len(re.sub(r"\{.*?\}", "map", form).split(",")), name


def test_the_agent_beside_it():
    lines = (ROOT / "docs" / "agent.py").read_text().splitlines()
    assert len(lines) <= 80 and "one in 80 lines" in PAGE, len(lines)
