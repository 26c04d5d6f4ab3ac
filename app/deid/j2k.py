"""JPEG 2000 and HTJ2K codestreams (ITU-T T.800 A, T.814): what their marker segments carry beside what decoding needs,
and the bytes behind their last tile-part.

Segments that only help (lengths of packets and tile-parts, registration, profiles) become comments when they do not
repeat the codestream. Nothing changes its length."""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from app.deid.errors import CannotClean

Frame = bytes | bytearray
Edit = tuple[int, bytes]

_SOT, _SOD, _EOC = 0xFF90, 0xFF93, 0xFFD9
_CAP, _SIZ, _COD, _COC, _TLM, _PRF, _PLM, _PLT, _CPF = 0x50, 0x51, 0x52, 0x53, 0x55, 0x56, 0x57, 0x58, 0x59
_QCD, _QCC, _RGN, _POC, _PPM, _PPT, _CRG, _COM = 0x5C, 0x5D, 0x5E, 0x5F, 0x60, 0x61, 0x63, 0x64
_PART_2 = range(0x70, 0x7C)  # T.801
_KEPT = frozenset((_CAP, _SIZ, _COD, _COC, _QCD, _QCC, _RGN, _POC, _PPM, _PPT, *_PART_2))
_TEXT_AT_END = re.compile(rb"[\x20-\x7e]{16,}[\0\r\n ]*\Z")  # once in ten millions of tile-parts these are coded data
_TAIL = 4096
_UNKNOWN = "The compressed pixel data cannot be parsed completely, so additional data in it cannot be removed."


@dataclass(frozen=True, slots=True)
class _Segment:
    marker: int
    at: int
    end: int

    @property
    def start(self) -> int:
        return self.at + 4


@dataclass(slots=True)
class _TilePart:
    """at: of its SOT; body: of its packets; end: as stated or found, which may be behind the end of the data."""

    at: int
    body: int
    end: int
    segments: list[_Segment] = field(default_factory=list)


@dataclass(slots=True)
class _Codestream:
    """end: where the last tile-part ends; has_end: EOC follows."""

    main: list[_Segment] = field(default_factory=list)
    parts: list[_TilePart] = field(default_factory=list)
    end: int = 0
    has_end: bool = False


def edits(frame: Frame) -> Iterator[Edit]:
    """Byte ranges to overwrite in a codestream. Raises CannotClean for what is none, struct.error for a cut-off
    header."""
    stream = _read(frame)
    segments = [*stream.main, *(one for part in stream.parts for one in part.segments)]
    measure = _Measure(frame, segments)
    lengths = [part.end - part.at for part in stream.parts]
    tables = [one for one in stream.main if one.marker == _TLM]
    is_told = _tile_lengths(frame, tables) == lengths
    for segment in stream.main:
        yield from _segment(frame, segment, measure, is_true=segment.marker == _TLM and is_told)
    for part in stream.parts:
        packets = _packet_lengths(frame, [one for one in part.segments if one.marker == _PLT])
        is_told = packets == part.end - part.body
        for segment in part.segments:
            yield from _segment(frame, segment, measure, is_true=segment.marker == _PLT and is_told)
        end = min(part.end, len(frame))
        if found := _TEXT_AT_END.search(frame[max(part.body, end - _TAIL) : end]):
            yield end - len(found[0]), bytes(len(found[0]))
    yield from _behind(frame, stream)


def _behind(frame: Frame, stream: _Codestream) -> Iterator[Edit]:
    rest = len(frame) - stream.end
    if rest <= 0:
        return
    # A codestream without an end gets one where there is space.
    closing = frame[stream.end : stream.end + 2] if stream.has_end else b"\xff\xd9"
    yield stream.end, (bytes(closing) + bytes(rest))[:rest] if rest > 1 else b"\0"


def _read(frame: Frame) -> _Codestream:
    stream, at = _Codestream(end=len(frame)), 2
    while at + 2 <= len(frame):
        (marker,) = struct.unpack_from(">H", frame, at)
        if marker == _SOT and at + 12 <= len(frame):
            part = _tile_part(frame, at)
            stream.parts.append(part)
            at = stream.end = part.end
        elif stream.parts or marker == _EOC:
            stream.end, stream.has_end = at, marker == _EOC
            return stream
        else:
            stream.main.append(_one_segment(frame, at, marker))
            at = stream.main[-1].end
    if not stream.parts:
        raise CannotClean(_UNKNOWN)  # cut off in its header
    return stream


def _one_segment(frame: Frame, at: int, marker: int) -> _Segment:
    (length,) = struct.unpack_from(">H", frame, at + 2)
    if not 0xFF4F <= marker < _SOT or length < 2 or at + 2 + length > len(frame):
        raise CannotClean(_UNKNOWN)
    return _Segment(marker & 0xFF, at, at + 2 + length)


def _tile_part(frame: Frame, start: int) -> _TilePart:
    (length,) = struct.unpack_from(">I", frame, start + 6)
    segments, at = [], start + 12
    while True:
        (marker,) = struct.unpack_from(">H", frame, at)
        if marker == _SOD:
            break
        segments.append(_one_segment(frame, at, marker))
        at = segments[-1].end
    body = at + 2
    if length < 14:  # up to the end of the image: no coded data have a marker above FF8F in them
        found = frame.find(b"\xff\xd9", body)
        return _TilePart(start, body, found if found >= 0 else len(frame), segments)
    if start + length < body:
        raise CannotClean(_UNKNOWN)
    return _TilePart(start, body, start + length, segments)


class _Measure:
    """How long each segment must be, by the number of components and of decompositions."""

    def __init__(self, frame: Frame, segments: list[_Segment]) -> None:
        self.frame = frame
        size = next((one for one in segments if one.marker == _SIZ), None)
        self.components: int = (
            struct.unpack_from(">H", frame, size.at + 38)[0] if size and size.end >= size.at + 40 else 0xFFFF
        )
        self.wide = 1 if self.components < 257 else 2
        self.levels = max((self._levels(one) for one in segments if one.marker in (_COD, _COC)), default=32)
        # Other wavelets have other numbers of bands.
        self.is_basic = not any(one.marker in _PART_2 for one in segments)

    def _levels(self, one: _Segment) -> int:
        at = one.start + (5 if one.marker == _COD else self.wide + 1)
        return self.frame[at] & 0x7F if at < one.end else 32

    def content(self, one: _Segment) -> int:
        """Bytes of a segment's content; all of them where the length is not known."""
        frame, start, there = self.frame, one.start, one.end - one.start
        if one.marker == _SIZ:
            return 36 + 3 * self.components
        if one.marker == _CAP:
            return 4 + 2 * int.from_bytes(frame[start : start + 4]).bit_count()
        if one.marker == _RGN:
            return self.wide + 2
        if one.marker == _POC:
            return there - there % (5 + 2 * self.wide)
        if one.marker in (_COD, _COC, _QCD, _QCC) and self.is_basic and there > self.wide:
            return self._coding(one, start)
        return there

    def _coding(self, one: _Segment, start: int) -> int:
        frame = self.frame
        if one.marker in (_COD, _COC):
            ahead = 0 if one.marker == _COD else self.wide
            style, fixed = frame[start + ahead], 10 if one.marker == _COD else self.wide + 6
            return fixed + (self._levels(one) + 1 if style & 1 else 0)
        ahead = self.wide if one.marker == _QCC else 0
        bands = 3 * self.levels + 1
        style = frame[start + ahead] & 0x1F
        return ahead + 1 + {0: bands, 1: 2, 2: 2 * bands}.get(style, 2 * bands)


def _segment(frame: Frame, one: _Segment, measure: _Measure, *, is_true: bool) -> Iterator[Edit]:
    if one.marker in _KEPT:
        used = min(measure.content(one), one.end - one.start)
        if one.start + used < one.end:
            yield one.start + used, bytes(one.end - one.start - used)
    elif one.marker in (_PRF, _CPF) and one.end - one.start <= 2:
        return
    elif not is_true:
        yield from _comment(one)


def _comment(one: _Segment) -> Iterator[Edit]:
    """A comment of nothing in the place of a segment (T.800 A.9.2)."""
    if one.end - one.start < 3:
        yield one.start, bytes(one.end - one.start)
        return
    yield one.at, struct.pack(">H", 0xFF00 | _COM)
    yield one.start, b"\0\1" + b" " * (one.end - one.start - 2)


def _tile_lengths(frame: Frame, tables: list[_Segment]) -> list[int] | None:
    """Lengths of the tile-parts in order, from TLM (T.800 A.7.1); None where it cannot be read or has bytes behind."""
    found: list[int] = []
    for one in sorted(tables, key=lambda table: frame[table.start] if table.start < table.end else 0):
        if one.end - one.start < 2:
            return None
        style = frame[one.start + 1]
        ahead, size = style >> 4 & 3, 4 if style & 0x40 else 2
        content = frame[one.start + 2 : one.end]
        if ahead == 3 or style & 0x8F or len(content) % (ahead + size):
            return None
        found += [
            int.from_bytes(content[at + ahead : at + ahead + size]) for at in range(0, len(content), ahead + size)
        ]
    return found


def _packet_lengths(frame: Frame, tables: list[_Segment]) -> int:
    """The sum of the packet lengths in PLT (T.800 A.7.3); -1 where it ends within a number."""
    total = number = 0
    is_within = False
    for one in tables:
        for byte in frame[one.start + 1 : one.end]:
            number = number << 7 | byte & 0x7F
            is_within = byte > 0x7F
            if not is_within:
                total, number = total + number, 0
    return -1 if is_within else total
