"""Mutations of bytes: by bit, by length field, by piece. One seed gives one row of them, so a find can be repeated."""

import random
import struct
from collections.abc import Callable, Sequence

_ODD = (0, 1, 2, 5, 6, 7, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def _flip(chance: random.Random, data: bytearray) -> None:
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(len(data))
        data[at] ^= 1 << chance.randrange(8)


def _overwrite(chance: random.Random, data: bytearray) -> None:
    """A number of two or four bytes, of either byte order, that means something at a border."""
    form = chance.choice((">H", "<H", ">I", "<I"))
    size = struct.calcsize(form)
    if len(data) >= size:
        struct.pack_into(form, data, chance.randrange(len(data) - size + 1), chance.choice(_ODD) & (256**size - 1))


def _cut(chance: random.Random, data: bytearray) -> None:
    del data[chance.randrange(len(data)) :]


def _remove(chance: random.Random, data: bytearray) -> None:
    at = chance.randrange(len(data))
    del data[at : at + chance.randint(1, 64)]


def _double(chance: random.Random, data: bytearray) -> None:
    at = chance.randrange(len(data))
    piece = data[at : at + chance.randint(1, 256)]
    data[at:at] = piece * chance.randint(1, 4)


def _noise(chance: random.Random, data: bytearray) -> None:
    at = chance.randrange(len(data) + 1)
    data[at:at] = chance.randbytes(chance.randint(1, 64))


def _fill(chance: random.Random, data: bytearray) -> None:
    at = chance.randrange(len(data))
    size = min(chance.randint(1, 64), len(data) - at)
    data[at : at + size] = bytes([chance.choice((0, 0x20, 0x5C, 0x5E, 0xFF, 0xFE))]) * size


_WAYS: Sequence[Callable[[random.Random, bytearray], None]] = (_flip, _overwrite, _cut, _remove, _double, _noise, _fill)


def mutated(chance: random.Random, data: bytes, most: int = 4) -> bytes:
    """The bytes with one to `most` mutations; never the same as before unless they were empty."""
    found = bytearray(data)
    for _ in range(chance.randint(1, most)):
        if found:
            chance.choice(_WAYS)(chance, found)
    return bytes(found)
