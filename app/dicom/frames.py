"""Where each frame of an object's pixel data lies in its file.

Native: arithmetic (PS3.5 8.1.1). Encapsulated: the fragments are walked once (PS3.5 A.4) and cut into frames by the
Extended Offset Table, the Basic Offset Table, one fragment a frame, or the codecs' start marks, whichever holds true."""

import struct
import zlib
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise

from app.kit.phrases import phrase

Read = Callable[[int, int], bytes]  # (offset, length) -> bytes, fewer at the end of the file

_HEAD = struct.Struct("<4sQII")
_WINDOW = 64 * 1024
_MOST = 4_000_000  # fragments; more is no real object
_STARTS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cJXL ", b"\xff\x0a")


class BadFrames(ValueError):
    """The frames cannot be located; the message says why."""


@dataclass(frozen=True)
class FrameTable:
    """Fragments stand one behind the other, 8 bytes of item header between; `firsts` are the first fragments of frames.

    offset: of the first fragment's value in the file; lengths: of every fragment's value."""

    offset: int
    lengths: Sequence[int]
    firsts: Sequence[int]

    @cached_property
    def _starts(self) -> list[int]:
        """Where each fragment's value begins."""
        return [self.offset + at for at in accumulate((length + 8 for length in self.lengths), initial=0)]

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
    numbers = struct.unpack_from(f"<{fragments + frames}I", raw, _HEAD.size)
    return FrameTable(offset, numbers[:fragments], numbers[fragments:])


def native_bits(rows: int, columns: int, samples: int, bits_allocated: int, photometric: str) -> int:
    """Bits of one native frame. 4:2:2 chroma halves two of three samples (PS3.3 C.7.6.3.1.2)."""
    per_pixel = samples * bits_allocated
    if samples == 3 and photometric in ("YBR_FULL_422", "YBR_PARTIAL_422"):
        per_pixel = 2 * bits_allocated
    return rows * columns * per_pixel


def native_range(frame: int, bits: int, pixel_offset: int, pixel_bytes: int) -> tuple[int, int, int]:
    """(offset, length, first bit) of native frame `frame` (from 1). The first bit is not 0 only for single-bit frames that
    do not end on a byte (PS3.5 8.1.1). Raises BadFrames when the frame is not wholly there."""
    first, last = (frame - 1) * bits, frame * bits
    begin, end = first // 8, -(-last // 8)
    if bits <= 0 or end > pixel_bytes:
        raise BadFrames("The pixel data ends before this frame.")
    return pixel_offset + begin, end - begin, first % 8


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
    read: Read, position: int, size: int, frames: int, *, extended: bytes = b"", video: bool = False
) -> tuple[FrameTable, list[str]]:
    """The frame table of encapsulated pixel data whose first item stands at position, and warnings.

    frames: Number of Frames as stated (at least 1); extended: the raw Extended Offset Table (PS3.3 C.7.6.3.1.8).
    Raises BadFrames when nothing can be located."""
    items, whole = _fragments(read, position, size)
    if len(items) < 2:
        raise BadFrames("The encapsulated pixel data has no fragments.")
    (table_at, table_length), fragments = items[0], items[1:]
    warnings = [] if whole else ["The encapsulated pixel data ends early or is damaged."]
    table = read(table_at, min(table_length, 4 * _MOST)) if table_length else b""
    lengths = [length for _, length in fragments]
    starts = {0: 0}
    starts.update({at: i + 1 for i, at in enumerate(accumulate(length + 8 for length in lengths[:-1]))})
    origin = fragments[0][0]
    if video or frames <= 1:
        return FrameTable(origin, lengths, [0]), warnings
    for name, raw, width in (("Extended", extended, 8), ("Basic", table, 4)):
        if not raw:
            continue
        firsts = _by_offsets(raw, width, starts, frames)
        if firsts:
            return FrameTable(origin, lengths, firsts), warnings
        warnings.append(phrase("The {name} Offset Table does not fit the fragments; it is ignored.", name=name))
    if len(fragments) == frames:
        return FrameTable(origin, lengths, range(frames)), warnings
    marked = [i for i, (at, _) in enumerate(fragments) if read(at, 8).startswith(_STARTS)]
    if marked and marked[0] == 0 and (len(marked) == frames or (len(marked) < frames and not whole)):
        if len(marked) < frames:
            warnings.append("Not all frames are there.")
        return FrameTable(origin, lengths, marked), warnings
    if len(fragments) < frames:
        warnings.append("There are fewer fragments than frames.")
        return FrameTable(origin, lengths, range(len(fragments))), warnings
    raise BadFrames("The fragments cannot be told apart as frames.")


def _by_offsets(raw: bytes, width: int, starts: dict[int, int], frames: int) -> list[int]:
    """First fragments by an offset table; [] when it lies."""
    count = len(raw) // width
    if count < frames:
        return []
    offsets = struct.unpack_from(f"<{frames}{'Q' if width == 8 else 'I'}", raw, 0)
    firsts = [starts.get(offset, -1) for offset in offsets]
    ascending = all(a < b for a, b in pairwise(firsts))
    return firsts if firsts[0] == 0 and ascending else []


def frame_at(table: FrameTable, fragment: int) -> int:
    """The frame (from 1) a fragment belongs to."""
    return bisect_right(table.firsts, fragment)
