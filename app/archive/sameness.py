"""Whether two files hold the same object in different encodings: equal attributes, and equal pixels once decoded
(ARC-3).

Transfer syntax, byte order, fragments, offset tables, file meta information, group lengths and padding do not matter.
Lossy compression changes pixels and with them the object."""

import os
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, NamedTuple

import numpy as np
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from app.archive import rows
from app.archive.framing import locate, native_of
from app.dicom import dicomjson, frames, kept, uids
from app.dicom.damage import DAMAGE
from app.dicom.header import Header, NotDicom, inflate, most_inflated, scan
from app.dicom.walk import PADDING
from app.imaging import PixelSpec, colour, cost, decode
from app.imaging.decode import memory_needed
from app.imaging.errors import ImagingError
from app.imaging.native import Samples

TIME_LIMIT = 30.0  # seconds; a sender waits for the answer, and what is not compared by then is another object
_DEPTH = 45  # sequences in sequences
_LENGTH_TO_END, _PHOTOMETRIC, _PLANAR, _PIXEL_GROUP = 0x00080001, 0x00280004, 0x00280006, 0x7FE0
_TEXT = frozenset(
    ("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT")
)
_COLOUR = frozenset(("RGB", "YBR_FULL", "YBR_PARTIAL", "YBR_ICT", "YBR_RCT"))


class _ComparisonSlow(Exception):
    """The time for a comparison is up."""


@dataclass(slots=True)
class _Side:
    """One of the two objects."""

    fd: int
    size: int
    header: Header
    rows: rows.Row
    table: frames.FrameTable | None
    plain: bytes | bytearray = b""  # the inflated data set of a deflated object

    def read(self, offset: int, length: int) -> bytes:
        return (
            bytes(memoryview(self.plain)[offset : offset + length])
            if self.header.deflated
            else os.pread(self.fd, length, offset)
        )

    def frame(self, number: int) -> tuple[bytes, int]:
        """A frame as stored and the bit it begins at."""
        if self.table is not None:
            return b"".join(self.read(*place) for place in self.table.locate(number)), 0
        offset, length, bit, missing = self.layout.span(number)
        if missing:
            raise frames.BadFrames("The pixel data ends before this frame.")
        return self.read((self.header.pixel_offset or 0) + offset, length), bit

    @property
    def layout(self) -> frames.Native:
        return native_of(self.rows, self.rows["number_of_frames"], self.header.pixel_bytes or 0)


def _open_side(fd: int, size: int) -> _Side:
    header = scan(fd, size)
    described = rows.describe(header).instance
    packed = locate(fd, size, header, described)
    side = _Side(fd, size, header, described, frames.unpack(packed) if packed is not None else None)
    if header.deflated:
        data = os.pread(fd, size - header.data_set_offset, header.data_set_offset)
        side.plain = inflate(data, 0, most_inflated(size))[0]
    return side


def same_object(left_fd: int, left_size: int, right_fd: int, right_size: int) -> bool:
    """Whether two open files hold the same object. What cannot be read, decoded or compared in time is not the same."""
    until = time.monotonic() + TIME_LIMIT
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            left, right = _open_side(left_fd, left_size), _open_side(right_fd, right_size)
            one, other = (kept.unpack(side.header.kept, side.read, drawn=False) for side in (left, right))
            return (
                _same_data_sets(one, other, until)
                and _same_bulks(left, right)
                and _same_pixels(left, right, one, other, until)
            )
    except (*DAMAGE, _ComparisonSlow, NotDicom, ImagingError, frames.BadFrames, MemoryError):
        return False


def _check_time(until: float) -> None:
    if time.monotonic() > until:
        raise _ComparisonSlow


# -- attributes ----------------------------------------------------------------------------------------------------


def _compared(ds: Dataset, depth: int) -> Iterator[int]:
    for tag in ds.keys():  # noqa: SIM118 a data set yields elements
        encoding = tag.element == 0 or tag in (PADDING, _LENGTH_TO_END)
        at_top = depth == 0 and (tag in (_PHOTOMETRIC, _PLANAR) or tag.group == _PIXEL_GROUP)
        if not encoding and not at_top:
            yield int(tag)


def _same_data_sets(left: Dataset, right: Dataset, until: float, depth: int = 0) -> bool:
    _check_time(until)
    tags = set(_compared(left, depth))
    if depth > _DEPTH or tags != set(_compared(right, depth)):
        return False
    return all(_same_element(left, right, tag, until, depth) for tag in sorted(tags))


def _same_element(left: Dataset, right: Dataset, tag: int, until: float, depth: int) -> bool:
    if _same_bytes(left.get_item(tag), right.get_item(tag)):
        return True
    one, other = left[tag], right[tag]
    if "SQ" in (one.VR, other.VR):
        items, others = _items(left, tag), _items(right, tag)
        return len(items) == len(others) and all(
            _same_data_sets(a, b, until, depth + 1) for a, b in zip(items, others, strict=True)
        )
    if isinstance(one.value, bytes) or isinstance(other.value, bytes):
        return _little(left, one) == _little(right, other)
    return bool(one.VR == other.VR and one.value == other.value)


def _same_bytes(left: Any, right: Any) -> bool:
    """Whether the values are the same bytes in little endian; of text without the padding. In implicit VR the type of a
    private element is not known."""
    one, other = _raw(left), _raw(right)
    if one is None or other is None:
        return False
    if one == other:
        return True
    return bool({left.VR, right.VR} & _TEXT) and one.rstrip(b" \0") == other.rstrip(b" \0")


def _raw(element: Any) -> bytes | None:
    """The value's bytes in little endian; None where they are not at hand."""
    if not isinstance(element, RawDataElement) or not isinstance(element.value, bytes) or element.VR == "SQ":
        return None
    return element.value if element.is_little_endian else dicomjson.turned(element.VR or "", element.value)


def _little(ds: Dataset, element: Any) -> bytes:
    value = element.value if isinstance(element.value, bytes) else b""
    return value if ds.original_encoding[1] is not False else dicomjson.turned(str(element.VR), value)


def _items(ds: Dataset, tag: int) -> Any:
    """The items of a sequence, also of one that implicit VR leaves unnamed (PS3.5 6.2.2 note 2)."""
    element = ds[tag]
    if element.VR == "SQ":
        return element.value
    value = element.value if isinstance(element.value, bytes) else b""
    unnamed: Any = {element.tag: RawDataElement(element.tag, "SQ", len(value), value, 0, True, True)}
    return Dataset(unnamed)[tag].value


def _same_bulks(left: _Side, right: _Side) -> bool:
    """Large values, which the kept headers only point to."""
    one, other = ({bulk.tag: bulk for bulk in kept.bulks(side.header.kept)} for side in (left, right))
    for bulks in (one, other):
        bulks.pop(PADDING, None)
    return one.keys() == other.keys() and all(_same_bulk(left, one[tag], right, other[tag]) for tag in one)


def _same_bulk(left: _Side, one: kept.Bulk, right: _Side, other: kept.Bulk) -> bool:
    if one.length != other.length:
        return False
    for at in range(0, one.length, 1 << 20):
        step = min(1 << 20, one.length - at)
        a, b = left.read(one.offset + at, step), right.read(other.offset + at, step)
        a = a if left.header.little else dicomjson.turned(one.vr, a)
        if a != (b if right.header.little else dicomjson.turned(other.vr, b)):
            return False
    return True


# -- pixels --------------------------------------------------------------------------------------------------------


def _same_pixels(left: _Side, right: _Side, one: Dataset, other: Dataset, until: float) -> bool:
    if left.header.pixel_tag != right.header.pixel_tag:
        return False
    if not left.header.pixel_tag:
        return True
    specs = [_spec(side, ds) for side, ds in ((left, one), (right, other))]
    video = any(uids.transfer_syntax(side.header.transfer_syntax_uid).video for side in (left, right))
    count = 1 if video else specs[0].frames
    if count != (1 if video else specs[1].frames):
        return False
    for number in range(1, count + 1):
        _check_time(until)
        stored = [side.frame(number) for side in (left, right)]
        alike = specs[0] == specs[1] and stored[0][1] == stored[1][1]
        if alike and _without_padding(stored[0][0]) == _without_padding(stored[1][0]):
            continue
        if video:
            return False
        one_seen, other_seen = (_decode(f, spec, bit) for (f, bit), spec in zip(stored, specs, strict=True))
        if not _same_frames(one_seen, other_seen):
            return False
    return True


def _without_padding(frame: bytes) -> bytes:
    """A code stream without the byte that makes its fragment even; native frames stay what they are."""
    return frame[:-1] if frame.endswith(b"\xff\xd9\0") else frame


def _spec(side: _Side, ds: Dataset) -> PixelSpec:
    if side.header.pixel_tag == 0x7FE00010:  # its VR decides whether 8-bit samples are swapped (PS3.5 A.3)
        ds.add_new(0x7FE00010, kept.pixels(side.header.kept)[1] or "OW", b"")
    return PixelSpec.from_dataset(ds, side.header.transfer_syntax_uid)


class _Seen(NamedTuple):
    """Digests of a decoded frame: one after the other is decoded, never two in memory. rgb: of its colours as RGB."""

    photometric: str
    values: bytes
    rgb: bytes


def _decode(frame: bytes, spec: PixelSpec, bit: int) -> _Seen:
    """Raises ImagingError."""
    with cost.ROOM.of(memory_needed(frame, spec)):
        decoded = decode(frame, spec, bit)
        values, photometric = decoded.values, decoded.photometric
        del decoded
        own = _digest(values)
        if photometric not in _COLOUR:
            return _Seen(photometric, own, b"")
        bits = values.dtype.itemsize * 8
        return _Seen(photometric, own, own if photometric == "RGB" else _digest(values, photometric, bits))


def _digest(values: Samples, photometric: str = "", bits: int = 0) -> bytes:
    """Of shape, kind and every value, some rows at a time; as RGB where a photometric interpretation is given."""
    digest = sha256(f"{values.shape} {values.dtype.str}".encode())
    step = max(1, (1 << 18) // max(1, values.shape[1]))
    for start in range(0, values.shape[0], step):
        band = values[start : start + step]
        band = colour.to_rgb(band, photometric, bits) if photometric else band
        if band.dtype.kind == "f":
            band = np.where(np.isnan(band), band.dtype.type(np.nan), band) + band.dtype.type(0)  # one NaN, one zero
        digest.update(np.ascontiguousarray(band).data)
    return digest.digest()


def _same_frames(left: _Seen, right: _Seen) -> bool:
    return left.values == right.values if left.photometric == right.photometric else left.rgb == right.rgb != b""
