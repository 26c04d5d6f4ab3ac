"""Differences between an object on hold and the stored one: names of attributes, never a value (ARC-3)."""

import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy.orm import Session

from app.archive import queries
from app.archive.models import Instance
from app.archive.store import Store
from app.dicom import kept
from app.dicom.header import Header, scan

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

MOST = 40  # names that are listed
_LARGEST = 2 << 20  # bytes of a header that are compared attribute by attribute
_SYNTAX = "TransferSyntaxUID"
# Attributes with the same value in every object of a study (PS3.3 C.7.1.1, C.7.2.1); the rest differs between any two
# objects.
_OF_STUDY = frozenset(
    (0x00100010, 0x00100020, 0x00100021, 0x00100030, 0x00100040, 0x0020000D, 0x00200010, 0x00080020, 0x00080030)
) | {0x00080050, 0x00080090, 0x00081030}


class _File(Protocol):
    @property
    def size(self) -> int: ...
    def fileno(self) -> int: ...


class Later(Protocol):
    """An object with its open file: one that arrives, or one on hold."""

    @property
    def header(self) -> Header: ...
    @property
    def incoming(self) -> _File: ...


@dataclass(frozen=True, slots=True)
class _OpenedObject:
    size: int
    descriptor: int

    def fileno(self) -> int:
        return self.descriptor


@dataclass(frozen=True, slots=True)
class _Kept:
    header: Header
    incoming: _OpenedObject


def of_held_file(session: Session, store: Store, path: str) -> list[str]:
    """The same for a file on hold, compared with what is stored now. Raises OSError, NotDicom."""
    with store.full_path(path).open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        return find_differences(session, store, _Kept(scan(file.fileno(), size), _OpenedObject(size, file.fileno())))


def find_differences(session: Session, store: Store, entry: Later) -> list[str]:
    """Keywords in which the object of `entry`, whose file is still open, differs from the one with its UID, or, where
    there is none, from an object of the same series or study in what belongs to the study. At most MOST, in the order
    of their tags; TransferSyntaxUID first, PixelData last where the pixels as stored differ."""
    header = entry.header
    there = queries.find_counterpart(
        session, header.sop_instance_uid, header.series_instance_uid, header.study_instance_uid
    )
    if there is None:
        return []
    same_object = there.sop_instance_uid == header.sop_instance_uid
    raw = queries.raw_header_of(session, there)
    names = _of_headers(header.kept, raw, None if same_object else _OF_STUDY)
    if not same_object:
        return names[:MOST]
    other_syntax = header.transfer_syntax_uid != there.transfer_syntax_uid
    found = [_SYNTAX] if other_syntax else []
    with store.full_path(there.path).open("rb") as file:
        names += _of_bulks(entry, header.kept, raw, file.fileno())
        found += sorted(set(names), key=names.index)[: MOST - 2]
        # In another encoding the bytes of pixels cannot be compared: then the transfer syntax is compared instead.
        if not other_syntax and _pixels_differ(entry, there, file.fileno()):
            found.append("PixelData")
    return found


def _of_headers(ours: bytes, theirs: bytes, only: frozenset[int] | None) -> list[str]:
    if max(kept.size(ours), kept.size(theirs)) > _LARGEST:
        return []
    left, right = kept.unpack(ours), kept.unpack(theirs)
    names = []
    for tag in sorted(set(left.keys()) | set(right.keys())):
        if tag.element == 0 or (only is not None and int(tag) not in only):
            continue  # group lengths follow from the rest
        if (tag in left) != (tag in right) or not _equal(left, right, tag):
            names.append(_keyword(int(tag)))
    return names


def _equal(left: "Dataset", right: "Dataset", tag: Any) -> bool:
    """Whether two elements say the same. What cannot be understood is compared as bytes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            one, other = left.get_item(tag), right.get_item(tag)
            if getattr(one, "is_raw", False) and getattr(other, "is_raw", False):
                alike = (one.is_implicit_VR, one.is_little_endian) == (other.is_implicit_VR, other.is_little_endian)
                if alike and one.value == other.value:
                    return True
            return bool(left[tag].value == right[tag].value)
        except Exception:  # noqa: BLE001 pydicom raises anything over damaged values; then they are not the same
            return False


def _of_bulks(entry: Later, ours: bytes, theirs: bytes, fd: int) -> list[str]:
    """Large values, which the kept headers only point to."""
    left, right = ({bulk.tag: bulk for bulk in kept.bulks(raw)} for raw in (ours, theirs))
    names = []
    for tag in sorted(left.keys() | right.keys()):
        one, other = left.get(tag), right.get(tag)
        if one is None or other is None or one.length != other.length:
            names.append(_keyword(tag))
        elif entry.header.deflated:
            continue  # their places are not places in the file
        elif not _same_bytes(entry.incoming.fileno(), one.offset, fd, other.offset, one.length):
            names.append(_keyword(tag))
    return names


def _pixels_differ(entry: Later, there: Instance, fd: int) -> bool:
    """As stored, from the first byte of the value on; of encapsulated ones to the end of the file."""
    header = entry.header
    if header.pixel_offset is None or there.pixel_offset is None:
        return header.pixel_offset != there.pixel_offset
    if header.pixel_bytes != there.pixel_bytes:
        return True
    if header.deflated:
        return False  # inflating both would cost more than this is worth
    length = header.pixel_bytes or 0
    if length < 0:
        length = entry.incoming.size - header.pixel_offset
        if length != there.bytes - there.pixel_offset:
            return True
    return not _same_bytes(entry.incoming.fileno(), header.pixel_offset, fd, there.pixel_offset, length)


def _same_bytes(left: int, left_at: int, right: int, right_at: int, length: int) -> bool:
    for done, step in _steps(length):
        one, other = os.pread(left, step, left_at + done), os.pread(right, step, right_at + done)
        if one != other:
            return False
        if not one:
            return True  # both end early
    return True


def _steps(length: int) -> Iterator[tuple[int, int]]:
    at = 0
    while at < length:
        yield at, min(1 << 20, length - at)
        at += 1 << 20


def _keyword(tag: int) -> str:
    """The keyword of PS3.6; the tag of a private attribute."""
    from pydicom.datadict import keyword_for_tag

    return keyword_for_tag(tag) or f"({tag >> 16:04x},{tag & 0xFFFF:04x})"
