"""The table of contents of a zip file (its central directory, APPNOTE 4.3.12 to 4.3.16), counted entry by entry before anything
keeps it: Python's zipfile reads all of it into memory and believes no count.

The end record is looked for as zipfile does, so that both mean the same table."""

import struct
from typing import IO

_END, _LOCATOR, _END64, _ENTRY = b"PK\x05\x06", b"PK\x06\x07", b"PK\x06\x06", b"PK\x01\x02"
_END_SIZE, _LOCATOR_SIZE, _END64_SIZE, _ENTRY_SIZE = 22, 20, 56, 46
_COMMENT = 1 << 16
_EACH = 320  # bytes an entry may have on average: 46, a long path, and what programs add
_LEAST = 1 << 20


class TooManyEntries(Exception):
    """More entries than allowed."""


class TooLong(Exception):
    """A table larger than the allowed number of entries needs: their names or notes are very long."""


def check(file: IO[bytes], most: int) -> None:
    """Raises TooMany, TooLong, or ValueError for a file that has no readable table."""
    start, size = _table(file)
    file.seek(start)
    count, left = 0, size
    while left > 0:
        head = file.read(_ENTRY_SIZE)
        if len(head) != _ENTRY_SIZE or not head.startswith(_ENTRY):
            raise ValueError("no entry where the table says one is")
        rest = sum(struct.unpack_from("<3H", head, 28))
        count, left = count + 1, left - _ENTRY_SIZE - rest
        if count > most:
            raise TooManyEntries
        file.seek(rest, 1)
    if size > max(_LEAST, most * _EACH):
        raise TooLong


def _table(file: IO[bytes]) -> tuple[int, int]:
    """Offset and length of the table."""
    size = file.seek(0, 2)
    tail_start = max(0, size - _END_SIZE - _COMMENT)
    file.seek(tail_start)
    tail = file.read()
    at = len(tail) - _END_SIZE
    if at < 0:
        raise ValueError("too short")
    if not (tail[at:].startswith(_END) and tail.endswith(b"\0\0")):
        at = tail.rfind(_END)
    if at < 0 or len(tail) - at < _END_SIZE:
        raise ValueError("no end record")
    end = tail_start + at
    length = int(struct.unpack_from("<I", tail, at + 12)[0])
    wide = _wide(file, end)
    if wide is not None:
        end, length = end - _LOCATOR_SIZE - _END64_SIZE, wide
    if length > end:
        raise ValueError("the table is longer than the file")
    return end - length, length


def _wide(file: IO[bytes], end: int) -> int | None:
    """The table's length by the zip64 end record; None where there is none. ValueError where it lies elsewhere than right
    before its locator: programs differ in which of two they would believe."""
    if end < _LOCATOR_SIZE:
        return None
    file.seek(end - _LOCATOR_SIZE)
    locator = file.read(_LOCATOR_SIZE)
    if not locator.startswith(_LOCATOR):
        return None
    file.seek(max(0, end - _LOCATOR_SIZE - _END64_SIZE))
    record = file.read(_END64_SIZE)
    if end < _LOCATOR_SIZE + _END64_SIZE or not record.startswith(_END64):
        raise ValueError("no zip64 end record before its locator")
    return int(struct.unpack_from("<Q", record, 40)[0])
