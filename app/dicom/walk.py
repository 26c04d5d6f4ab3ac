"""Values that the archive reads from a data set in one pass over its elements, and those that may be kept of it."""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import BinaryIO

from app.dicom.elements import (
    ITEM_BYTES,
    PIXELS,
    UNDEFINED,
    Buffer,
    Cursor,
    Cut,
    DamagedElements,
    Element,
    descend,
    items,
)

MAX_DEPTH = 40  # sequences in sequences; real reports stay below twenty, pydicom's recursion breaks near 150
MAX_ITEMS = 50_000  # in one top-level sequence; pydicom needs about 50 us for each, and a minute for a hostile million
BULK = 256 * 1024  # a single value larger than this is not copied into the kept header

PADDING = 0xFFFCFFFC  # Data Set Trailing Padding (PS3.10 7.2) has no meaning; it ends the walk without a warning
_LAST = (*PIXELS, PADDING)

# Top-level attributes of the index (see app/archive/rows.py), and those that locate the pixels.
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
class ElementFindings:
    """Result of parsing one data set."""

    values: dict[int, bytes] = field(default_factory=dict)
    cuts: list[tuple[int, bytes, int, int, int, int]] = field(default_factory=list)
    # elements left out of the kept header: tag, vr, start, end, value offset, value length (-1: dropped for good)
    begin: int = 0
    end: int = 0  # of the last whole top-level element before the pixels
    tails: list[tuple[int, int]] = field(default_factory=list)  # whole elements after the pixels
    pixel_tag: int = 0
    pixel_vr: bytes = b""  # as the file has it; empty for implicit VR
    pixel_offset: int = 0
    pixel_length: int = 0  # as stated; -1: undefined
    fault: str = ""
    too_deep: bool = False
    crowded: bool = False
    elements: int = 0  # of the top level; the standard has some 5,000 attributes


def walk(buffer: Buffer, position: int, have: int, size: int, implicit: bool, little: bool) -> ElementFindings:
    """From `position` to the pixel data. have: bytes at hand, size: bytes of the file; raises NeedMore when the header
    goes beyond what is at hand though the file has more."""
    found = ElementFindings(begin=position, end=position)
    _elements(buffer, position, have, size, implicit, little, found)
    if found.pixel_tag and found.pixel_length >= 0:
        after = found.pixel_offset + found.pixel_length
        if after + 8 <= size:
            if have < size:
                raise NeedMore
            walk_tail(buffer, after, size, implicit, little, found)
    return found


def walk_behind(buffer: Buffer, after: int, size: int, implicit: bool, little: bool) -> ElementFindings:
    """The elements behind pixel data whose end is only known from its fragments."""
    found = ElementFindings(begin=after, end=after)
    if after + 8 <= size:
        walk_tail(buffer, after, size, implicit, little, found)
    return found


def walk_tail(buffer: Buffer, after: int, size: int, implicit: bool, little: bool, found: ElementFindings) -> None:
    """Attributes behind the pixel data, which ends at `after`: rare (private groups, padding), kept when they are whole."""
    if not any(buffer[after : after + 8]):
        return  # padding that is not an element
    more = ElementFindings(begin=after, end=after)
    _elements(buffer, after, size, size, implicit, little, more)
    if more.end > after and not more.pixel_tag:
        found.tails.append((after, more.end))
        found.elements += more.elements
        found.cuts.extend(more.cuts)
        for tag, value in more.values.items():
            found.values.setdefault(tag, value)


def _elements(
    buffer: Buffer, position: int, have: int, size: int, implicit: bool, little: bool, found: ElementFindings
) -> None:
    """The elements of the top level, up to the pixel data."""
    values, wanted = found.values, WANTED
    cursor = Cursor(buffer, position, have, implicit, little, last=_LAST)
    following, count = position, 0
    try:
        for tag, vr, start, value, length, following in cursor:
            count += 1
            if tag in wanted and length <= BULK:
                values[tag] = buffer[value:following]
            elif not tag and not length:
                following, count = start, count - 1
                break  # zeros that are not an element
            if length > 600:
                _keep_or_cut(buffer, found, cursor, (tag, vr, start, value, length, following))
        else:
            if cursor.reached is not None:
                _note_pixels(found, cursor.reached)
            elif have < size:
                raise NeedMore
    except Cut as fault:
        if have < size and fault.reaches <= size:
            raise NeedMore from None
        found.fault = str(fault)
    except DamagedElements as fault:
        found.fault = str(fault)
    found.end, found.elements = following, count


def _note_pixels(found: ElementFindings, element: Element) -> None:
    """The last element of the walk: pixel data, whose place is noted, or padding."""
    if element[0] != PADDING:
        found.pixel_tag, found.pixel_vr, _, found.pixel_offset, length, _ = element
        found.pixel_length = -1 if length == UNDEFINED else length


def _keep_or_cut(buffer: Buffer, found: ElementFindings, cursor: Cursor, element: Element) -> None:
    """A large or nested top-level element is whole: may it be kept?"""
    tag, vr, start, value, length, end = element
    item = ITEM_BYTES[cursor.little]
    if length == UNDEFINED and tag in WANTED and end - value <= BULK:
        found.values[tag] = buffer[value:end]
    is_nested = length == UNDEFINED or vr == b"SQ" or buffer[value : value + 4] == item
    if is_nested and vr not in (b"OB", b"OW"):
        data = buffer[start:end]
        items = data.count(item)
        is_deep = length == UNDEFINED and cursor.levels > 2 * MAX_DEPTH
        if not is_deep and items > MAX_ITEMS:
            found.crowded = True
            found.cuts.append((tag, b"SQ", start, end, start, end - start))
        elif is_deep or (items > MAX_DEPTH and depth(data, cursor.implicit, cursor.little, MAX_DEPTH) > MAX_DEPTH):
            found.too_deep = True
            found.cuts.append((tag, vr, start, end, 0, -1))
    elif BULK < length < UNDEFINED:
        found.cuts.append((tag, vr, start, end, value, length))


def count_items(data: bytes) -> int:
    """At least as many as there are sequence items in the data."""
    return max(data.count(item) for item in ITEM_BYTES)


def is_crowded(file: BinaryIO) -> bool:
    """Whether an object has more items than can be read in acceptable time; looks at its first 64 MiB and leaves
    the file where it was. Fragments of pixel data are items too, hence the higher limit."""
    begin, count, rest = file.tell(), 0, b""
    for _ in range(64):
        piece = file.read(1 << 20)
        if not piece:
            break
        count += sum((rest + piece).count(item) for item in ITEM_BYTES)
        rest = piece[-3:]
    file.seek(begin)
    return count > 4 * MAX_ITEMS


def has_more_elements(buffer: Buffer, position: int, implicit: bool, little: bool, most: int) -> bool:
    """Whether more than `most` elements precede the pixel data, those in items and the items themselves included.
    Damage ends the counting."""
    for count, (tag, level) in enumerate(descend(buffer, position, len(buffer), implicit, little), 1):
        if level == 0 and tag in PIXELS:
            return False
        if count > most:
            return True
    return False


def depth(data: bytes, implicit: bool, little: bool, limit: int) -> int:
    """Nesting depth of sequences, counted no further than limit + 1; also in those of defined length."""
    deepest = 0
    for _, level in descend(data, 0, len(data), implicit, little):
        if level > deepest:
            deepest = level
            if deepest > limit:
                break
    return deepest


_ITEMS = 8  # of one sequence that are looked at: more have no place in an index column


def values_in_items(value: bytes, wanted: int, implicit: bool, little: bool) -> list[bytes]:
    """For each item of a sequence's value the element `wanted` of it, b"" where it has none; nested items are passed over."""
    found: list[bytes] = []
    with suppress(DamagedElements):
        for start, stop in items(value, 0, len(value), implicit, little):
            if len(found) == _ITEMS:
                break
            found.append(b"")
            for tag, _, _, begin, length, following in Cursor(value, start, stop, implicit, little):
                if tag == wanted and length != UNDEFINED:
                    found[-1] = value[begin:following]
                    break
    return found
