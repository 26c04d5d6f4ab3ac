"""Whole objects in another transfer syntax (PS3.18 8.7.3.5.2). Lossless from here on; UIDs stay the same."""

import struct
from collections.abc import Iterator
from io import BytesIO

from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomFileLike
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID

from app.archive import Archive, content
from app.archive.models import Instance
from app.dicom import uids
from app.dicom.reading import dcmread
from app.imaging import PixelSpec
from app.imaging.errors import CannotTranscode
from app.imaging.transcode import photometric_after, transcode_frame
from app.viewing.frames import Frames, Located, spec_of, targets

MAX_BYTES = 96 << 20  # decoded; larger objects go out as they are stored
_UNWRITABLE = (ValueError, TypeError, AttributeError, KeyError, NotImplementedError, OverflowError, struct.error)
_NATIVE = frozenset((uids.IMPLICIT_LE, uids.EXPLICIT_LE))


def possible(header: Dataset, instance: Instance) -> frozenset[str]:
    """Transfer syntaxes this object can be given in, besides its own."""
    if instance.bytes > MAX_BYTES:
        return frozenset()
    if instance.pixel_offset is None:
        return _NATIVE - {instance.transfer_syntax_uid}
    spec = spec_of(header, instance)
    if spec is None or spec.rows * spec.columns * spec.samples * spec.bits_allocated // 8 * spec.frames > MAX_BYTES:
        return frozenset()
    return targets(spec) - {uids.EXPLICIT_BE, uids.DEFLATED_LE}


def object_as(archive: Archive, located: Located, target: str) -> Iterator[bytes]:
    """The object's file in transfer syntax `target`, as stored when that is the same. Raises ImagingError."""
    instance = located.instance
    if target == instance.transfer_syntax_uid:
        yield from as_stored(archive, instance)
        return
    with content.open_object(archive, instance) as file:
        ds = dcmread(BytesIO(file.read()), force=True)
    if str(ds.get("SOPInstanceUID", "")).strip() != instance.sop_instance_uid:
        # pydicom answers some damage with a nearly empty data set and no word
        raise CannotTranscode("This object is damaged; it can be had as it is stored only.")
    if instance.transfer_syntax_uid == uids.EXPLICIT_BE:
        _swap_words(ds)
    if "PixelData" in ds and instance.pixel_offset is not None:
        _turn_pixels(archive, located, ds, target)
    ds.file_meta.TransferSyntaxUID = UID(target)
    out = BytesIO()
    try:
        # not Dataset.save_as, which refuses big endian; its words were swapped above
        dcmwrite(
            out,
            ds,
            implicit_vr=target == uids.IMPLICIT_LE,
            little_endian=True,
            enforce_file_format=True,
        )
    except _UNWRITABLE as fault:
        raise CannotTranscode("Something in this object cannot be written in another transfer syntax.") from fault
    view = out.getbuffer()
    for at in range(0, len(view), 1 << 20):
        yield bytes(view[at : at + (1 << 20)])


def as_stored(archive: Archive, instance: Instance) -> Iterator[bytes]:
    """The stored file; with File Meta Information of ours where it came without, as application/dicom is a PS3.10 file."""
    with content.open_object(archive, instance) as file:
        head = file.read(min(instance.data_set_offset, 65536))
    if head[128:132] == b"DICM" and b"\x02\x00\x10\x00UI" in head:
        yield from content.iter_object(archive, instance)
        return
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(instance.sop_class_uid)
    meta.MediaStorageSOPInstanceUID = UID(instance.sop_instance_uid)
    meta.TransferSyntaxUID = UID(instance.transfer_syntax_uid)
    out = BytesIO()
    write_file_meta_info(DicomFileLike(out), meta, enforce_standard=True)
    yield b"\0" * 128 + b"DICM" + out.getvalue()
    start = instance.data_set_offset
    yield from content.iter_region(archive, instance, start, instance.bytes - start)


def _turn_pixels(archive: Archive, located: Located, ds: Dataset, target: str) -> None:
    spec = PixelSpec.from_dataset(ds, located.instance.transfer_syntax_uid)
    if spec.bits_allocated == 1 and spec.frames > 1 and (spec.rows * spec.columns) % 8:
        raise CannotTranscode("Single-bit frames that do not end on a byte stay as they are stored.")
    with Frames(archive, located) as frames:
        made = [transcode_frame(frames.stored(n), spec, target) for n in range(1, spec.frames + 1)]
    if target in _NATIVE:
        data = b"".join(made)
        ds.PixelData = data + b"\0" * (len(data) % 2)
        ds["PixelData"].VR = "OB" if spec.bits_allocated <= 8 and target != uids.IMPLICIT_LE else "OW"
        ds["PixelData"].is_undefined_length = False
    else:
        ds.PixelData = encapsulate(made)
        ds["PixelData"].VR = "OB"
        ds["PixelData"].is_undefined_length = True
    for keyword in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        if keyword in ds:
            del ds[keyword]
    ds.PhotometricInterpretation = photometric_after(spec, target)
    if spec.samples > 1:
        ds.PlanarConfiguration = 0


def _swap_words(ds: Dataset) -> None:
    """Values of VR OW, OF, OL and OD stand in the byte order of the file (PS3.5 6.2); pydicom keeps their bytes."""
    for element in ds.iterall():
        width = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}.get(element.VR)
        if width and element.tag != 0x7FE00010 and isinstance(element.value, bytes) and len(element.value) % width == 0:
            pieces = memoryview(element.value)
            element.value = b"".join(bytes(pieces[at : at + width])[::-1] for at in range(0, len(pieces), width))
