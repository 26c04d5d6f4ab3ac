"""Frames as bytes: straight from the file where they lie (`app/archive/frames.py`), turned into little endian or another
transfer syntax where that is asked for. Everything here blocks; interfaces run it in threads."""

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO, Literal

from pydicom.dataset import Dataset
from sqlalchemy.orm import Session

from app.archive import Archive, content
from app.archive.errors import NoFrame
from app.archive.frames import Located, stored_frame
from app.archive.models import Instance
from app.dicom import syntaxes, uids
from app.imaging import CannotDecode, NotAnImage, PixelSpec
from app.imaging.browser import HEAD, TAIL, Ends
from app.imaging.errors import ImagingError
from app.imaging.transcode import can_transcode, described_frame, transcode_frame
from app.kit import memory

PIECE = 4 << 20
_PIXEL_DATA = 0x7FE00010
_FLOATS: dict[int, Literal["float32", "float64"]] = {0x7FE00008: "float32", 0x7FE00009: "float64"}
# Transfer syntaxes that the stream sends unchanged: native little endian, or any encapsulated syntax.
_TURNED = frozenset((uids.EXPLICIT_BE, uids.DEFLATED_LE, "1.2.840.113619.5.2"))


class Frames:
    """The frames of one object; a context manager that keeps its file open. Raises NotFound when the file is gone, Damaged
    where it is not the one that was stored."""

    def __init__(self, archive: Archive, located: Located) -> None:
        self.instance = located.instance
        self._layout = located.layout()
        self._deflated = self._layout.deflated
        self._file: BinaryIO = content.open_object(archive, located.instance)
        self._inflated: bytearray | None = None

    def __enter__(self) -> "Frames":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        if self._deflated:
            self._inflated = None
            memory.release_free_memory()

    @property
    def stored_frames(self) -> int:
        """How many frames the file holds, the last of them perhaps only in part, whatever its header states."""
        return self._layout.stored_frames

    def _plain(self, bit: int) -> bool:
        return bit == 0 and not self._deflated

    def read_frame(self, n: int) -> bytes:
        """Frame n as stored, as far as it is there; single-bit frames moved to begin on a byte."""
        return stored_frame(self._layout, n, self._read)

    def _read(self, parts: list[tuple[int, int]]) -> bytes:
        if not self._deflated:
            fd = self._file.fileno()
            return b"".join(os.pread(fd, length, offset) for offset, length in parts)
        offset, length = parts[0]
        raw = bytes(memoryview(self._data_set())[offset : offset + length])
        if self.instance.number_of_frames <= 1:
            self._inflated = None  # it is not read again: not both while it is drawn
        return raw

    def _data_set(self) -> bytearray:
        """A deflated data set, inflated once for all its frames and no further than the last of them."""
        if self._inflated is None:
            one = self.instance
            end = (one.pixel_offset or 0) + max(one.pixel_bytes or 0, 0)
            self._inflated = content.inflate_data_set(self._file, one, end)
        return self._inflated

    def size(self, n: int) -> int | None:
        """Bytes of frame n as `read_pieces` gives it without a target; None when that shows only in making it."""
        place = self._layout.locate_frame(n)
        return sum(length for _, length in place.parts) + place.missing if self._plain(place.bit) else None

    def missing_bytes(self, n: int) -> int:
        """Bytes of native frame n that the file does not hold. Raises NoFrame."""
        return self._layout.locate_frame(n).missing

    def is_truncated(self, n: int) -> bool:
        """Whether the file ends within the last fragment of encapsulated frame n: its item says more. Raises NoFrame."""
        offset, size = self._layout.locate_frame(n).parts[-1]
        stated = os.pread(self._file.fileno(), 4, offset - 4)
        return offset + size >= self.instance.bytes and int.from_bytes(stated, "little") > size

    def frame_ends(self, n: int) -> Ends:
        """Beginning and end of compressed frame n. Raises NoFrame."""
        parts = self._layout.locate_frame(n).parts
        fd, head = self._file.fileno(), b""
        for offset, length in parts:
            head += os.pread(fd, min(length, HEAD - len(head)), offset)
            if len(head) >= HEAD:
                break
        offset, length = parts[-1]
        tail = os.pread(fd, min(length, TAIL), offset + max(0, length - TAIL))
        return Ends(head, tail, sum(length for _, length in parts))

    def locate_frame(self, n: int) -> tuple[int, int] | None:
        """(offset, length) in the file when frame n lies there in one piece."""
        place = self._layout.locate_frame(n)
        whole = len(place.parts) == 1 and not place.missing and self._plain(place.bit)
        return place.parts[0] if whole else None

    def read_pieces(self, n: int) -> Iterator[bytes]:
        """Frame n as stored, in pieces of bounded size where it lies in the file as it is. What is missing of a native
        frame is zero: its length is what the header says."""
        place = self._layout.locate_frame(n)
        if not self._plain(place.bit):
            data = self.read_frame(n)
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
    """With the tag and VR that the pixel data really has, which a header without its pixels does not contain: floats by
    their own element, bytes of big endian words (OW) in swapped pairs (PS3.5 A.3)."""
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
    """Frame n in the transfer syntax `target` (EXPLICIT_LE means native little endian, as the object's attributes
    describe it). Raises ImagingError."""
    stored = frames.instance.transfer_syntax_uid
    as_it_is = target == stored or (target == uids.EXPLICIT_LE and stored in (uids.IMPLICIT_LE, uids.DEFLATED_LE))
    if as_it_is or spec is None:
        yield from frames.read_pieces(n)
    elif target == uids.EXPLICIT_LE:
        yield described_frame(frames.read_frame(n), spec)
    else:
        yield transcode_frame(frames.read_frame(n), spec, target)
