"""Stored objects as PS3.10 files, for destinations that take files: DICOMweb servers and folders."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from app.archive import Archive, content
from app.archive.models import Instance
from app.dicom import syntaxes
from app.kit.errors import CannotConvert, NotFound
from app.network.contexts import PREFERRED


def preferred_syntax(instance: Instance, preferred: str) -> str:
    """The transfer syntax an object goes out in where the receiver cannot be asked: the node's wish where that
    changes no pixel, else as it is stored."""
    stored = instance.transfer_syntax_uid
    if preferred == "uncompressed":
        return stored if stored in (syntaxes.IMPLICIT_LE, syntaxes.EXPLICIT_LE) else syntaxes.EXPLICIT_LE
    wish = PREFERRED.get(preferred, "")
    compressible = instance.pixel_offset is not None and stored in syntaxes.LOSSLESS
    return wish if wish and compressible else stored


@contextmanager
def open_part10(archive: Archive, instance: Instance, preferred: str) -> Iterator[tuple[BinaryIO, int, str]]:
    """The object as a file at its first byte, its length in bytes, and its transfer syntax. Raises NotFound when the
    stored file is gone. What cannot be converted is given as it is stored."""
    from app.forward import transcode

    target = preferred_syntax(instance, preferred)
    if target != instance.transfer_syntax_uid:
        with suppress(CannotConvert):
            with transcode.write_part10(archive, instance, target) as (file, length):
                yield file, length, target
            return
    with content.open_object(archive, instance) as file:
        if file.read(132)[128:] == b"DICM":
            if os.fstat(file.fileno()).st_size < instance.bytes:
                raise NotFound("Its file is shorter than the index says.", hint="Run the integrity check.")
            file.seek(0)
            yield file, instance.bytes, instance.transfer_syntax_uid
            return
    with transcode.write_part10(archive, instance, instance.transfer_syntax_uid) as (file, length):
        yield file, length, instance.transfer_syntax_uid
