"""An object's data set in Explicit or Implicit VR Little Endian, for peers that do not take it as it is stored (NET-2).

Pixels are decoded by `imaging`; everything else is only encoded anew. Values are never changed."""

import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, BytesIO, RawIOBase
from typing import Any, BinaryIO

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.dataelem import DataElement
from pydicom.encaps import generate_frames
from pydicom.filebase import DicomFileLike
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset

from app.imaging.decode import decode
from app.imaging.spec import PixelSpec
from app.kit.errors import AppError
from app.kit.phrases import phrase
from app.peers.errors import CannotConvert

_IMPLICIT, _BIG, _DEFLATED = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
_NATIVE = {_IMPLICIT, "1.2.840.10008.1.2.1", _BIG, _DEFLATED}
_WORD = {"OW": "u2", "OF": "u4", "OL": "u4", "OD": "u8", "OV": "u8"}
_INFLATED_LIMIT = 512 << 20
_IN_MEMORY = 16 << 20


@contextmanager
def data_set(file: BinaryIO, syntax: str) -> Iterator[tuple[BinaryIO, int]]:
    """The data set of a Part 10 file in `syntax` (Explicit or Implicit VR Little Endian): a file at its start, and
    its length. Raises CannotConvert."""
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as made, tempfile.TemporaryFile() as pixels:
        try:
            _write(_buffered(file), pixels, made, syntax)
        except AppError as fault:
            raise CannotConvert(phrase("It cannot be decompressed: {detail}", detail=fault.detail)) from fault
        except (RecursionError, ValueError, TypeError, AttributeError, KeyError, EOFError, zlib.error) as fault:
            raise CannotConvert(phrase("It cannot be converted ({kind}).", kind=type(fault).__name__)) from fault
        length = made.tell()
        made.seek(0)
        yield made, length  # type: ignore[misc]


def _buffered(file: Any) -> Dataset:
    """Reads through a buffer, which must not close the file when it goes."""
    if not isinstance(file, RawIOBase):
        return _read(file)
    reader = BufferedReader(file)
    try:
        return _read(reader)
    finally:
        reader.detach()


def _read(file: BinaryIO) -> Dataset:
    file.seek(0)
    found = dcmread(file, force=True, stop_before_pixels=True, specific_tags=["TransferSyntaxUID"])
    if str(found.file_meta.get("TransferSyntaxUID", "")) != _DEFLATED:
        file.seek(0)
        return dcmread(file, force=True)
    file.seek(132)
    meta = dcmread(file, force=True, stop_before_pixels=True, specific_tags=[]).file_meta
    file.seek(144)
    start = 144 + int(meta.FileMetaInformationGroupLength)
    file.seek(start)
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    plain = inflater.decompress(file.read(), _INFLATED_LIMIT)
    if inflater.unconsumed_tail:
        raise CannotConvert(phrase("Inflated it has more than {most} MiB.", most=_INFLATED_LIMIT >> 20))
    made = read_dataset(BytesIO(plain), False, True)
    made.file_meta = meta
    return made


def _write(ds: Dataset, pixels: Any, made: Any, syntax: str) -> None:
    stored = str(ds.file_meta.get("TransferSyntaxUID", ""))
    if stored not in _NATIVE and "PixelData" in ds:
        _decompress(ds, stored, pixels)
    elif stored == _BIG:
        ds.walk(_swap)
    out = DicomFileLike(made)
    out.is_implicit_VR, out.is_little_endian = syntax == _IMPLICIT, True
    write_dataset(out, ds)


def _swap(_: Dataset, element: DataElement) -> None:
    """pydicom leaves the byte order of words as it was read."""
    if element.VR in _WORD and isinstance(element.value, bytes):
        size = np.dtype(_WORD[element.VR]).itemsize
        whole = len(element.value) // size * size
        element.value = np.frombuffer(element.value[:whole], ">" + _WORD[element.VR]).byteswap().tobytes()


def _decompress(ds: Dataset, stored: str, pixels: Any) -> None:
    spec = PixelSpec.from_dataset(ds, stored)
    count = int(ds.get("NumberOfFrames") or 1)
    photometric = spec.photometric
    frames = 0
    for frame in generate_frames(ds.PixelData, number_of_frames=count):
        decoded = decode(frame, spec)
        words = np.ascontiguousarray(decoded.words)
        pixels.write(words.astype(words.dtype.newbyteorder("<"), copy=False).tobytes())
        photometric, frames = decoded.photometric, frames + 1
    if frames != count:
        raise CannotConvert(phrase("It has {frames} of {count} frames.", frames=frames, count=count))
    if pixels.tell() % 2:
        pixels.write(b"\0")
    pixels.seek(0)
    vr = "OB" if spec.bits_allocated <= 8 else "OW"
    ds[0x7FE00010] = DataElement(0x7FE00010, vr, pixels)
    ds.PhotometricInterpretation = photometric
    if spec.samples > 1:
        ds.PlanarConfiguration = 0
    for keyword in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        if keyword in ds:
            del ds[keyword]
