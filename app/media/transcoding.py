"""Whole objects in another transfer syntax (PS3.18 8.7.3.5.2). Lossless from here on; UIDs stay the same."""

from collections.abc import Iterator
from io import BytesIO

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomFileLike
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID

from app.archive import Archive, content
from app.archive.frames import Located
from app.archive.models import Instance
from app.dicom import uids
from app.forward.transcode import write_part10
from app.imaging.errors import CannotTranscode
from app.kit.errors import CannotConvert
from app.kit.phrases import of_fault
from app.viewing.frames import spec_of, targets

# decoded; larger objects go out as they are stored: a client does not wait that long for an answer
MAX_BYTES = 512 << 20
_NATIVE = frozenset((uids.IMPLICIT_LE, uids.EXPLICIT_LE))


def available_syntaxes(header: Dataset, instance: Instance) -> frozenset[str]:
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
    """The object's file in transfer syntax `target`, as stored when that is the same. Raises CannotTranscode."""
    instance = located.instance
    if target == instance.transfer_syntax_uid:
        yield from as_stored(archive, instance)
        return
    try:
        with write_part10(archive, instance, target) as (file, _):
            while piece := file.read(1 << 20):
                yield piece
    except CannotConvert as fault:
        raise CannotTranscode(of_fault(fault), hint="It is available in the stored transfer syntax.") from fault


def as_stored(archive: Archive, instance: Instance) -> Iterator[bytes]:
    """The stored file; with new File Meta Information where it came without, as application/dicom is a PS3.10 file."""
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
