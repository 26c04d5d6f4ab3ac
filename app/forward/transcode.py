"""An object's data set in another transfer syntax, for peers that do not take it as it is stored (NET-2).

`imaging` does the work frame by frame, so that an object of 2 GB needs no more memory than one frame. Values are never
changed; from here on everything is lossless."""

import struct
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID

from app.archive import Archive, content
from app.archive.models import Instance
from app.archive.store import translate_fault
from app.dicom.reading import dcmread
from app.forward import derived, transcode_sweep
from app.imaging.transcode_file import transcode_dataset
from app.kit.errors import AppError, CannotConvert
from app.kit.phrases import phrase

_TROUBLE = (RecursionError, ValueError, TypeError, AttributeError, KeyError, EOFError, struct.error, zlib.error)


@contextmanager
def data_set(archive: Archive, instance: Instance, syntax: str) -> Iterator[tuple[BinaryIO, int]]:
    """The object's data set in `syntax`: an ordinary file at its first byte, and its length in bytes.
    Raises CannotConvert, StorageFull, NotFound when the stored file is gone."""
    with write_part10(archive, instance, syntax) as (file, length):
        head = file.read(144)
        start = 144 + int.from_bytes(head[140:144], "little")  # the file meta group follows its own length
        file.seek(start)
        yield file, length - start


@contextmanager
def write_part10(archive: Archive, instance: Instance, syntax: str) -> Iterator[tuple[BinaryIO, int]]:
    """The object as a PS3.10 file in `syntax`, its own included: for one that came without file meta information. An
    ordinary file at its first byte, and its length. Raises as data_set; Damaged (a NotFound) where the stored file changed,
    because a converted object would hide it."""
    content.require_complete(archive, instance)
    archive.store.require_space(_most_bytes(instance), temporary=True)
    archive.config.run.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=transcode_sweep.PREFIX, dir=archive.config.run) as folder:
        made = Path(folder) / "made"
        transcode_sweep.mark_conversion(Path(folder), derived.key_of(instance))
        try:
            transcode_dataset(_source(archive, instance, Path(folder)), syntax, made)
        except FileNotFoundError:
            raise content.missing_file() from None
        except OSError as fault:
            raise translate_fault(fault) from fault
        except AppError as fault:
            raise CannotConvert(phrase("It cannot be converted: {detail}", detail=fault.detail)) from fault
        except _TROUBLE as fault:
            raise CannotConvert(phrase("It cannot be converted ({kind}).", kind=type(fault).__name__)) from fault
        transcode_sweep.unmark_conversion(Path(folder))
        if not _is(made, instance):
            # pydicom answers some damage with a nearly empty data set and no word
            raise CannotConvert("The object is damaged; it can be given as it is stored only.")
        with made.open("rb", buffering=0) as file:
            length = file.seek(0, 2)
            file.seek(0)
            yield file, length


def _most_bytes(instance: Instance) -> int:
    """About as large as its file becomes at most: decoded, of up to two bytes a sample of a grey image."""
    decoded = 2 * (instance.rows or 0) * (instance.columns or 0) * max(instance.number_of_frames or 1, 1)
    return max(instance.bytes, decoded)


def _is(made: Path, instance: Instance) -> bool:
    ds = dcmread(made, stop_before_pixels=True, specific_tags=["SOPInstanceUID"], force=True)
    return str(ds.get("SOPInstanceUID", "")).strip("\0 ") == instance.sop_instance_uid


def _source(archive: Archive, instance: Instance, folder: Path) -> Path:
    """The stored file; a copy with file meta information where it came in without (PS3.10 7.1 asks for it)."""
    stored = archive.store.full_path(instance.path)
    with stored.open("rb") as file:
        if file.read(132)[128:] == b"DICM":
            return stored
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(instance.sop_class_uid)
    meta.MediaStorageSOPInstanceUID = UID(instance.sop_instance_uid)
    meta.TransferSyntaxUID = UID(instance.transfer_syntax_uid)
    copy = folder / "whole"
    with copy.open("xb") as out:
        out.write(bytes(128) + b"DICM")
        write_file_meta_info(DicomIO(out), meta, enforce_standard=True)
        for piece in content.iter_region(archive, instance, instance.data_set_offset, instance.bytes):
            out.write(piece)
    return copy
