"""Frames as bytes: straight from the file where they lie, turned into little endian or another transfer syntax where
that is asked for. Everything here blocks; interfaces run it in threads."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO, Literal

from pydicom.dataset import Dataset
from sqlalchemy.orm import Session

from app.archive import Archive, content, queries
from app.archive.errors import NoFrame
from app.archive.models import Instance
from app.dicom import frames as places
from app.dicom import syntaxes, uids
from app.dicom.header import inflate
from app.imaging import CannotDecode, NotAnImage, PixelSpec
from app.imaging.browser import HEAD, TAIL, Ends
from app.imaging.errors import ImagingError
from app.imaging.transcode import can_transcode, described_frame, transcode_frame
from app.kit import memory
from app.kit.phrases import phrase

PIECE = 4 << 20
# Bytes of a native frame that are made up as zero. What is drawn is smaller (imaging.cost); a header that says 65535 rows,
# columns and samples of a few bytes would ask for terabytes.
MOST_MISSING = 64 << 20
_PIXEL_DATA = 0x7FE00010
_FLOATS: dict[int, Literal["float32", "float64"]] = {0x7FE00008: "float32", 0x7FE00009: "float64"}
# What the stream hands out as it is: native little endian, or any encapsulated syntax.
_TURNED = frozenset((uids.EXPLICIT_BE, uids.DEFLATED_LE, "1.2.840.113619.5.2"))


@dataclass(frozen=True, slots=True)
class Located:
    """An object whose frames can be read without the database. table: packed, of encapsulated pixel data; words: see
    `content.in_words`."""

    instance: Instance
    table: bytes | None
    words: bool = False


def locate(session: Session, instances: Sequence[Instance], step: int = 500) -> list[Located]:
    """Everything the index knows of the frames of these objects."""
    located: list[Located] = []
    for at in range(0, len(instances), step):
        some = instances[at : at + step]
        tables = queries.frame_tables(session, [one.id for one in some if one.pixel_bytes == -1])
        located += [Located(one, tables.get(one.id), content.in_words(session, one)) for one in some]
    return located


@dataclass(frozen=True, slots=True)
class Place:
    """Where a frame lies in the file. parts: (offset, length) of what is there; bit: where it begins in its first byte;
    missing: bytes of a native frame that the file does not hold."""

    parts: list[tuple[int, int]]
    bit: int = 0
    missing: int = 0


def lies(one: Instance, table: places.FrameTable | None, n: int) -> Place:
    """Where frame n (from 1) lies. Raises NoFrame, also for a frame of which the file holds far too little."""
    if one.pixel_offset is None or one.pixel_bytes is None:
        raise NoFrame("This object has no pixel data.")
    count = max(one.number_of_frames, 1)
    if not 1 <= n <= count:
        raise NoFrame(phrase("There is no frame {number}: the pixel data holds {count}.", number=n, count=count))
    if one.pixel_bytes == -1:
        if table is None:
            raise NoFrame("The frames of this object cannot be located.")
        if n > table.count:
            raise NoFrame("The pixel data ends before this frame.")
        return Place(table.locate(n))
    try:
        offset, length, bit, missing = content.native_layout(one).span(n)
    except places.BadFrames as fault:
        raise NoFrame(str(fault)) from None
    if missing > MOST_MISSING:
        raise NoFrame("The pixel data ends before this frame.")
    return Place([(one.pixel_offset + offset, length)], bit, missing)


class Frames:
    """The frames of one object; a context manager that keeps its file open. Raises NotFound when the file is gone, Damaged
    where it is not the one that was stored."""

    def __init__(self, archive: Archive, located: Located) -> None:
        self._archive = archive
        self.instance = located.instance
        self._table = places.unpack(located.table) if located.table is not None else None
        self._words = located.words
        self._file: BinaryIO = content.open_object(archive, located.instance)
        self._inflated: bytearray | None = None

    def __enter__(self) -> "Frames":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        if uids.transfer_syntax(self.instance.transfer_syntax_uid).deflated:
            self._inflated = None
            memory.give_back()

    @property
    def begun(self) -> int:
        """How many frames the file holds, the last of them perhaps only in part, whatever its header states."""
        one = self.instance
        if one.pixel_bytes == -1:
            return self._table.count if self._table is not None else 0
        return content.native_layout(one).begun

    def _place(self, n: int) -> Place:
        """Raises NoFrame."""
        place = lies(self.instance, self._table, n)
        if not self._words:
            return place
        start, (offset, length) = self.instance.pixel_offset or 0, place.parts[0]
        at, size = content.whole_words(offset - start, length, self.instance.pixel_bytes or 0)
        return Place([(start + at, size)], 8 * (offset - start - at), place.missing)

    def _plain(self, bit: int) -> bool:
        return bit == 0 and not uids.transfer_syntax(self.instance.transfer_syntax_uid).deflated

    def stored(self, n: int) -> bytes:
        """Frame n as stored, as far as it is there; single-bit frames moved to begin on a byte."""
        place = self._place(n)
        parts, bit = place.parts, place.bit
        if uids.transfer_syntax(self.instance.transfer_syntax_uid).deflated:
            offset, length = parts[0]
            raw = bytes(memoryview(self._data_set())[offset : offset + length])
            if self.instance.number_of_frames <= 1:
                self._inflated = None  # nobody asks again: not both while it is drawn
            if len(raw) < length:
                raise NoFrame("The pixel data ends before this frame.")
        else:
            fd = self._file.fileno()
            raw = b"".join(os.pread(fd, length, offset) for offset, length in parts)
        one = self.instance
        if self._words:
            return content.begun_on_word(raw, bit != 0)
        if one.bits_allocated != 1 or one.pixel_bytes == -1:
            return raw  # whole bytes: native samples of 8 bits and more, or a code stream
        return content.shift_bits(raw, bit, one.rows * one.columns)

    def _data_set(self) -> bytearray:
        """A deflated data set, inflated once for all its frames and no further than the last of them."""
        if self._inflated is None:
            one = self.instance
            content.check_swelling(one)
            self._file.seek(one.data_set_offset)
            end = (one.pixel_offset or 0) + max(one.pixel_bytes or 0, 0)
            self._inflated, _ = inflate(self._file.read(), 0, min(end, 1 << 30))
        return self._inflated

    def size(self, n: int) -> int | None:
        """Bytes of frame n as `pieces` gives it without a target; None when that shows only in making it."""
        place = self._place(n)
        return sum(length for _, length in place.parts) + place.missing if self._plain(place.bit) else None

    def missing(self, n: int) -> int:
        """Bytes of native frame n that the file does not hold. Raises NoFrame."""
        return self._place(n).missing

    def cut(self, n: int) -> bool:
        """Whether the file ends within the last fragment of encapsulated frame n: its item says more. Raises NoFrame."""
        offset, size = self._place(n).parts[-1]
        stated = os.pread(self._file.fileno(), 4, offset - 4)
        return offset + size >= self.instance.bytes and int.from_bytes(stated, "little") > size

    def ends(self, n: int) -> Ends:
        """Beginning and end of compressed frame n. Raises NoFrame."""
        parts = self._place(n).parts
        fd, head = self._file.fileno(), b""
        for offset, length in parts:
            head += os.pread(fd, min(length, HEAD - len(head)), offset)
            if len(head) >= HEAD:
                break
        offset, length = parts[-1]
        tail = os.pread(fd, min(length, TAIL), offset + max(0, length - TAIL))
        return Ends(head, tail, sum(length for _, length in parts))

    def place(self, n: int) -> tuple[int, int] | None:
        """(offset, length) in the file when frame n lies there in one piece."""
        place = self._place(n)
        whole = len(place.parts) == 1 and not place.missing and self._plain(place.bit)
        return place.parts[0] if whole else None

    def pieces(self, n: int) -> Iterator[bytes]:
        """Frame n as stored, in pieces of bounded size where it lies in the file as it is. What is missing of a native
        frame is zero: its length is what the header says."""
        place = self._place(n)
        if not self._plain(place.bit):
            data = self.stored(n)
            yield data if self.instance.bits_allocated == 1 else data + bytes(place.missing)
            return
        fd = self._file.fileno()
        for offset, length in place.parts:
            while length > 0:
                piece = os.pread(fd, min(length, PIECE), offset)
                if not piece:
                    raise NoFrame("The file ends before this frame.")
                yield piece
                offset, length = offset + len(piece), length - len(piece)
        for start in range(0, place.missing, PIECE):
            yield bytes(min(PIECE, place.missing - start))


def spec_of(header: Dataset, instance: Instance) -> PixelSpec | None:
    """How the pixels are made; None when there are none that anybody could decode."""
    try:
        return PixelSpec.from_dataset(header, instance.transfer_syntax_uid)
    except (NotAnImage, CannotDecode, ImagingError):
        return None


def as_in_file(spec: PixelSpec | None, session: Session, instance: Instance) -> PixelSpec | None:
    """With the tag and VR that the pixel data really has, which a header without its pixels does not tell: floats by their own
    element, bytes of big endian words (OW) in swapped pairs (PS3.5 A.3)."""
    if spec is None:
        return None
    tag, vr = content.pixel_element(session, instance)
    kind = _FLOATS.get(tag, "int" if tag == _PIXEL_DATA else spec.kind)
    allocated = {"float32": 32, "float64": 64}.get(kind, spec.bits_allocated)
    swapped = vr == "OW" and allocated == 8 and spec.transfer_syntax_uid == syntaxes.EXPLICIT_BE
    if kind == "int":
        return replace(spec, kind=kind, swapped=swapped)
    return replace(
        spec,
        kind=kind,
        swapped=False,
        bits_allocated=allocated,
        bits_stored=allocated,
        high_bit=allocated - 1,
        signed=False,
    )


class Specs:
    """How the pixels of the objects last asked for are made, so that a frame costs no header. Stored content never
    changes, so it is kept by its checksum. Thread-safe: at worst two threads make the same."""

    def __init__(self, most: int = 2000) -> None:
        self._most = most
        self._known: dict[tuple[str, str], tuple[PixelSpec | None, frozenset[str]]] = {}

    def of(self, session: Session, instance: Instance) -> tuple[PixelSpec | None, frozenset[str]]:
        """(spec, transfer syntaxes the frames can be given in besides their own)"""
        key = (instance.sha256, instance.transfer_syntax_uid)
        found = self._known.get(key)
        if found is None:
            spec = as_in_file(spec_of(content.header(session, instance), instance), session, instance)
            found = (spec, targets(spec))
            if len(self._known) >= self._most:
                self._known = {}
            self._known[key] = found
        return found


def targets(spec: PixelSpec | None) -> frozenset[str]:
    """Transfer syntaxes these frames can be given in, besides their own."""
    if spec is None:
        return frozenset()
    return frozenset(uid for uid in syntaxes.TARGETS - {spec.transfer_syntax_uid} if can_transcode(spec, uid))


def native_target(instance: Instance) -> bool:
    """Stored natively, but not as little endian bytes one can send."""
    return instance.transfer_syntax_uid in _TURNED and instance.transfer_syntax_uid != uids.DEFLATED_LE


def frame_as(frames: Frames, n: int, target: str, spec: PixelSpec | None) -> Iterator[bytes]:
    """Frame n in the transfer syntax `target` (EXPLICIT_LE stands for native little endian, as the object's attributes
    describe it). Raises ImagingError."""
    stored = frames.instance.transfer_syntax_uid
    as_it_is = target == stored or (target == uids.EXPLICIT_LE and stored in (uids.IMPLICIT_LE, uids.DEFLATED_LE))
    if as_it_is or spec is None:
        yield from frames.pieces(n)
    elif target == uids.EXPLICIT_LE:
        yield described_frame(frames.stored(n), spec)
    else:
        yield transcode_frame(frames.stored(n), spec, target)
