"""Steps over the elements of a data set in place: no copies, no recursion, no trust in lengths."""

import mmap
import struct
from dataclasses import dataclass, field
from typing import BinaryIO

Buffer = bytes | mmap.mmap

MAX_DEPTH = 40  # sequences in sequences; real reports stay below twenty, pydicom's recursion breaks near 150
MAX_ITEMS = 50_000  # in one top-level sequence; pydicom needs about 50 us for each, and a minute for a hostile million
BULK = 256 * 1024  # a single value larger than this is not copied into the kept header

_LONG = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
_SHORT = frozenset(
    (
        b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL",
        b"SS", b"ST", b"TM", b"UI", b"UL", b"US",
    )
)  # fmt: skip
_UNDEFINED = 0xFFFFFFFF
PADDING = 0xFFFCFFFC  # Data Set Trailing Padding has no meaning (PS3.10 7.2): the last element, without a warning
_PIXELS = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010))
_LAST_GROUPS = frozenset((0x0000, 0x7FE0, 0xFFFC))
_MISPLACED_ITEM = "an item stands outside of a sequence"
_MISPLACED_DELIMITER = "a delimiter stands where none may be"
_ITEM_LE, _ITEM_BE = b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00"

# What the index holds of the top level (see app/archive/rows.py), and what locates the pixels.
WANTED = frozenset(
    (
        0x00080005, 0x00080008, 0x00080016, 0x00080018, 0x00080020, 0x00080021, 0x00080022, 0x00080023, 0x0008002A,
        0x00080030, 0x00080031, 0x00080032, 0x00080033, 0x00080050, 0x00080060, 0x00080061, 0x00080070, 0x00080080,
        0x00080090, 0x00080201, 0x00081010, 0x00081030, 0x0008103E, 0x00081040, 0x00081048, 0x00081050, 0x00081060,
        0x00081070, 0x00081080, 0x00081090, 0x00100010, 0x00100020, 0x00100021, 0x00100030, 0x00100032, 0x00100040,
        0x00101000, 0x00101001, 0x00101010, 0x00101020, 0x00101030, 0x00102160, 0x00102180, 0x001021B0, 0x00104000,
        0x00180015, 0x00180050, 0x00180088, 0x00181000, 0x00181020, 0x00181030, 0x00181114, 0x00181164, 0x00182010,
        0x00185100, 0x0020000D, 0x0020000E, 0x00200010,
        0x00200011, 0x00200012, 0x00200013, 0x00200020, 0x00200032, 0x00200037, 0x00200052, 0x00200060, 0x00201041,
        0x00280002, 0x00280004, 0x00280006, 0x00280008, 0x00280010, 0x00280011, 0x00280030, 0x00280100, 0x00280101, 0x00280103, 0x00281050,
        0x00281051, 0x00281052, 0x00281053,
        0x00321032, 0x00321060, 0x00400244, 0x00400245, 0x00400253, 0x00400254, 0x00400275, 0x0040A491, 0x0040A493,
        0x00420010, 0x00420012, 0x7FE00001, 0x7FE00002,
    )
)  # fmt: skip


class NeedMore(Exception):
    """The header goes on beyond the bytes at hand."""


@dataclass(slots=True)
class Found:
    """Result of parsing one data set."""

    values: dict[int, bytes] = field(default_factory=dict)
    cuts: list[tuple[int, bytes, int, int, int, int]] = field(default_factory=list)
    # elements left out of the kept header: tag, vr, start, end, value offset, value length (-1: dropped for good)
    begin: int = 0
    end: int = 0  # of the last whole top-level element before the pixels
    tails: list[tuple[int, int]] = field(default_factory=list)  # whole elements after the pixels
    pixel_tag: int = 0
    pixel_vr: bytes = b""  # as the file has it; empty for implicit VR
    pixel_start: int = 0
    pixel_offset: int = 0
    pixel_length: int = 0  # as stated; -1: undefined
    fault: str = ""
    too_deep: bool = False
    crowded: bool = False
    elements: int = 0  # of the top level; the standard has some 5,000 attributes


def walk(buffer: Buffer, position: int, have: int, size: int, implicit: bool, little: bool) -> Found:
    """From `position` to the pixel data. have: bytes at hand, size: bytes of the file; raises NeedMore when the header
    goes beyond what is at hand though the file has more."""
    found = Found(begin=position, end=position)
    _elements(buffer, position, have, size, implicit, little, found)
    if found.pixel_tag and found.pixel_length >= 0:
        after = found.pixel_offset + found.pixel_length
        if after + 8 <= size:
            if have < size:
                raise NeedMore
            walk_tail(buffer, after, size, implicit, little, found)
    return found


def walk_behind(buffer: Buffer, after: int, size: int, implicit: bool, little: bool) -> Found:
    """The elements behind pixel data whose end is only known from its fragments."""
    found = Found(begin=after, end=after)
    if after + 8 <= size:
        walk_tail(buffer, after, size, implicit, little, found)
    return found


def walk_tail(buffer: Buffer, after: int, size: int, implicit: bool, little: bool, found: Found) -> None:
    """Attributes behind the pixel data, which ends at `after`: rare (private groups, padding), kept when they are whole."""
    if not any(buffer[after : after + 8]):
        return  # padding that is not an element
    more = Found(begin=after, end=after)
    _elements(buffer, after, size, size, implicit, little, more)
    if more.end > after and not more.pixel_tag:
        found.tails.append((after, more.end))
        found.elements += more.elements
        found.cuts.extend(more.cuts)
        for tag, value in more.values.items():
            found.values.setdefault(tag, value)


def _elements(buffer: Buffer, position: int, have: int, size: int, implicit: bool, little: bool, found: Found) -> None:
    """The loop. `modes` holds, per open undefined-length sequence or item, the VR mode to return to.

    One function on purpose: a call for each element makes the walk a third slower, and every object comes through here.
    What happens once or seldom is in functions of its own."""
    explicit_head = struct.Struct("<HH2sH" if little else ">HH2sH").unpack_from
    implicit_head = struct.Struct("<HHI" if little else ">HHI").unpack_from
    long_length = struct.Struct("<I" if little else ">I").unpack_from
    values, wanted = found.values, WANTED
    modes: list[bool] = []
    deepest = 0
    start, start_tag, start_vr = position, 0, b""
    while position + 8 <= have:
        value = position + 8
        if implicit:
            group, element, length = implicit_head(buffer, position)
            vr = b""
        else:
            group, element, vr, length = explicit_head(buffer, position)
            if vr in _SHORT:
                pass
            elif vr in _LONG:
                if position + 12 > have:
                    break
                length, value = long_length(buffer, position + 8)[0], position + 12
            elif group == 0xFFFE or not (vr.isalpha() and vr.isupper()):
                length, vr = long_length(buffer, position + 4)[0], b""  # an item, or an element written as implicit
        if group == 0xFFFE and not (element == 0xE000 and modes):
            if not modes or element not in (0xE00D, 0xE0DD):
                found.fault = _MISPLACED_ITEM if element == 0xE000 else _MISPLACED_DELIMITER
                return
            implicit, position = modes.pop(), value
            if not modes:
                _close(buffer, found, start_tag, start_vr, start, position, deepest, implicit, little)
                deepest = 0
            continue
        if not modes:
            start, start_tag, start_vr = position, group << 16 | element, vr
            if group in _LAST_GROUPS and _is_last(found, start_tag, vr, position, value, length):
                return
        if length == _UNDEFINED:
            modes.append(implicit)
            if group != 0xFFFE:
                deepest = max(deepest, len(modes))
                implicit = implicit or vr == b"UN"  # PS3.5 6.2.2 note 2
            position = value
            continue
        following = value + length
        if following > have:
            if following <= size:
                raise NeedMore
            found.fault = "a value is longer than what is left of the file"
            return
        if not modes:
            if start_tag in wanted and length <= BULK:
                values[start_tag] = bytes(buffer[value:following])
            if length > 600:
                _done(buffer, found, start_tag, vr, start, following, value, length, 0, implicit, little)
            found.end = following
            found.elements += 1
        position = following
    if have < size:
        raise NeedMore
    if modes or position < have:
        found.fault = "a sequence has no end" if modes else "the last element is cut off"


def _is_last(found: Found, tag: int, vr: bytes, start: int, value: int, length: int) -> bool:
    """Whether the walk ends before this top-level element: pixel data, whose place is noted, or padding."""
    if tag in _PIXELS:
        found.pixel_tag, found.pixel_start, found.pixel_offset = tag, start, value
        found.pixel_length = -1 if length == _UNDEFINED else length
        found.pixel_vr = vr
        return True
    return (tag == 0 and length == 0) or tag == PADDING


def _close(
    buffer: Buffer, found: Found, tag: int, vr: bytes, start: int, end: int, deepest: int, implicit: bool, little: bool
) -> None:
    """A top-level element of undefined length has ended."""
    if tag in WANTED and end - start <= BULK:
        found.values[tag] = bytes(buffer[start + (8 if vr == b"" else 12) : end])
    _done(buffer, found, tag, vr, start, end, 0, 0, deepest, implicit, little)


def _done(
    buffer: Buffer, found: Found, tag: int, vr: bytes, start: int, end: int, value: int, length: int, deepest: int,
    implicit: bool, little: bool,
) -> None:  # fmt: skip
    """A large or nested top-level element is whole: may it be kept?"""
    found.end = end
    item = _ITEM_LE if little else _ITEM_BE
    nested = length == 0 or vr == b"SQ" or buffer[value : value + 4] == item
    if nested and vr not in (b"OB", b"OW"):
        data = bytes(buffer[start:end])
        items = data.count(item)
        deep = deepest > 2 * MAX_DEPTH
        if not deep and items > MAX_ITEMS:
            found.crowded = True
            found.cuts.append((tag, b"SQ", start, end, start, end - start))
        elif deep or (items > MAX_DEPTH and depth(data, implicit, little, MAX_DEPTH) > MAX_DEPTH):
            found.too_deep = True
            found.cuts.append((tag, vr, start, end, 0, -1))
    elif length > BULK:
        found.cuts.append((tag, vr, start, end, value, length))


def count_items(data: bytes) -> int:
    """At least as many as there are sequence items in the data."""
    return max(data.count(_ITEM_LE), data.count(_ITEM_BE))


def is_crowded(file: BinaryIO) -> bool:
    """Whether an object has more items than can be read in acceptable time; looks at its first 64 MiB and leaves
    the file where it was. Fragments of pixel data are items too, hence the higher limit."""
    begin, count, rest = file.tell(), 0, b""
    for _ in range(64):
        piece = file.read(1 << 20)
        if not piece:
            break
        count += (rest + piece).count(_ITEM_LE) + (rest + piece).count(_ITEM_BE)
        rest = piece[-3:]
    file.seek(begin)
    return count > 4 * MAX_ITEMS


def has_more_elements(buffer: Buffer, position: int, implicit: bool, little: bool, most: int) -> bool:
    """Whether more than `most` elements precede the pixel data, those in items and the items themselves included.

    A sequence in a value of unknown VR (UN) counts by its length. Damage ends the counting."""
    order = "<" if little else ">"
    explicit_head = struct.Struct(order + "HH2sH").unpack_from
    implicit_head = struct.Struct(order + "HHI").unpack_from
    item, size, count = _ITEM_LE if little else _ITEM_BE, len(buffer), 0
    modes: list[bool] = []
    while position + 12 <= size and count <= most:
        group, element, length = implicit_head(buffer, position)
        value, vr = position + 8, b""
        if group == 0x7FE0 and element in (0x0008, 0x0009, 0x0010) and not modes:
            break
        if group != 0xFFFE and not implicit:
            _, _, vr, short = explicit_head(buffer, position)
            if vr in _LONG:
                (length,) = struct.unpack_from(order + "I", buffer, position + 8)
                value = position + 12
            elif vr in _SHORT:
                length = short
        count += 1
        if group == 0xFFFE and element != 0xE000:
            implicit = modes.pop() if modes else implicit
            position = value
        elif length == _UNDEFINED:
            modes.append(implicit)
            implicit, position = implicit or vr == b"UN", value
        elif group == 0xFFFE or vr == b"SQ" or (not vr and buffer[value : value + 4] == item):
            position = value
        else:
            count += length // 16 if vr == b"UN" and buffer[value : value + 4] == item else 0
            position = value + length
    return count > most


def depth(data: bytes, implicit: bool, little: bool, limit: int) -> int:
    """Nesting depth of sequences, counted no further than limit + 1; also in those of defined length."""
    order = "<" if little else ">"
    explicit_head = struct.Struct(order + "HH2sH").unpack_from
    implicit_head = struct.Struct(order + "HHI").unpack_from
    item = _ITEM_LE if little else _ITEM_BE
    position, end, deepest = 0, len(data), 0
    open_ends: list[tuple[int, bool, bool]] = []  # end (or -1), mode to return to, is a sequence
    sequences = 0
    while position + 8 <= end:
        while open_ends and open_ends[-1][0] >= 0 and position >= open_ends[-1][0]:
            _, implicit, is_sequence = open_ends.pop()
            sequences -= is_sequence
        group, element, length = implicit_head(data, position)
        value, vr = position + 8, b""
        if group == 0xFFFE:
            if element != 0xE000:
                if open_ends:
                    _, implicit, is_sequence = open_ends.pop()
                    sequences -= is_sequence
                position = value
                continue
            open_ends.append((-1 if length == _UNDEFINED else value + length, implicit, False))
            position = value
            continue
        if not implicit:
            _, _, vr, short = explicit_head(data, position)
            if vr in _LONG:
                if position + 12 > end:
                    break
                length, value = (
                    int.from_bytes(data[position + 8 : position + 12], "little" if little else "big"),
                    position + 12,
                )
            elif vr.isalpha() and vr.isupper():
                length = short
        if (
            length == _UNDEFINED
            or vr == b"SQ"
            or (length >= 8 and vr in (b"", b"UN") and data[value : value + 4] == item)
        ):
            open_ends.append((-1 if length == _UNDEFINED else value + length, implicit, True))
            sequences += 1
            deepest = max(deepest, sequences)
            if deepest > limit:
                return deepest
            implicit = implicit or vr == b"UN"
            position = value
        else:
            position = value + length
    return deepest


_ITEMS = 8  # of one sequence that are looked at: more have no place in an index column


def values_in_items(value: bytes, wanted: int, implicit: bool, little: bool) -> list[bytes]:
    """For each item of a sequence's value the element `wanted` of it, b"" where it has none; nested items are passed over."""
    order = "<" if little else ">"
    implicit_head = struct.Struct(order + "HHI").unpack_from
    explicit_head = struct.Struct(order + "HH2sH").unpack_from
    found: list[bytes] = []
    position, end, depth = 0, len(value), 0
    while position + 8 <= end:
        group, element, length = implicit_head(value, position)
        start = position + 8
        if group == 0xFFFE:
            if depth == 0 and element == 0xE000:
                if len(found) == _ITEMS:
                    break
                found.append(b"")
            depth = max(0, depth - (element == 0xE0DD))
            position = start
            continue
        if not implicit:
            _, _, vr, short = explicit_head(value, position)
            if vr in _LONG:
                length, start = (
                    int.from_bytes(value[position + 8 : position + 12], "little" if little else "big"),
                    position + 12,
                )
            elif vr in _SHORT:
                length = short
        if group << 16 | element == wanted and depth == 0 and found and not found[-1]:
            found[-1] = value[start : start + length]
        depth += length == _UNDEFINED
        position = start if length == _UNDEFINED else start + length
    return found
