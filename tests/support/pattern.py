# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Bytes of any length that can be checked without being kept: 1 MiB of noise, repeated, with the
# number of the repetition in its first eight bytes.

import functools
import hashlib
import random
import struct

BLOCK = 1 << 20
_NOISE = random.Random("tunneld").randbytes(BLOCK)


def blocks(size):
    """Yields SIZE bytes as memoryviews of one buffer: use each before asking for the next."""
    buffer = bytearray(_NOISE)
    view = memoryview(buffer)
    for number in range((size + BLOCK - 1) // BLOCK):
        struct.pack_into(">Q", buffer, 0, number)
        yield view[: min(BLOCK, size - number * BLOCK)]


def data(size):
    return b"".join(bytes(block) for block in blocks(size))


@functools.lru_cache
def digest(size):
    """SHA-256 of the first SIZE bytes, in hex."""
    return Sha256().feed(blocks(size)).hex()


class Sha256:
    """A sink: call it with bytes."""

    def __init__(self):
        self._hash = hashlib.sha256()
        self.length = 0

    def __call__(self, piece):
        self._hash.update(piece)
        self.length += len(piece)

    def feed(self, pieces):
        for piece in pieces:
            self(piece)
        return self

    def hex(self):
        return self._hash.hexdigest()
