"""The data sets of Storage Commitment, Push Model (PS3.4 Annex J): what is asked, and what is answered. Pure.

Action Information (Table J.3-1): a Transaction UID and the Referenced SOP Sequence. Event Information (Table J.3-2):
the same with what is committed, and the Failed SOP Sequence with what is not and why."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from app.dicom import uids
from app.kit.phrases import phrase

PUSH_MODEL = "1.2.840.10008.1.20.1"
PUSH_MODEL_INSTANCE = "1.2.840.10008.1.20.1.1"  # the well-known SOP instance (PS3.6 Annex A)
REQUEST_COMMITMENT = 1  # Action Type ID
ALL_COMMITTED, FAILURES_EXIST = 1, 2  # Event Type IDs
LIMIT = 8 << 20  # bytes of a data set: sixty thousand objects

_TRANSACTION, _REFERENCED, _FAILED = 0x00081195, 0x00081199, 0x00081198
_SOP_CLASS, _SOP_INSTANCE, _REASON = 0x00081150, 0x00081155, 0x00081197
_ITEM, _ITEM_END, _SEQUENCE_END, _UNDEFINED = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD, 0xFFFFFFFF
_LONG = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))

# Failure Reasons (PS3.3 C.14.1.1)
PROCESSING_FAILURE, NO_SUCH_OBJECT, CLASS_CONFLICT = 0x0110, 0x0112, 0x0119
RESOURCES, CLASS_NOT_SUPPORTED, DUPLICATE_TRANSACTION = 0x0213, 0x0122, 0x0131
REASONS = {
    PROCESSING_FAILURE: phrase("processing failure"),
    NO_SUCH_OBJECT: phrase("it has no such object"),
    CLASS_CONFLICT: phrase("it has the object as another SOP class"),
    RESOURCES: phrase("it is out of resources"),
    CLASS_NOT_SUPPORTED: phrase("it does not support the SOP class"),
    DUPLICATE_TRANSACTION: phrase("it knows the transaction already"),
}


class BadReferences(Exception):
    """The data set is neither a request for nor a report of commitment; the message says why."""


@dataclass(frozen=True, slots=True)
class Reference:
    """An object by its UIDs. reason: the Failure Reason where it is not committed."""

    sop_class: str
    sop_instance: str
    reason: int | None = None


@dataclass(slots=True)
class References:
    """One transaction: what is asked for (or committed), and what failed."""

    transaction: str
    objects: list[Reference] = field(default_factory=list)
    failed: list[Reference] = field(default_factory=list)


def decode(data: bytes, syntax: str) -> References:
    """Either data set from its bytes. Raises BadReferences; nothing else, whatever the bytes are. Linear in their
    length; nothing but the references is kept."""
    reader = _Reader(data, syntax)
    found = References("")
    for tag, start, stop in reader.elements(0, len(data)):
        if tag == _TRANSACTION:
            found.transaction = reader.text(start, stop)
        elif tag == _REFERENCED:
            found.objects = [_reference(reader, *place) for place in reader.items(start, stop)]
        elif tag == _FAILED:
            found.failed = [_reference(reader, *place, failed=True) for place in reader.items(start, stop)]
    if not uids.is_safe(found.transaction):
        raise BadReferences("a Transaction UID is needed")
    return found


def _reference(reader: "_Reader", start: int, stop: int, failed: bool = False) -> Reference:
    sop_class = sop_instance = ""
    reason = PROCESSING_FAILURE if failed else None
    for tag, begin, end in reader.elements(start, stop):
        if tag == _SOP_CLASS:
            sop_class = reader.text(begin, end)
        elif tag == _SOP_INSTANCE:
            sop_instance = reader.text(begin, end)
        elif tag == _REASON and failed and end - begin == 2:
            reason = reader.number(begin)
    if not uids.is_safe(sop_class) or not uids.is_safe(sop_instance):
        raise BadReferences("an item names no SOP class or no SOP instance")
    return Reference(sop_class, sop_instance, reason)


class _Reader:
    """The elements and items of a data set in place (PS3.5 7.1, 7.5), without recursion: the bytes are a stranger's."""

    def __init__(self, data: bytes, syntax: str) -> None:
        self._data = data
        self._explicit = syntax != uids.IMPLICIT_LE
        order = ">" if syntax == uids.EXPLICIT_BE else "<"
        self._tag, self._short, self._long = (struct.Struct(order + form) for form in ("HH", "H", "I"))

    def text(self, start: int, stop: int) -> str:
        """A UID without its padding."""
        return self._data[start:stop].decode("ascii", "replace").strip("\0 ")

    def number(self, start: int) -> int:
        return int(self._short.unpack_from(self._data, start)[0])

    def elements(self, at: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Tag, and where the value begins and ends, of each element of one level."""
        while at < end:
            tag, length, start = self._header(at, end)
            if tag in (_ITEM_END, _SEQUENCE_END):
                return
            stop = self._end(start, end) if length == _UNDEFINED else start + length
            if stop > end:
                raise BadReferences("an element is longer than the data set")
            yield tag, start, stop
            at = stop

    def items(self, at: int, end: int) -> Iterator[tuple[int, int]]:
        """Where the content of each item of a sequence begins and ends; delimiters may be at its end."""
        while at < end:
            tag, length, start = self._header(at, end)
            if tag == _SEQUENCE_END:
                return
            if tag != _ITEM:
                raise BadReferences("a sequence holds something else than items")
            stop = self._end(start, end) if length == _UNDEFINED else start + length
            if stop > end:
                raise BadReferences("an item is longer than its sequence")
            yield start, stop
            at = stop

    def _header(self, at: int, end: int) -> tuple[int, int, int]:
        """Tag and length of what begins here, and where its value does."""
        if end - at < 8:
            raise BadReferences("an element is cut off")
        group, element = self._tag.unpack_from(self._data, at)
        tag = group << 16 | element
        if group == 0xFFFE or not self._explicit:
            return tag, self._long.unpack_from(self._data, at + 4)[0], at + 8
        if self._data[at + 4 : at + 6] not in _LONG:
            return tag, self._short.unpack_from(self._data, at + 6)[0], at + 8
        if end - at < 12:
            raise BadReferences("an element is cut off")
        return tag, self._long.unpack_from(self._data, at + 8)[0], at + 12

    def _end(self, at: int, end: int) -> int:
        """Where a value of undefined length ends, behind its delimiter."""
        depth = 1
        while depth:
            tag, length, start = self._header(at, end)
            if tag in (_ITEM_END, _SEQUENCE_END):
                depth, at = depth - 1, start
            elif length == _UNDEFINED:
                depth, at = depth + 1, start
            else:
                at = start + length
        return at


def encode(references: References, syntax: str) -> bytes:
    """Either data set as bytes in the context's transfer syntax. The Failed SOP Sequence only where something failed,
    the Referenced SOP Sequence only where something did not (PS3.4 Table J.3-2)."""
    write = _Writer(syntax)
    parts = []
    if references.failed:
        parts.append(write.sequence(_FAILED, references.failed))
    if references.objects:
        parts.append(write.sequence(_REFERENCED, references.objects))
    return b"".join([write.element(_TRANSACTION, b"UI", references.transaction.encode("ascii", "replace")), *parts])


class _Writer:
    """Elements as bytes; all lengths are given."""

    def __init__(self, syntax: str) -> None:
        self._explicit = syntax != uids.IMPLICIT_LE
        self._order = ">" if syntax == uids.EXPLICIT_BE else "<"

    def element(self, tag: int, vr: bytes, value: bytes) -> bytes:
        value += b"\0" * (len(value) % 2)
        group, number = tag >> 16, tag & 0xFFFF
        if not self._explicit or group == 0xFFFE:
            return struct.pack(self._order + "HHI", group, number, len(value)) + value
        if vr in _LONG:
            return struct.pack(self._order + "HH2sHI", group, number, vr, 0, len(value)) + value
        return struct.pack(self._order + "HH2sH", group, number, vr, len(value)) + value

    def sequence(self, tag: int, references: list[Reference]) -> bytes:
        return self.element(tag, b"SQ", b"".join(self._item(one) for one in references))

    def _item(self, one: Reference) -> bytes:
        content = self.element(_SOP_CLASS, b"UI", one.sop_class.encode("ascii", "replace"))
        content += self.element(_SOP_INSTANCE, b"UI", one.sop_instance.encode("ascii", "replace"))
        if one.reason is not None:
            content += self.element(_REASON, b"US", struct.pack(self._order + "H", one.reason))
        return self.element(_ITEM, b"", content)
