"""Differences between an object on hold and the stored one, with the values of both: for those who decide (ARC-3).

The names were found when it arrived (`differences`); the values are read from both objects on request, so that no table
holds them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from sqlalchemy.orm import Session

from app.archive import framing, integrity, queries, rows
from app.archive.content import header as stored_header
from app.archive.errors import Damaged, NoFrame
from app.archive.ingest import SESSION_KEY, Archive
from app.archive.models import ObjectConflict
from app.dicom import frames, kept, uids
from app.dicom.header import NotDicom, scan
from app.dicom.reading import element_text
from app.kit.errors import AppError
from app.kit.phrases import Phrase, phrase
from app.security import Actor

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

LONGEST = 200  # characters of a value
_META = "TransferSyntaxUID"


@dataclass(frozen=True, slots=True)
class Difference:
    """keyword: of PS3.6, or the tag of a private attribute; tag: "(0010,0020)", empty where it has none of its own; stored,
    later: the values as text, None where the object does not have the attribute."""

    keyword: str
    tag: str
    name: str
    stored: str | None
    later: str | None


@dataclass(frozen=True, slots=True)
class ConflictPicture:
    """The first frame of an object on hold, with the header that describes its display."""

    frame: bytes
    header: "Dataset"


@contextmanager
def open_held_file(archive: Archive, conflict: ObjectConflict) -> Iterator[BinaryIO]:
    """The file of an object on hold. Raises Damaged where it is not the one that came in, OSError."""
    with archive.store.full_path(conflict.path).open("rb", buffering=0) as file:
        integrity.check(file.fileno(), conflict, archive.database)
        yield file


def warnings(session: Session, conflict: ObjectConflict) -> list[Phrase]:
    """Warnings about an object on hold, as an import reports them."""
    archive: Archive = session.info[SESSION_KEY]
    try:
        with open_held_file(archive, conflict) as file:
            size = conflict.bytes
            header = scan(file.fileno(), size)
            framing.locate(file.fileno(), size, header, rows.describe(header).instance)
    except (NotDicom, Damaged, OSError):
        return [phrase("The file can no longer be read.")]
    return header.warnings


def first_frame(session: Session, conflict: ObjectConflict) -> ConflictPicture:
    """Its first frame. Raises NoFrame where it has none or its file cannot be read, Damaged."""
    archive: Archive = session.info[SESSION_KEY]
    try:
        with open_held_file(archive, conflict) as file:
            size = conflict.bytes
            header = scan(file.fileno(), size)
            instance = rows.describe(header).instance
            packed = framing.locate(file.fileno(), size, header, instance)
            if header.pixel_offset is None or header.deflated:
                raise NoFrame("This version has no image that can be displayed.")
            if packed is not None:
                places = frames.unpack(packed).locate(1)
            else:
                layout = framing.native_of(instance, instance["number_of_frames"], header.pixel_bytes or 0)
                offset, length, _bit, _missing = layout.span(1)
                places = [(header.pixel_offset + offset, length)]
            frame = b"".join(os.pread(file.fileno(), length, offset) for offset, length in places)
    except (NotDicom, OSError, frames.BadFrames, IndexError):
        raise NoFrame("This version has no image that can be displayed.") from None
    return ConflictPicture(frame, kept.unpack(header.kept))


def differing_values(session: Session, actor: Actor, conflict: ObjectConflict) -> list[Difference]:
    """The differing attributes of one conflict with both values. A file that cannot be read any more has no values, and
    those of a stored object that this actor may not see are left out."""
    archive: Archive = session.info[SESSION_KEY]
    try:
        with open_held_file(archive, conflict) as file:
            header = scan(file.fileno(), conflict.bytes)
    except (NotDicom, Damaged, OSError):
        return []
    there = queries.find_counterpart(
        session, header.sop_instance_uid, header.series_instance_uid, header.study_instance_uid
    )
    if there is None or not queries.may_see(session, actor, there):
        return []
    try:
        stored_values, theirs = kept.unpack(header.kept), stored_header(session, there)
    except (AppError, NotDicom):
        return []
    syntaxes = header.transfer_syntax_uid, there.transfer_syntax_uid
    return [_difference(name, theirs, stored_values, syntaxes[1], syntaxes[0]) for name in conflict.differences]


def _difference(name: str, stored: "Dataset", later: "Dataset", was: str, comes: str) -> Difference:
    from pydicom.datadict import dictionary_description, tag_for_keyword

    if name == _META:
        return Difference(
            name, "(0002,0010)", "Transfer Syntax", uids.transfer_syntax(was).name, uids.transfer_syntax(comes).name
        )
    tag = tag_for_keyword(name)
    if tag is None:
        tag = int(name.strip("()").replace(",", ""), 16)
    text = f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
    try:
        words = dictionary_description(tag)
    except KeyError:
        words = ""
    return Difference(name, text, words or text, _value(stored, tag), _value(later, tag))


def _value(dataset: "Dataset", tag: int) -> str | None:
    if tag not in dataset:
        return None
    try:
        element = dataset[tag]
        if element.VR == "SQ":
            return f"[{len(element.value or [])}]"
        value = element.value
        words = f"[{len(value)} B]" if isinstance(value, bytes) else element_text(value)
    except Exception:  # noqa: BLE001 pydicom raises anything over damaged values
        return "?"
    return words if len(words) <= LONGEST else words[:LONGEST] + "…"
