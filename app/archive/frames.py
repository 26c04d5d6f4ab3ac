"""Where the frames of stored objects lie in their files, and single frames as they are stored. Everything that reads frames
goes by it; `app/dicom/frames.py` has the rules, for native and for encapsulated pixel data, and made the frame table when
the object came in.

What was worked out for an object is kept in one cache for each process, bounded by bytes. Stored content never changes, and
a file that changed is refused when it is opened (`content.open_object`, `content.read_parts`)."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import inspect
from sqlalchemy.orm import Session

from app.archive import content, queries
from app.archive.errors import NoFrame
from app.archive.ingest import Archive
from app.archive.models import Instance
from app.dicom import dicomjson, frames, uids
from app.kit import memory
from app.kit.phrases import of_fault, phrase

Key = tuple[
    int, str, str
]  # of an instance: its number, the checksum and the path of its file; never used for another content
Read = Callable[[list[tuple[int, int]]], bytes]  # the parts at (offset, length), joined

# Bytes of a native frame that are made up as zero. What is drawn is smaller (imaging.cost); a header that says 65535 rows,
# columns and samples of a few bytes would ask for terabytes.
MOST_MISSING = 64 << 20
MOST_KEPT = 32 << 20  # bytes of all layouts in the cache
_ENTRY = 4096  # bytes of a layout without its frame table: the row of the instance
_FRAGMENT = 16  # bytes of one fragment and its frame in a frame table


@dataclass(frozen=True, slots=True)
class FrameLocation:
    """Where a frame lies in the file, in a deflated object in its inflated data set. parts: (offset, length) of what is
    there; bit: where it begins in its first byte; missing: bytes of a native frame that the file does not hold."""

    parts: list[tuple[int, int]]
    bit: int = 0
    missing: int = 0


@dataclass(frozen=True, slots=True)
class Layout:
    """How the frames of an object lie: by `native` or by `table`, neither where they cannot be located.

    words: 8-bit samples in big endian words, of which a frame may end, and begin, inside one (`content.in_words`); places
    are those of whole words then."""

    instance: Instance
    native: frames.Native | None = None
    table: frames.FrameTable | None = None
    words: bool = False

    @property
    def deflated(self) -> bool:
        return uids.transfer_syntax(self.instance.transfer_syntax_uid).deflated

    @property
    def stored_frames(self) -> int:
        """How many frames the file holds, the last of them perhaps only in part, whatever its header states."""
        if self.table is not None:
            return self.table.count
        return self.native.stored_frames if self.native is not None else 0

    @property
    def size(self) -> int:
        """Bytes in memory, as the cache counts them."""
        return _ENTRY + (_FRAGMENT * len(self.table.lengths) if self.table is not None else 0)

    def locate_frame(self, n: int) -> FrameLocation:
        """Where frame n (from 1) lies. Raises NoFrame, also for a frame of which the file holds far too little."""
        one = self.instance
        if one.pixel_offset is None or one.pixel_bytes is None:
            raise NoFrame("This object has no pixel data.")
        count = max(one.number_of_frames, 1)
        if not 1 <= n <= count:
            raise NoFrame(
                phrase("Frame {number} does not exist: the pixel data contains {count} frames.", number=n, count=count)
            )
        if self.table is not None:
            if n > self.table.count:
                raise NoFrame("The pixel data ends before this frame.")
            return FrameLocation(self.table.locate(n))
        if self.native is None:
            raise NoFrame("The frames of this object cannot be located.")
        try:
            offset, length, bit, missing = self.native.span(n)
        except frames.BadFrames as fault:
            raise NoFrame(of_fault(fault)) from None
        if missing > MOST_MISSING:
            raise NoFrame("The pixel data ends before this frame.")
        if self.words:
            begin = offset - offset % 2
            end = min(offset + length + (offset + length) % 2, one.pixel_bytes)
            return FrameLocation([(one.pixel_offset + begin, end - begin)], 8 * (offset - begin), missing)
        return FrameLocation([(one.pixel_offset + offset, length)], bit, missing)


@dataclass(frozen=True, slots=True)
class Located:
    """An object whose frames can be read without the database. packed: the frame table of encapsulated pixel data; words:
    as in `Layout`."""

    instance: Instance
    packed: bytes | None
    words: bool = False

    def layout(self) -> Layout:
        """Of several frames in fragments it is kept: unpacking the table takes longer than reading a frame."""
        one = self.instance
        if one.pixel_bytes != -1:
            return Layout(one, native_layout(one), words=self.words)
        if one.number_of_frames > 1 and (known := CACHE.get(key_of(one))) is not None:
            return known
        made = Layout(one, table=frames.unpack(self.packed) if self.packed is not None else None)
        return CACHE.put(made) if one.number_of_frames > 1 else made


class Cache:
    """The layouts last used. Thread-safe. Its layouts take at most `most` bytes together, or it keeps one alone: the largest
    frame table there can be (`app/dicom/frames.py`) has 4,000,000 fragments, 64 MB."""

    def __init__(self, most: int = MOST_KEPT) -> None:
        self.most = most
        self.bytes = 0
        self._lock = threading.Lock()
        self._kept: OrderedDict[Key, Layout] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Key) -> Layout | None:
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found

    def put(self, layout: Layout) -> Layout:
        """The layout as it is kept: its instance belongs to no session."""
        own = Layout(_detached(layout.instance), layout.native, layout.table, layout.words)
        key = key_of(own.instance)
        with self._lock:
            before = self._kept.pop(key, None)
            self._kept[key] = own
            self.bytes += own.size - (before.size if before is not None else 0)
            while self.bytes > self.most and len(self._kept) > 1:
                self.bytes -= self._kept.popitem(last=False)[1].size
        return own


CACHE = Cache()


def key_of(instance: Instance) -> Key:
    return instance.id, instance.sha256, instance.path


def _detached(instance: Instance) -> Instance:
    """A copy that no session expires or refreshes."""
    return Instance(**{column.key: getattr(instance, column.key) for column in inspect(Instance).column_attrs})


def locate_objects(session: Session, instances: Sequence[Instance], step: int = 500) -> list[Located]:
    """Everything the index knows of the frames of these objects."""
    located: list[Located] = []
    for at in range(0, len(instances), step):
        some = instances[at : at + step]
        tables = queries.frame_tables(session, [one.id for one in some if one.pixel_bytes == -1])
        located += [Located(one, tables.get(one.id), content.in_words(session, one)) for one in some]
    return located


def layout_of(session: Session, instance: Instance) -> Layout:
    """The layout of one object of which single frames are asked for: it is kept."""
    known = CACHE.get(key_of(instance))
    if known is None:
        known = locate_objects(session, [instance])[0].layout()
        if known.instance is instance:  # not yet kept
            known = CACHE.put(known)
    return known


def native_layout(instance: Instance) -> frames.Native:
    """How the native frames of an object lie in its pixel data."""
    return frames.native(
        instance.rows, instance.columns, instance.samples, instance.bits_allocated, instance.photometric,
        instance.number_of_frames, max(instance.pixel_bytes or 0, 0),
    )  # fmt: skip


def stored_frame(layout: Layout, n: int, read: Read) -> bytes:
    """Frame n (from 1) as stored, as far as it is there: native bytes, or the code stream (fragments joined). Frames of
    single bits are moved to begin on a byte. Raises NoFrame."""
    place = layout.locate_frame(n)
    raw = read(place.parts)
    if len(raw) < sum(length for _, length in place.parts):
        raise NoFrame("The pixel data ends before this frame.")
    one = layout.instance
    if layout.words:
        return raw if place.bit == 0 else dicomjson.turned("OW", dicomjson.turned("OW", raw)[1:] + b"\0")
    if one.bits_allocated != 1 or one.pixel_bytes == -1:
        return raw  # whole bytes: native samples of 8 bits and more, or a code stream
    return _shift_bits(raw, place.bit, one.rows * one.columns)


def frame_bytes(archive: Archive, session: Session, instance: Instance, n: int) -> bytes:
    """`stored_frame` of an object of which single frames are asked for: its file stays open for the next ones. Raises
    NoFrame, NotFound, Damaged."""
    layout = layout_of(session, instance)
    if not layout.deflated:
        return stored_frame(layout, n, lambda parts: content.read_parts(archive, instance, parts))

    def inflated(parts: list[tuple[int, int]]) -> bytes:
        offset, length = parts[0]
        with content.open_object(archive, instance) as file:
            data = content.inflate_data_set(file, instance, offset + length)
        return bytes(memoryview(data)[offset : offset + length])

    try:
        return stored_frame(layout, n, inflated)
    finally:
        memory.release_free_memory()


def _shift_bits(raw: bytes, first: int, bits: int) -> bytes:
    """Single-bit pixels from bit `first` on, moved to begin on a byte (PS3.5 8.1.1: least significant bit first)."""
    if first == 0 and bits % 8 == 0:
        return raw
    number = (int.from_bytes(raw, "little") >> first) & ((1 << bits) - 1)
    return number.to_bytes(-(-bits // 8), "little")
