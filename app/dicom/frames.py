"""Where each frame of an object's pixel data lies in its file.

Native: arithmetic (PS3.5 8.1.1). Encapsulated: the fragments are walked once (PS3.5 A.4) and cut into frames by the
Extended Offset Table, the Basic Offset Table, one fragment a frame, or the codecs' start marks, whichever holds true."""

import struct
import sys
import zlib
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise

from app.kit.phrases import Phrase, phrase

Read = Callable[[int, int], bytes]  # (offset, length) -> bytes, fewer at the end of the file

_HEAD = struct.Struct("<4sQII")
_WINDOW = 64 * 1024
_MOST = 4_000_000  # fragments; a larger one is not a real object
_STARTS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cJXL ", b"\xff\x0a")


class BadFrames(ValueError):
    """The frames cannot be located; the message gives the reason."""


@dataclass(frozen=True)
class FrameTable:
    """Fragments follow one another, with 8 bytes of item header between; `firsts` are the first fragments of frames.

    offset: of the first fragment's value in the file; lengths: of every fragment's value. As the index gives it, a
    fragment of a frame of its own takes 16 bytes of memory."""

    offset: int
    lengths: Sequence[int]
    firsts: Sequence[int]

    @cached_property
    def _starts(self) -> Sequence[int]:
        """Where each fragment's value begins."""
        return array("Q", accumulate((length + 8 for length in self.lengths), initial=self.offset))

    @property
    def count(self) -> int:
        return len(self.firsts)

    @property
    def end(self) -> int:
        """Where the last fragment's value ends."""
        return self._starts[len(self.lengths) - 1] + self.lengths[-1]

    def locate(self, frame: int) -> list[tuple[int, int]]:
        """(offset, length) of the fragments of a frame, counted from 1."""
        first = self.firsts[frame - 1]
        last = self.firsts[frame] if frame < len(self.firsts) else len(self.lengths)
        return list(zip(self._starts[first:last], self.lengths[first:last], strict=True))

    def pack(self) -> bytes:
        """Compact bytes for the index."""
        body = struct.pack(f"<{len(self.lengths)}I{len(self.firsts)}I", *self.lengths, *self.firsts)
        return zlib.compress(_HEAD.pack(b"FRT1", self.offset, len(self.lengths), len(self.firsts)) + body, 1)


def unpack(packed: bytes) -> FrameTable:
    raw = zlib.decompress(packed)
    magic, offset, fragments, frames = _HEAD.unpack_from(raw, 0)
    if magic != b"FRT1":
        raise ValueError("not a frame table")
    numbers = array("I", raw[_HEAD.size : _HEAD.size + 4 * (fragments + frames)])
    if sys.byteorder == "big":
        numbers.byteswap()
    return FrameTable(offset, numbers[:fragments], numbers[fragments:])


@dataclass(frozen=True, slots=True)
class Native:
    """How native frames lie in the value of Pixel Data (PS3.5 8.1.1).

    bits: of one frame; stride: bits from the start of one frame to that of the next; count: frames that are there, the
    last of them perhaps only in part; length: bytes of the value."""

    bits: int
    stride: int
    count: int
    length: int

    @property
    def stored_frames(self) -> int:
        """How many frames have a first byte in the value, whatever number is stated."""
        return -(-self.length * 8 // self.stride) if self.bits > 0 and self.length > 0 else 0

    def span(self, frame: int) -> tuple[int, int, int, int]:
        """(offset, length, first bit, missing) of frame `frame` (from 1), in bytes of the value: what is there of it, and
        how many bytes of it are not. The first bit is not 0 only for single-bit frames that do not end on a byte.

        Raises BadFrames when there is nothing of the frame."""
        first = (frame - 1) * self.stride
        begin, end = first // 8, -(-(first + self.bits) // 8)
        if self.bits <= 0 or frame < 1 or begin >= self.length:
            raise BadFrames("The pixel data ends before this frame.")
        there = min(end, self.length)
        return begin, there - begin, first % 8, end - there


def native(
    rows: int, columns: int, samples: int, bits_allocated: int, photometric: str, frames: int | None, length: int
) -> Native:
    """The layout of native pixel data of `length` bytes. frames: Number of Frames, None where the header does not say it.

    The length decides: 4:4:4 samples are found under a 4:2:2 label and the other way round (PS3.3 C.7.6.3.1.2), frames of
    an odd number of bytes may each be padded, and all frames count that are there, whatever number is stated."""
    word = bits_allocated or 16
    bits = rows * columns * samples * word
    if samples == 3 and photometric in _CHROMA:
        halves = [rows * columns * 2 * word, rows * (columns + columns % 2) * 2 * word]
        bits = _chroma_bits(bits, halves, photometric.endswith("_422"), frames or 1, length)
    stride, stated, size = bits, frames or 1, -(-bits // 8)
    if bits % 16 == 8 and stated > 1 and length == stated * (size + 1):
        stride += 8
    if bits <= 0 or length <= 0:
        return Native(bits, stride, 1 if bits > 0 else 0, length)
    if 0 <= length - -(-stated * stride // 8) <= 1:
        return Native(bits, stride, stated, length)
    short = length * 8 < stated * stride
    count = -(-length * 8 // stride) if short else length * 8 // stride
    return Native(bits, stride, max(1, count), length)


_CHROMA = ("YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422")


def is_mislabelled(layout: Native, samples: int, photometric: str) -> bool:
    """Whether frames hold 4:4:4 samples under a 4:2:2 label, or the other way round. samples: bits of one frame of 4:4:4."""
    return photometric in _CHROMA and photometric.endswith("_422") == (layout.bits >= samples)


def _chroma_bits(full: int, halves: Sequence[int], halved: bool, frames: int, length: int) -> int:
    """Bits of a frame of three samples: `full` with all of them (4:4:4), or one of `halves` with two per pixel (4:2:2), the
    second with odd rows filled up to whole pairs. halved: what the header says."""

    def fits(bits: int, count: int) -> bool:
        return bits > 0 and length * 8 >= bits and 0 <= length - -(-bits * count // 8) <= 1

    for bits in (full, *halves):
        if fits(bits, frames):
            return bits
    if not halved:
        return full
    half = halves[0]
    whole, split = (bits > 0 and fits(bits, length * 8 // bits) for bits in (full, half))
    if whole != split:
        return full if whole else half
    return full if length * 8 >= full * frames else half


def _fragments(read: Read, position: int, size: int) -> tuple[list[tuple[int, int]], bool]:
    """(offset, length) of every item's value from position on, and whether the sequence ended as it must."""
    items: list[tuple[int, int]] = []
    window, base = b"", 0
    while position + 8 <= size:
        at = position - base
        if at < 0 or at + 8 > len(window):
            # after a long jump only the head is read: fragments of a large object are far apart
            window, base, at = read(position, 4096 if not items or items[-1][1] > _WINDOW else _WINDOW), position, 0
            if len(window) < 8:
                return items, False
        head, length = window[at : at + 4], int.from_bytes(window[at + 4 : at + 8], "little")
        if head == b"\xfe\xff\xdd\xe0":
            return items, True
        if head != b"\xfe\xff\x00\xe0" or length == 0xFFFFFFFF:
            return items, False
        if position + 8 + length > size:
            if position + 8 < size:
                items.append((position + 8, size - position - 8))  # cut off: a decoder may show a part of it
            return items, False
        items.append((position + 8, length))
        if len(items) > _MOST:
            raise BadFrames("The pixel data has too many fragments.")
        position += 8 + length
    return items, False


def end_of(read: Read, position: int, size: int, table: FrameTable | None = None) -> int | None:
    """Where encapsulated pixel data whose first item starts at `position` ends, its sequence delimiter included (PS3.5
    A.4); None where it ends early."""
    if table is None:
        items, whole = _fragments(read, position, size)
        if not whole:
            return None
        return (items[-1][0] + items[-1][1] if items else position) + 8
    return table.end + 8 if read(table.end, 4) == b"\xfe\xff\xdd\xe0" else None


def locate_encapsulated(
    read: Read, position: int, size: int, frames: int | None, *, extended: bytes = b"", video: bool = False
) -> tuple[FrameTable, list[Phrase]]:
    """The frame table of encapsulated pixel data whose first item is at position, and warnings.

    frames: Number of Frames, None where the header does not say it; extended: the raw Extended Offset Table (PS3.3
    C.7.6.3.1.8). All frames count that are there, whatever number is stated. Raises BadFrames when nothing can be
    located."""
    items, whole = _fragments(read, position, size)
    if len(items) < 2:
        raise BadFrames("The encapsulated pixel data has no fragments.")
    (table_at, table_length), fragments = items[0], items[1:]
    warnings = [] if whole else [phrase("The encapsulated pixel data ends early or is damaged.")]
    table = read(table_at, min(table_length, 4 * _MOST)) if table_length else b""
    lengths = [length for _, length in fragments]
    starts = {0: 0}
    starts.update({at: i + 1 for i, at in enumerate(accumulate(length + 8 for length in lengths[:-1]))})
    origin = fragments[0][0]
    if video:
        return FrameTable(origin, lengths, [0]), warnings
    tables = {
        name: _by_offsets(raw, width, starts)
        for name, raw, width in (("Extended", extended, 8), ("Basic", table, 4))
        if raw
    }
    firsts = _firsts(read, fragments, frames, [one for one in tables.values() if one])
    for name, one in tables.items():
        if one != list(firsts):
            warnings.append(phrase("The {name} Offset Table does not fit the fragments; it is ignored.", name=name))
    if len(firsts) != (frames or 1):
        warnings.append(contradicts(frames, len(firsts)))
    return FrameTable(origin, lengths, firsts), warnings


def contradicts(frames: int | None, found: int) -> Phrase:
    """The warning that Number of Frames is not the number of frames found."""
    if frames is None:
        return phrase("The header names no Number of Frames; the pixel data holds {found}.", found=found)
    return phrase("Number of Frames says {frames}, the pixel data holds {found}.", frames=frames, found=found)


def _firsts(read: Read, fragments: list[tuple[int, int]], frames: int | None, tables: list[list[int]]) -> Sequence[int]:
    """The first fragment of each frame: by what agrees with Number of Frames, else by what is the surest sign itself."""
    for firsts in tables:
        if len(firsts) == frames:
            return firsts
    if len(fragments) in (frames, 1):
        return range(len(fragments))
    marked = [i for i, (at, _) in enumerate(fragments) if _begins(read(at, 8))]
    marked = marked if marked[:1] == [0] else []
    for firsts in ([marked] if len(marked) == frames else []) + tables + ([marked] if marked else []):
        return firsts
    if frames is None or frames == 1:
        return [0]  # one code stream in pieces, of a kind not known here
    if len(fragments) < frames:
        return range(len(fragments))
    raise BadFrames("The fragments cannot be assigned to frames.")


def _begins(start: bytes) -> bool:
    """Whether a fragment begins a frame: a code stream's first bytes, or an RLE header (PS3.5 Annex G.5), whose first
    segment lies behind its 64 bytes."""
    rle = len(start) == 8 and 1 <= int.from_bytes(start[:4], "little") <= 15 and start[4:] == b"\x40\0\0\0"
    return rle or start.startswith(_STARTS)


def _by_offsets(raw: bytes, width: int, starts: dict[int, int]) -> list[int]:
    """First fragments by an offset table; [] when it lies."""
    count = len(raw) // width
    offsets = struct.unpack_from(f"<{count}{'Q' if width == 8 else 'I'}", raw, 0)
    firsts = [starts.get(offset, -1) for offset in offsets]
    ascending = all(a < b for a, b in pairwise(firsts))
    return firsts if firsts and firsts[0] == 0 and ascending else []
