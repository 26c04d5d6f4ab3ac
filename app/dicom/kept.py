"""The stored form of a header: the raw bytes of file meta information and data set without pixels, zlib level 1.

Layout before compression: `FRH1`, flags (1 implicit, 2 big endian), length of the meta part (u32), count of bulk values
(u32), per bulk value tag, VR, offset in the file and length, then the meta part, then the data set."""

import contextlib
import struct
import warnings
import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

from app.dicom.walk import Buffer, Found, walk

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_HEAD = struct.Struct("<4sBII")
_BULK = struct.Struct("<I2sQQ")
_LIMIT = 64 * 1024 * 1024
_CHARACTER_SET = (ValueError, LookupError, TypeError, AttributeError)
_ELEMENTS = 20_000  # at the top level; ten megabytes of empty ones would keep pydicom busy for a minute


@dataclass(frozen=True, slots=True)
class Bulk:
    """A large value that was left out of the kept header: where it lies in the file."""

    tag: int
    vr: str  # "" for implicit VR
    offset: int
    length: int


def pack(meta: bytes, data: Buffer, found: Found, implicit: bool, little: bool) -> tuple[bytes, bool]:
    """The compressed form, from the walked buffer; and whether it was so large that only the meta part is kept."""
    pieces: list[bytes] = []
    for begin, end in ((found.begin, found.end), found.tail):
        position = begin
        for _, _, cut_start, cut_end, _, _ in sorted(found.cuts, key=lambda cut: cut[2]):
            if begin <= cut_start < end:
                pieces.append(bytes(data[position:cut_start]))
                position = cut_end
        if position < end:
            pieces.append(bytes(data[position:end]))
    too_large = sum(map(len, pieces)) > _LIMIT or found.elements > _ELEMENTS
    if too_large:
        pieces = []
    bulks = [cut for cut in found.cuts if cut[5] >= 0]
    flags = (1 if implicit else 0) | (0 if little else 2)
    if not meta.startswith(b"\x02\x00"):
        meta = b""
    head = _HEAD.pack(b"FRH1", flags, len(meta), len(bulks))
    places = b"".join(_BULK.pack(tag, vr or b"\0\0", offset, length) for tag, vr, _, _, offset, length in bulks)
    return zlib.compress(b"".join((head, places, meta, *pieces)), 1), too_large


def _open(kept: bytes) -> tuple[int, list[Bulk], bytes, bytes]:
    raw = zlib.decompress(kept)
    magic, flags, meta_length, count = _HEAD.unpack_from(raw, 0)
    if magic != b"FRH1":
        raise ValueError("not a kept header")
    at = _HEAD.size
    bulks = []
    for _ in range(count):
        tag, vr, offset, length = _BULK.unpack_from(raw, at)
        bulks.append(Bulk(tag, vr.decode("ascii", "replace").strip("\0"), offset, length))
        at += _BULK.size
    return flags, bulks, raw[at : at + meta_length], raw[at + meta_length :]


def size(kept: bytes) -> int:
    """Bytes of the data set that `unpack` would read, without reading it."""
    return len(_open(kept)[3])


def bulks(kept: bytes) -> list[Bulk]:
    """Large values that are not in the data set of `unpack`."""
    return _open(kept)[1]


def open_data(kept: bytes) -> tuple[bool, bool, bytes]:
    """(implicit, little, data set as raw bytes) without pixels and bulk values."""
    flags, _, _, data = _open(kept)
    return bool(flags & 1), not flags & 2, data


def unpack(kept: bytes) -> "Dataset":
    """The data set without pixels and without bulk values, its file meta information beside it."""
    from pydicom.dataset import FileMetaDataset

    from app.dicom.reading import for_display, read_dataset

    flags, _, meta, data = _open(kept)
    implicit, little = bool(flags & 1), not flags & 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dataset = _read(data, implicit, little)
        except _CHARACTER_SET:  # pydicom trips over a damaged character set: read without it
            damaged = walk(data, 0, len(data), len(data), implicit, little).values.get(0x00080005, b"")
            dataset = _read(data.replace(damaged, b" " * len(damaged), 1), implicit, little)
        for_display(dataset)
        dataset.set_original_encoding(implicit, little, dataset._character_set)
        dataset.file_meta = FileMetaDataset(read_dataset(BytesIO(meta), False, True)) if meta else FileMetaDataset()
    return dataset


def _read(data: bytes, implicit: bool, little: bool) -> "Dataset":
    """The data set, up to a sequence of undefined length that is damaged: what stands behind it cannot be found."""
    from app.dicom.reading import read_dataset

    reached = []

    def note(tag: Any, _vr: str | None, _length: int) -> bool:
        reached.append(tag)
        return False

    try:
        return read_dataset(BytesIO(data), implicit, little)
    except OSError:
        with contextlib.suppress(OSError):
            read_dataset(BytesIO(data), implicit, little, stop_when=note)
        return read_dataset(BytesIO(data), implicit, little, stop_when=lambda tag, _vr, _length: tag == reached[-1])
