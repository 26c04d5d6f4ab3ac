"""A whole Part 10 file in another transfer syntax, frame by frame, so that 2 GB need no more memory than one frame.

The SOP Instance UID stays: pixels are the same, only their encoding differs (PS3.3 C.12.1.1)."""

import shutil
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO, cast

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import generate_frames
from pydicom.filebase import DicomIO
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.uid import UID

from app.dicom import frames, syntaxes
from app.dicom.reading import dcmread, read_dataset
from app.imaging.decode import decode
from app.imaging.errors import CannotDecode, CannotTranscode, ImagingError
from app.imaging.native import align_bits, pack, swapped
from app.imaging.spec import PixelSpec
from app.imaging.transcode import can_transcode, photometric_after, planar_after, transcode_frame
from app.kit.phrases import of_fault, phrase

FILE_TARGETS = syntaxes.TARGETS - {syntaxes.DEFLATED_LE}
MAX_INFLATED = 4 << 30
_KINDS: dict[int, Any] = {0x7FE00010: "int", 0x7FE00008: "float32", 0x7FE00009: "float64"}
_UNDEFINED = 0xFFFFFFFF
_BITS_AT_ONCE = 1 << 20
_WORD_BYTES = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}
_OFFSET_TABLES = ("ExtendedOffsetTable", "ExtendedOffsetTableLengths")


@dataclass(frozen=True, slots=True)
class _Pixels:
    """The pixel data element of the source: where its value begins and ends in the file, and where its frames lie in it. All
    frames count that are there, whatever Number of Frames states."""

    spec: PixelSpec
    start: int
    lies: frames.Native | frames.FrameTable
    end: int


def transcode_dataset(source: Path, target_uid: str, out: Path) -> None:
    """Writes `source` to `out`, which must not exist, in the target transfer syntax.

    Raises CannotTranscode where the target cannot carry the pixels, other ImagingErrors where they are damaged;
    then nothing is left at `out`. An object without pixels is encoded anew, for a compressed target as Explicit VR
    Little Endian."""
    if target_uid not in FILE_TARGETS:
        raise CannotTranscode(
            phrase("Files cannot be written in the transfer syntax {target_uid}.", target_uid=target_uid)
        )
    with out.open("x+b") as written:
        try:
            with source.open("rb") as opened, _inflated(opened) as plain:
                _transcode(plain, target_uid, written)
        except BaseException:
            out.unlink(missing_ok=True)
            raise


def _inflated(file: BinaryIO) -> BinaryIO:
    """The same file, inflated when its data set is deflated: with a limit, for a small file may hold any amount."""
    meta = _deflated_meta(file)
    if meta is None:
        file.seek(0)
        return file
    meta.TransferSyntaxUID = UID(syntaxes.EXPLICIT_LE)
    plain = cast(BinaryIO, TemporaryFile(prefix="filmroom-inflated-"))  # noqa: SIM115 - the caller closes it
    _write_meta(plain, meta)
    inflater, total = zlib.decompressobj(-zlib.MAX_WBITS), 0
    try:
        while chunk := file.read(1 << 16):
            while chunk:
                piece = inflater.decompress(chunk, 4 << 20)
                total += len(piece)
                if total > MAX_INFLATED or (total > 64 << 20 and total > 200 * file.tell()):
                    raise CannotDecode("The deflated file expands to an implausible size.")
                plain.write(piece)
                chunk = inflater.unconsumed_tail
    except zlib.error:
        raise CannotDecode("The deflated file is damaged.") from None
    plain.seek(0)
    return plain


def _deflated_meta(file: BinaryIO) -> FileMetaDataset | None:
    """The meta group of a file that says it is deflated, the file then at its data set. Read by itself: pydicom's dcmread
    would inflate the whole file to answer."""
    file.seek(132)
    meta = FileMetaDataset(read_dataset(file, False, True, stop_when=lambda tag, _vr, _length: tag >> 16 != 2))
    return meta if str(meta.get("TransferSyntaxUID") or "").strip("\0 ") == syntaxes.DEFLATED_LE else None


def _write_meta(out: BinaryIO, meta: FileMetaDataset) -> None:
    out.write(bytes(128) + b"DICM")
    write_file_meta_info(DicomIO(out), meta, enforce_standard=True)


def _transcode(file: BinaryIO, target_uid: str, out: BinaryIO) -> None:
    ds: Any = dcmread(file, stop_before_pixels=True)
    source_uid = str(ds.file_meta.get("TransferSyntaxUID") or "")
    if source_uid == target_uid:
        file.seek(0)
        shutil.copyfileobj(file, out, 1 << 20)
        return
    implicit, little = source_uid == syntaxes.IMPLICIT_LE, source_uid != syntaxes.EXPLICIT_BE
    pixels = _find_pixels(file, ds, source_uid, implicit, little)
    if pixels is None:
        target_uid = target_uid if syntaxes.is_native(target_uid) else syntaxes.EXPLICIT_LE
    elif not can_transcode(pixels.spec, target_uid):
        raise CannotTranscode(
            phrase("The pixel data cannot be converted to the transfer syntax {target_uid}.", target_uid=target_uid)
        )
    meta: FileMetaDataset = ds.file_meta
    meta.TransferSyntaxUID = UID(target_uid)
    # The attributes of the data set are used; the copies in the meta group sometimes lag behind.
    meta.MediaStorageSOPInstanceUID = ds.get("SOPInstanceUID") or meta.get("MediaStorageSOPInstanceUID")
    meta.MediaStorageSOPClassUID = ds.get("SOPClassUID") or meta.get("MediaStorageSOPClassUID")
    _write_meta(out, meta)
    to_little = target_uid != syntaxes.EXPLICIT_BE
    if pixels is not None:
        _describe(ds, pixels.spec, target_uid)
    _write_part(out, ds, target_uid, swap=little != to_little, source_uid=source_uid)
    if pixels is not None:
        _write_pixels(out, pixels.spec, target_uid, _frames(file, pixels))
        file.seek(pixels.end)
        tail = read_dataset(file, implicit, little)
        tail.pop(0xFFFAFFFA, None)  # digital signatures covered bytes that have changed
        _write_part(out, tail, target_uid, swap=little != to_little, source_uid=source_uid)


def _find_pixels(file: BinaryIO, ds: Dataset, uid: str, implicit: bool, little: bool) -> _Pixels | None:
    """Reads the header of the pixel data element at the file's position; None at its end."""
    order = "<" if little else ">"
    head = file.read(8)
    if len(head) < 8:
        return None
    group, element = struct.unpack(f"{order}HH", head[:4])
    kind = _KINDS.get(group << 16 | element)
    if kind is None:
        raise CannotDecode("The data set ends in an element that cannot be read.")
    vr = "OW" if implicit else head[4:6].decode("ascii", "replace")
    raw = head[4:] if implicit else file.read(4)
    (length,) = struct.unpack(f"{order}L", raw)
    spec = PixelSpec.from_dataset(ds, uid)
    in_words = uid == syntaxes.EXPLICIT_BE and spec.bits_allocated == 8 and vr == "OW"
    spec = replace(spec, kind=kind, swapped=in_words)
    start = file.tell()
    if length == _UNDEFINED:
        table, end = _fragments(file, ds, spec)
        return _Pixels(replace(spec, frames=table.count), start, table, end)
    label = spec.photometric
    stated = spec.frames if ds.get("NumberOfFrames") else None
    lies = frames.native(spec.rows, spec.columns, spec.samples, spec.bits_allocated, label, stated, length)
    if frames.is_mislabelled(lies, spec.rows * spec.columns * spec.samples * spec.bits_allocated, label):
        label = label.removesuffix("_422") if spec.sampled_422 else f"{label}_422"  # chroma as it is sampled
    spec = replace(spec, photometric=label, frames=lies.count if length else 0)
    return _Pixels(spec, start, lies, start + length)


def _fragments(file: BinaryIO, ds: Dataset, spec: PixelSpec) -> tuple[frames.FrameTable, int]:
    """The frames of the encapsulated pixel data whose first item is at the file's position, and where it ends."""

    def read(offset: int, length: int) -> bytes:
        file.seek(offset)
        return file.read(length)

    start, size = file.tell(), file.seek(0, 2)
    extended = ds.get("ExtendedOffsetTable")
    extended = extended if isinstance(extended, bytes) else b""
    stated = spec.frames if ds.get("NumberOfFrames") else None
    try:
        table = frames.locate_encapsulated(read, start, size, stated, extended=extended)[0]
    except frames.BadFrames as fault:
        raise CannotDecode(of_fault(fault)) from None
    end = frames.end_of(read, start, size, table)
    if table.count < (stated or 1) and end is None:  # cut off, not counted wrongly
        raise CannotDecode(phrase("The file contains {count} of {frames} frames.", count=table.count, frames=stated))
    return table, size if end is None else end


def _frames(file: BinaryIO, pixels: _Pixels) -> Iterator[bytes]:
    """Each frame as stored, 1-bit ones moved to begin on a byte, those in big endian words to begin with one."""
    spec, lies = pixels.spec, pixels.lies
    for number in range(1, spec.frames + 1):
        if isinstance(lies, frames.FrameTable):
            yield b"".join(_piece(file, *place) for place in lies.locate(number))
            continue
        offset, length, bit, _ = lies.span(number)
        odd = offset % 2 if spec.swapped else 0
        data = _piece(file, pixels.start + offset - odd, length + odd + (offset + length) % 2 * spec.swapped)
        data = swapped(swapped(data)[1:]) if odd else data
        yield align_bits(data, bit, spec.frame_bits) if bit else data


def _piece(file: BinaryIO, offset: int, length: int) -> bytes:
    file.seek(offset)
    return file.read(length)


def _describe(ds: Any, spec: PixelSpec, target_uid: str) -> None:
    """Attributes that describe the encoding (PS3.5 8.2)."""
    for keyword in _OFFSET_TABLES:
        if keyword in ds:
            delattr(ds, keyword)
    if spec.colour and target_uid != spec.transfer_syntax_uid:
        ds.PhotometricInterpretation = photometric_after(spec, target_uid)
        ds.PlanarConfiguration = planar_after(spec, target_uid)


def _write_part(out: BinaryIO, ds: Dataset, target_uid: str, *, swap: bool, source_uid: str) -> None:
    _plain_icons(ds, source_uid)
    if swap:
        _swap_words(ds)
    target = DicomIO(out)
    target.is_implicit_VR = target_uid == syntaxes.IMPLICIT_LE
    target.is_little_endian = target_uid != syntaxes.EXPLICIT_BE
    write_dataset(target, ds)


def _plain_icons(ds: Dataset, source_uid: str) -> None:
    """Icons may be compressed as the image is; they are written natively, one that cannot be read is left out."""
    if syntaxes.is_native(source_uid) or "IconImageSequence" not in ds:
        return
    kept = []
    for item in ds.IconImageSequence:
        try:
            if "PixelData" in item and item["PixelData"].is_undefined_length:
                spec = PixelSpec.from_dataset(item, source_uid)
                frame = next(generate_frames(item.PixelData, number_of_frames=1))
                data = transcode_frame(frame, spec, syntaxes.EXPLICIT_LE)
                item.PixelData = data + b"\0" * (len(data) % 2)
                item["PixelData"].is_undefined_length = False
                item["PixelData"].VR = "OW" if spec.bits_allocated > 8 else "OB"
                item.PhotometricInterpretation = photometric_after(spec, syntaxes.EXPLICIT_LE)
            kept.append(item)
        except (ImagingError, ValueError, StopIteration, KeyError, AttributeError):
            continue
    ds.IconImageSequence = kept


def _swap_words(ds: Dataset) -> None:
    """Values of bytes in words, which pydicom leaves in the order of the file they came from."""
    for element in ds:
        if element.VR == "SQ":
            for item in element.value:
                _swap_words(item)
        elif element.VR in _WORD_BYTES and isinstance(element.value, bytes):
            width = _WORD_BYTES[element.VR]
            usable = len(element.value) // width * width
            words = np.frombuffer(element.value[:usable], f"u{width}")
            element.value = words.byteswap().tobytes() + element.value[usable:]


def _write_pixels(out: BinaryIO, spec: PixelSpec, target_uid: str, frames: Iterable[bytes]) -> None:
    if not syntaxes.is_native(target_uid):
        _write_fragments(out, spec, (transcode_frame(frame, spec, target_uid) for frame in frames))
        return
    after = replace(spec, photometric=photometric_after(spec, target_uid), transfer_syntax_uid=target_uid)
    total = (after.frame_bits * spec.frames + 7) // 8
    total += total % 2
    if total >= _UNDEFINED:
        raise CannotTranscode("The uncompressed pixel data would exceed 4 GB, the limit of an element.")
    element = {"int": 0x0010, "float32": 0x0008, "float64": 0x0009}[spec.kind]
    vr = {"float32": b"OF", "float64": b"OD"}.get(spec.kind, b"OW" if spec.bits_allocated > 8 else b"OB")
    order = ">" if target_uid == syntaxes.EXPLICIT_BE else "<"
    out.write(struct.pack(f"{order}HH", 0x7FE0, element))
    out.write(
        struct.pack(f"{order}L", total)
        if target_uid == syntaxes.IMPLICIT_LE
        else vr + struct.pack(f"{order}HL", 0, total)
    )
    start = out.tell()
    for data in (
        _packed_bits(frames, spec)
        if spec.bits_allocated == 1
        else (transcode_frame(frame, spec, target_uid)[: after.frame_bytes] for frame in frames)
    ):
        out.write(data)
    out.write(bytes(total - (out.tell() - start)))


def _packed_bits(frames: Iterable[bytes], spec: PixelSpec) -> Iterator[bytes]:
    """1-bit frames follow each other without padding (PS3.5 8.1.1): bits that fill no byte wait for the next frame."""
    rest = np.empty(0, np.uint8)
    for frame in frames:
        values = decode(frame, spec).values.reshape(-1)
        for start in range(0, len(values), _BITS_AT_ONCE):
            bits = np.concatenate([rest, values[start : start + _BITS_AT_ONCE]])
            whole = len(bits) // 8 * 8
            yield pack(bits[:whole], 1)
            rest = bits[whole:]
    yield pack(rest, 1)


def _write_fragments(out: BinaryIO, spec: PixelSpec, frames: Iterable[bytes]) -> None:
    """One fragment per frame and a Basic Offset Table, empty where its 32 bits might not reach (PS3.5 A.4)."""
    table = [] if spec.frame_bytes * spec.frames > 2 << 30 else [0] * spec.frames
    out.write(struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OB", 0, _UNDEFINED))
    out.write(struct.pack("<HHL", 0xFFFE, 0xE000, 4 * len(table)))
    table_at = out.tell()
    out.write(bytes(4 * len(table)))
    first = out.tell()
    for index, frame in enumerate(frames):
        if table:
            table[index] = out.tell() - first
        padded = frame + b"\0" * (len(frame) % 2)
        out.write(struct.pack("<HHL", 0xFFFE, 0xE000, len(padded)))
        out.write(padded)
    out.write(struct.pack("<HHL", 0xFFFE, 0xE0DD, 0))
    end = out.tell()
    out.seek(table_at)
    out.write(struct.pack(f"<{len(table)}L", *table))
    out.seek(end)
