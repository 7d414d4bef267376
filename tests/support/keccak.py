# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Keccak-256 for tests, by the letter of FIPS 202: with the standard's padding it is SHA3-256, which
# hashlib has, and so is checked.

import hashlib

RATE, MASK = 136, (1 << 64) - 1
OFFSETS = [[0, 36, 3, 41, 18], [1, 44, 10, 45, 2], [62, 6, 43, 15, 61], [28, 55, 25, 21, 56], [27, 20, 39, 8, 14]]


def _constants():
    bits, state = [], 1
    for _ in range(255):
        bits.append(state & 1)
        state = state << 1 ^ (0x171 if state & 0x80 else 0)
    return [sum(bits[(j + 7 * i) % 255] << (2 ** j - 1) for j in range(7)) for i in range(24)]


def _turn(word, by):
    return (word << by | word >> (64 - by)) & MASK


def _permute(a):
    for constant in _constants():
        c = [a[x][0] ^ a[x][1] ^ a[x][2] ^ a[x][3] ^ a[x][4] for x in range(5)]
        d = [c[x - 1] ^ _turn(c[(x + 1) % 5], 1) for x in range(5)]
        b = [[0] * 5 for _ in range(5)]
        for x in range(5):
            for y in range(5):
                b[y][(2 * x + 3 * y) % 5] = _turn(a[x][y] ^ d[x], OFFSETS[x][y])
        a = [[b[x][y] ^ (~b[(x + 1) % 5][y] & b[(x + 2) % 5][y]) for y in range(5)] for x in range(5)]
        a[0][0] ^= constant
    return a


def _hash(data, first):
    padded = bytearray(data + bytes([first]))
    padded += bytes(-len(padded) % RATE)
    padded[-1] |= 0x80
    a = [[0] * 5 for _ in range(5)]
    for at in range(0, len(padded), RATE):
        for i in range(RATE // 8):
            a[i % 5][i // 5] ^= int.from_bytes(padded[at + 8 * i: at + 8 * i + 8], "little")
        a = _permute(a)
    return b"".join(a[i % 5][i // 5].to_bytes(8, "little") for i in range(4))


def keccak256(*parts):
    data = b"".join(parts)
    assert _hash(data, 6) == hashlib.sha3_256(data).digest()
    return _hash(data, 1)
