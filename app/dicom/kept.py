"""The stored form of a header: the raw bytes of file meta information and data set without pixels, zlib level 1.

Layout before compression: `FRH2`, flags (1 implicit, 2 big endian), length of the meta part (u32), count of omitted
elements (u32), tag and VR of the pixel data, per omitted element its tag, VR, where it starts, where its value starts, the
value's length and its place in the kept data set; then the meta part, then the data set. `FRH1`, written by earlier
versions, has no pixel data and no places; what it lacks can only be found in the file (`is_current`)."""

import contextlib
import struct
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple

from app.dicom.elements import Buffer
from app.dicom.walk import ElementFindings, count_items, walk
from app.kit import compat

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

Read = Callable[[int, int], bytes]  # (offset, length) -> bytes of the file, or of the inflated data set

_OLD_HEAD, _OLD_BULK = struct.Struct("<4sBII"), struct.Struct("<I2sQQ")
_HEAD = struct.Struct("<4sBIII2s")
_BULK = struct.Struct("<I2sQQQQ")
_LIMIT = 64 * 1024 * 1024
_READ_LIMIT = 512 * 1024 * 1024  # bytes of omitted elements that are read from a file at once
_CHARACTER_SET = (ValueError, LookupError, TypeError, AttributeError)
_ELEMENTS = 20_000  # at the top level; ten megabytes of empty ones would keep pydicom busy for a minute
_ELEMENTS_READ = 200_000
_ITEMS_READ = 250_000  # in sequences; pydicom needs about 40 us for each
_MANY = 0  # tag of an omitted run of elements
SEQUENCE = "SQ"
_DRAWN = frozenset((0x00282000, 0x00281201, 0x00281202, 0x00281203, 0x00281221, 0x00281222, 0x00281223))


class HeaderTooLarge(ValueError):
    """A header with more elements than can be read in a sensible time."""


@dataclass(frozen=True, slots=True)
class Bulk:
    """An element that was left out of the kept header: where it lies in the file (in a deflated file: in the inflated
    data set). A sequence or a run of elements has its own start as offset."""

    tag: int
    vr: str  # "" for implicit VR
    offset: int  # of the value
    length: int
    start: int = -1  # of the element; -1: not known
    position: int = 0  # in the kept data set

    @property
    def structured(self) -> bool:
        """A sequence, or a run of elements: part of every reading of the header, never a value of its own."""
        return self.vr == SEQUENCE or self.tag == _MANY

    @property
    def drawn(self) -> bool:
        """A value that pictures need: overlay data, palettes, ICC profile (PS3.3 C.9.2, C.7.6.3.1, C.11.15)."""
        return self.tag in _DRAWN or (self.tag & 0xFF01FFFF == 0x60003000)


class _Opened(NamedTuple):
    flags: int
    bulks: list[Bulk]
    meta: bytes
    data: bytes
    pixel_tag: int = 0
    pixel_vr: str = ""


def _pieces(data: Buffer, found: ElementFindings) -> tuple[list[bytes], list[Bulk]]:
    """The parts of the parsed buffer that are kept, and the parts left out."""
    pieces: list[bytes] = []
    bulks: list[Bulk] = []
    kept_so_far = 0
    for begin, end in ((found.begin, found.end), *found.tails):
        position = begin
        for tag, vr, cut_start, cut_end, offset, length in sorted(found.cuts, key=lambda cut: cut[2]):
            if begin <= cut_start < end:
                pieces.append(bytes(data[position:cut_start]))
                kept_so_far += cut_start - position
                position = cut_end
                if length >= 0:
                    name = vr.decode("ascii", "replace").strip("\0")
                    bulks.append(Bulk(tag, name, offset, length, cut_start, kept_so_far))
        if position < end:
            pieces.append(bytes(data[position:end]))
            kept_so_far += end - position
    return pieces, bulks


def pack(meta: bytes, data: Buffer, found: ElementFindings, implicit: bool, little: bool) -> tuple[bytes, bool]:
    """The compressed form, from the walked buffer; and whether it was so large that only the meta part is kept."""
    pieces, bulks = _pieces(data, found)
    too_large = sum(map(len, pieces)) > _LIMIT or found.elements > _ELEMENTS
    if too_large:
        pieces = []
        runs = [(found.begin, found.end), *found.tails]
        bulks = [Bulk(_MANY, "", begin, end - begin, begin) for begin, end in runs if end > begin]
    flags = (1 if implicit else 0) | (0 if little else 2)
    if not meta.startswith(b"\x02\x00"):
        meta = b""
    vr = found.pixel_vr.decode("ascii", "replace")
    return _encode(_Opened(flags, bulks, meta, b"".join(pieces), found.pixel_tag, vr)), too_large


def append(kept: bytes, data: Buffer, tail: ElementFindings) -> bytes:
    """The kept form with the elements of a walk behind the pixel data added."""
    opened = _open(kept)
    pieces, bulks = _pieces(data, tail)
    moved = [replace(one, position=one.position + len(opened.data)) for one in bulks]
    return _encode(opened._replace(bulks=[*opened.bulks, *moved], data=b"".join((opened.data, *pieces))))


def _encode(opened: _Opened) -> bytes:
    vr = opened.pixel_vr.encode("ascii", "replace")
    head = _HEAD.pack(b"FRH2", opened.flags, len(opened.meta), len(opened.bulks), opened.pixel_tag, vr)
    places = b"".join(
        _BULK.pack(one.tag, one.vr.encode("ascii", "replace"), one.start, one.offset, one.length, one.position)
        for one in opened.bulks
    )
    return zlib.compress(b"".join((head, places, opened.meta, opened.data)), 1)


def _open(kept: bytes) -> _Opened:
    raw = zlib.decompress(kept)
    if raw[:4] == b"FRH1":
        return _open_old(raw)
    magic, flags, meta_length, count, pixel_tag, pixel_vr = _HEAD.unpack_from(raw, 0)
    if magic != b"FRH2":
        raise ValueError("not a kept header")
    at = _HEAD.size
    found = []
    for tag, vr, start, offset, length, position in _BULK.iter_unpack(raw[at : at + count * _BULK.size]):
        found.append(Bulk(tag, vr.decode("ascii", "replace").strip("\0"), offset, length, start, position))
    at += count * _BULK.size
    name = pixel_vr.decode("ascii", "replace").strip("\0")
    return _Opened(flags, found, raw[at : at + meta_length], raw[at + meta_length :], pixel_tag, name)


def _open_old(raw: bytes) -> _Opened:
    """The form of versions before 2026-12: read only where the file itself is gone."""
    _, flags, meta_length, count = _OLD_HEAD.unpack_from(raw, 0)
    at = _OLD_HEAD.size
    found = []
    for tag, vr, offset, length in _OLD_BULK.iter_unpack(raw[at : at + count * _OLD_BULK.size]):
        found.append(Bulk(tag, vr.decode("ascii", "replace").strip("\0"), offset, length))
    at += count * _OLD_BULK.size
    return _Opened(flags, found, raw[at : at + meta_length], raw[at + meta_length :])


def is_current(kept: bytes) -> bool:
    """Whether this form knows of everything in its file; False for what an earlier version kept."""
    return zlib.decompressobj().decompress(kept, 4) == b"FRH2"


def size(kept: bytes) -> int:
    """Bytes of the data set that `unpack` would read, without reading it."""
    return len(_open(kept).data)


def bulks(kept: bytes) -> list[Bulk]:
    """Large values that are not in the data set of `unpack`."""
    return [bulk for bulk in _open(kept).bulks if not bulk.structured]


def pixels(kept: bytes) -> tuple[int, str]:
    """Tag and VR of the pixel data as the file has them; 0 where there is none, "" for implicit VR."""
    opened = _open(kept)
    return opened.pixel_tag, opened.pixel_vr


def open_data(kept: bytes) -> tuple[bool, bool, bytes]:
    """(implicit, little, data set as raw bytes) without pixels and bulk values."""
    opened = _open(kept)
    return bool(opened.flags & 1), not opened.flags & 2, opened.data


def _filled(opened: _Opened, read: Read, drawn: bool) -> bytes:
    """The data set with what was left out of it: sequences always, the large values of pictures where they are wanted."""
    wanted = [one for one in opened.bulks if one.start >= 0 and (one.structured or (drawn and one.drawn))]
    if not wanted:
        return opened.data
    if sum(one.length for one in wanted) > _READ_LIMIT:
        raise HeaderTooLarge("The header is too large to be read as a whole.")
    pieces, at = [], 0
    for one in wanted:
        element = read(one.start, one.offset + one.length - one.start)
        pieces += [opened.data[at : one.position], element]
        at = one.position
    data = b"".join((*pieces, opened.data[at:]))
    implicit, little = bool(opened.flags & 1), not opened.flags & 2
    whole = any(one.tag == _MANY for one in wanted)
    if whole and walk(data, 0, len(data), len(data), implicit, little).elements > _ELEMENTS_READ:
        raise HeaderTooLarge("The object has too many attributes to be read.")
    if any(one.structured for one in wanted) and count_items(data) > _ITEMS_READ:
        raise HeaderTooLarge("The object has too many sequence items to be read.")
    return data


def unpack(kept: bytes, read: Read | None = None, *, drawn: bool = True) -> "Dataset":
    """The data set without pixels and without bulk values, its file meta information beside it. read: gives bytes of the
    file; then long sequences are there too, and with `drawn` the large values that pictures need. Raises TooLarge, and whatever `read` raises."""
    from pydicom.dataset import FileMetaDataset

    from app.dicom.reading import for_display, read_dataset

    opened = _open(kept)
    data = opened.data if read is None else _filled(opened, read, drawn)
    implicit, little = bool(opened.flags & 1), not opened.flags & 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dataset = _read(data, implicit, little)
        except _CHARACTER_SET:  # pydicom trips over a damaged character set: read without it
            damaged = walk(data, 0, len(data), len(data), implicit, little).values.get(0x00080005, b"")
            dataset = _read(data.replace(damaged, b" " * len(damaged), 1), implicit, little)
        for_display(dataset)
        dataset.set_original_encoding(implicit, little, compat.read_codecs(dataset))
        meta = opened.meta
        dataset.file_meta = FileMetaDataset(read_dataset(BytesIO(meta), False, True)) if meta else FileMetaDataset()
    return dataset


def _read(data: bytes, implicit: bool, little: bool) -> "Dataset":
    """The data set, up to a sequence of undefined length that is damaged: the elements behind it cannot be found."""
    from app.dicom.reading import read_dataset

    reached = []

    def record_bulk(tag: Any, _vr: str | None, _length: int) -> bool:
        reached.append(tag)
        return False

    try:
        return read_dataset(BytesIO(data), implicit, little)
    except OSError:
        with contextlib.suppress(OSError):
            read_dataset(BytesIO(data), implicit, little, stop_when=record_bulk)
        return read_dataset(BytesIO(data), implicit, little, stop_when=lambda tag, _vr, _length: tag == reached[-1])
