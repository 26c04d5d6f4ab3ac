"""Some attributes of a kept header, without reading the rest of it: a query that asks for one of a hundred attributes in
a thousand objects must not pay for all of them."""

import struct
from collections.abc import Iterable
from io import BytesIO
from typing import TYPE_CHECKING

from app.dicom import kept
from app.dicom.damage import DAMAGE

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_LONG = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
_UNDEFINED = 0xFFFFFFFF
_CHARACTER_SET = 0x00080005


class _Unsure(Exception):
    """These bytes are better read by pydicom."""


def pick(raw: bytes, tags: Iterable[int]) -> "Dataset":
    """A data set of these attributes and the character set, as far as the header has them undamaged.

    raw: as `kept.pack` made it. Never raises for what a stranger wrote."""
    from pydicom.dataset import Dataset

    from app.dicom.reading import for_display, read_dataset

    wanted = {*tags, _CHARACTER_SET}
    found = Dataset()
    try:
        implicit, little, data = kept.open_data(raw)
        try:
            if not little:
                raise _Unsure
            whole = read_dataset(BytesIO(_pieces(data, implicit, wanted)), implicit, True)
        except (_Unsure, *DAMAGE):
            whole = kept.unpack(raw)
    except DAMAGE:
        return found
    for_display(whole)
    for tag in sorted(wanted):
        if tag in whole:
            try:
                found[tag] = whole[tag]
            except DAMAGE:
                continue
    return found


def _pieces(data: bytes, implicit: bool, wanted: set[int]) -> bytes:
    """The bytes of the wanted top-level elements, little endian. Raises _Unsure for what does not look as it should."""
    pieces: list[bytes] = []
    at, end, depth, begin, last = 0, len(data), 0, -1, max(wanted)
    while at < end:
        if end - at < 8:
            raise _Unsure
        start = at
        group, element = struct.unpack_from("<HH", data, at)
        tag = group << 16 | element
        if depth == 0 and tag > last:
            break
        length, at = _length(data, at, end, implicit or group == 0xFFFE)
        if group == 0xFFFE:
            depth, at = _delimiter(element, length, depth, at)
        elif length == _UNDEFINED:
            if not implicit and data[start + 4 : start + 6] != b"SQ":
                raise _Unsure  # what it holds is written in another way
            begin = start if depth == 0 and tag in wanted else begin
            depth += 1
        else:
            at += length
            if depth == 0 and tag in wanted:
                pieces.append(data[start:at])
        if at > end:
            raise _Unsure
        if begin >= 0 and depth == 0:
            pieces.append(data[begin:at])
            begin = -1
    if depth:
        raise _Unsure
    return b"".join(pieces)


def _length(data: bytes, at: int, end: int, implicit: bool) -> tuple[int, int]:
    """Length and place of a value."""
    if implicit:
        return struct.unpack_from("<I", data, at + 4)[0], at + 8
    code = data[at + 4 : at + 6]
    if not (code.isalpha() and code.isupper()):
        raise _Unsure
    if code not in _LONG:
        return struct.unpack_from("<H", data, at + 6)[0], at + 8
    if end - at < 12:
        raise _Unsure
    return struct.unpack_from("<I", data, at + 8)[0], at + 12


def _delimiter(element: int, length: int, depth: int, at: int) -> tuple[int, int]:
    """Depth and place after an item's or sequence's beginning or end; whole items are stepped over."""
    if depth == 0:
        raise _Unsure
    if element == 0xE000:
        return depth, at if length == _UNDEFINED else at + length
    return depth - 1 if element == 0xE0DD else depth, at
