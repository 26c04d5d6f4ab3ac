"""The cursor over the elements of an encoded data set (PS3.5 chapter 7), which every reader of bytes here uses: in place,
without copies, without recursion, without trust in lengths.

How the length of an element is written: with a VR of `LONG` in four bytes after two reserved ones, with another VR in two
bytes; an element whose VR is not two capital letters is taken as written in implicit VR, as some senders mix both. Items
and delimiters have no VR in any transfer syntax."""

import mmap
import struct
from collections.abc import Iterator, Sequence

Buffer = bytes | mmap.mmap  # whose slices are bytes

LONG = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
SHORT = frozenset(
    (
        b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL",
        b"SS", b"ST", b"TM", b"UI", b"UL", b"US",
    )
)  # fmt: skip
UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
ITEM_BYTES = b"\xff\xfe\xe0\x00", b"\xfe\xff\x00\xe0"  # by the byte order: big endian, little endian
PIXELS = 0x7FE00008, 0x7FE00009, 0x7FE00010
_DELIMITERS = 0xFFFE  # the group of items and delimiters
_ENDS = (0xE00D, 0xE0DD)

Element = tuple[int, bytes, int, int, int, int]
"""Tag; VR as written, b"" where none is; first byte; first byte of the value; length as written; first byte behind the
element. The value of an element of undefined length ends with the 8 bytes of its delimiter."""

_HEADS = tuple(  # by the byte order too: of an element in explicit VR, in implicit VR, a length of four bytes
    tuple(struct.Struct(order + form).unpack_from for form in ("HH2sH", "HHI", "I")) for order in "><"
)
_WRITTEN = tuple(tuple(struct.Struct(order + form).pack for form in ("HH2sH", "HH2sHI", "HHI")) for order in "><")
_TOO_LONG = "a value is longer than what is left of the file"
_CUT = "the last element is cut off"
_PADDED_WITH_ZERO = frozenset((b"UI", b"OB", b"UN"))
_MISPLACED = "a delimiter stands where none may be"


class DamagedElements(ValueError):
    """The bytes do not continue as a data set; the message says what is wrong, without a value."""


class Cut(DamagedElements):
    """The next value is longer than the available bytes. reaches: where the value would end, 0 where that is not
    known."""

    def __init__(self, message: str, reaches: int = 0) -> None:
        super().__init__(message)
        self.reaches = reaches


class Cursor:
    """Iterates over the elements of one level, from `at` to `end`: sequences and items of undefined length are stepped
    over as a whole.

    last: tags in ascending order that end the iteration; such an element is in `reached` afterwards, its value, which may be
    cut off or of undefined length, not looked at. closing: the level is an item or a sequence of undefined length and ends at its delimiter.
    Raises Damaged, where iterated, after the elements ahead of the damage."""

    levels = 0  # of open sequences and items within the last element of undefined length, itself included
    reached: Element | None = None
    stop = -1  # of a level with `closing`, after the iteration: where its delimiter begins

    def __init__(
        self, data: Buffer | memoryview, at: int, end: int, implicit: bool, little: bool = True, *, last: Sequence[int] = (),
        closing: bool = False,
    ) -> None:  # fmt: skip
        self.data, self.at, self.end, self.implicit, self.little = data, at, end, implicit, little
        self.last, self.closing = last, closing

    def __iter__(self) -> Iterator[Element]:
        """One function although it is long: every object passes through it, and a call for each element costs a third."""
        data, position, end, implicit, last = self.data, self.at, self.end, self.implicit, self.last
        (explicit_head, implicit_head, four), whole, short = _HEADS[self.little], end - 8, SHORT
        lowest = last[0] if last else 0xFFFE0000
        modes: list[bool] = []  # per open sequence or item of undefined length: whether what is around it is implicit
        tag, outer_vr, start, begin, levels = 0, b"", position, position, 0
        while position <= whole:
            value = position + 8
            if implicit:
                group, element, length = implicit_head(data, position)
                vr = b""
            else:
                group, element, vr, length = explicit_head(data, position)
                if vr in short:
                    pass
                elif vr in LONG:
                    if position + 12 > end:
                        break
                    length, value = four(data, position + 8)[0], position + 12
                elif group == 0xFFFE or not (vr.isalpha() and vr.isupper()):
                    length, vr = four(data, position + 4)[0], b""
            if modes:
                if group == 0xFFFE:
                    if element == 0xE000:
                        if vr:
                            length, vr, value = four(data, position + 4)[0], b"", position + 8
                    elif element in _ENDS:
                        implicit, position = modes.pop(), position + 8
                        if not modes:
                            self.levels, levels = levels, 0
                            yield tag, outer_vr, start, begin, UNDEFINED, position
                        continue
                    else:
                        raise DamagedElements(_MISPLACED)
                if length == UNDEFINED:
                    modes.append(implicit)
                    levels = max(levels, len(modes))
                    implicit, position = implicit or vr == b"UN", value
                    continue
                position = value + length
                if position > end:
                    raise Cut(_TOO_LONG, position)
                continue
            tag, start = group << 16 | element, position
            if tag >= lowest:
                if group == 0xFFFE:
                    self._ends(element, position)
                    return
                if tag in last:
                    self.reached = tag, vr, position, value, length, value + length
                    return
            if length == UNDEFINED:
                outer_vr, begin, levels = vr, value, 1
                modes.append(implicit)
                implicit, position = implicit or vr == b"UN", value  # PS3.5 6.2.2 note 2
                continue
            position = value + length
            if position > end:
                raise Cut(_TOO_LONG, position)
            yield tag, vr, start, value, length, position
        if modes or self.closing:
            raise Cut("a sequence has no end")
        if position < end:
            raise Cut(_CUT)

    def _ends(self, element: int, position: int) -> None:
        """The level ends at a delimiter: its own, or one that may not be there."""
        if not self.closing or element not in _ENDS:
            raise DamagedElements("an item stands outside of a sequence" if element == 0xE000 else _MISPLACED)
        self.stop = position


def items(data: Buffer, at: int, end: int, implicit: bool, little: bool = True) -> Iterator[tuple[int, int]]:
    """Where the content of each item of a sequence's value begins and ends; the value may go on behind a delimiter. Raises
    Damaged."""
    _, head, _ = _HEADS[little]
    while at < end:
        if at + 8 > end:
            raise Cut("an item is cut off")
        group, element, length = head(data, at)
        at += 8
        if group != _DELIMITERS or element not in (0xE000, 0xE0DD):
            raise DamagedElements("a sequence contains something other than items")
        if element == 0xE0DD:
            return
        if length == UNDEFINED:
            level = Cursor(data, at, end, implicit, little, closing=True)
            for _ in level:
                pass
            yield at, level.stop
            at = level.stop + 8
        else:
            if at + length > end:
                raise Cut("an item is longer than its sequence", at + length)
            yield at, at + length
            at += length


def descend(data: Buffer, at: int, end: int, implicit: bool, little: bool = True) -> Iterator[tuple[int, int]]:
    """Tag and level of every element, item and delimiter, also within sequences of defined length and those that are
    written as UN. level: sequences open behind its head. Ends at damage without a word."""
    (explicit_head, implicit_head, four), whole, short = _HEADS[little], end - 8, SHORT
    item, never = ITEM_BYTES[little], end + 1
    outer: list[tuple[int, bool, int]] = []  # of what is around: its end, implicit VR, level
    position, stop, level = at, never, 0
    while position <= whole:
        while position >= stop:
            stop, implicit, level = outer.pop()
        value = position + 8
        if implicit:
            group, element, length = implicit_head(data, position)
            vr = b""
        else:
            group, element, vr, length = explicit_head(data, position)
            if vr in short and group != 0xFFFE:
                position = value + length
                yield group << 16 | element, level
                continue
            if vr in LONG:
                if position + 12 > end:
                    break
                length, value = four(data, position + 8)[0], position + 12
            elif group == 0xFFFE or not (vr.isalpha() and vr.isupper()):
                length, vr = four(data, position + 4)[0], b""
        position = value
        if group == 0xFFFE:
            if element == 0xE000:
                length, position = four(data, value - 4)[0], value
                outer.append((stop, implicit, level))
                stop = never if length == UNDEFINED else value + length
            elif outer:
                stop, implicit, level = outer.pop()
        elif (
            length == UNDEFINED
            or vr == b"SQ"
            or (length >= 8 and (not vr or vr == b"UN") and data[value : value + 4] == item)
        ):
            outer.append((stop, implicit, level))
            stop, implicit, level = never if length == UNDEFINED else value + length, implicit or vr == b"UN", level + 1
        else:
            position = value + length
        yield group << 16 | element, level


def read_head(data: Buffer, at: int, implicit: bool, little: bool = True) -> tuple[int, bytes, int, int]:
    """Tag, VR (b"" where none is written), length and first byte of the value of the one element that begins at `at`,
    where 8 bytes have to be. Raises Cut where the length of a long one is not there."""
    (explicit_head, implicit_head, four) = _HEADS[little]
    group, element, length = implicit_head(data, at)
    tag, vr, value = group << 16 | element, b"", at + 8
    if not implicit and group != 0xFFFE:
        _, _, vr, short = explicit_head(data, at)
        if vr in LONG:
            if at + 12 > len(data):
                raise Cut(_CUT)
            return tag, vr, four(data, at + 8)[0], at + 12
        if vr.isalpha() and vr.isupper():
            return tag, vr, short, value
    return tag, b"", length, value


def encode(tag: int, vr: bytes, value: bytes, implicit: bool, little: bool = True) -> bytes:
    """One element or item; its value is padded to an even length with a zero for UI and bytes, else with a space (PS3.5
    6.2). vr: b"" for an item."""
    group, element = tag >> 16, tag & 0xFFFF
    if len(value) % 2:
        value += b"\0" if vr in _PADDED_WITH_ZERO else b" "
    in_two, in_four, without_vr = _WRITTEN[little]
    if implicit or group == 0xFFFE:
        return without_vr(group, element, len(value)) + value
    if vr in LONG:
        return in_four(group, element, vr, 0, len(value)) + value
    return in_two(group, element, vr, len(value)) + value
