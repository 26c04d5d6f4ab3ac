"""The data sets of Storage Commitment, Push Model (PS3.4 Annex J): what is asked, and what is answered. Pure.

Action Information (Table J.3-1): a Transaction UID and the Referenced SOP Sequence. Event Information (Table J.3-2):
the same with what is committed, and the Failed SOP Sequence with what is not and why."""

from dataclasses import dataclass, field

from app.dicom import uids
from app.dicom.elements import ITEM, Cursor, DamagedElements, items
from app.dicom.elements import encode as encode_element
from app.kit.phrases import phrase

PUSH_MODEL = "1.2.840.10008.1.20.1"
PUSH_MODEL_INSTANCE = "1.2.840.10008.1.20.1.1"  # the well-known SOP instance (PS3.6 Annex A)
REQUEST_COMMITMENT = 1  # Action Type ID
ALL_COMMITTED, FAILURES_EXIST = 1, 2  # Event Type IDs
LIMIT = 8 << 20  # bytes of a data set: sixty thousand objects

_TRANSACTION, _REFERENCED, _FAILED = 0x00081195, 0x00081199, 0x00081198
_SOP_CLASS, _SOP_INSTANCE, _REASON = 0x00081150, 0x00081155, 0x00081197

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
    """The data set is neither a request for nor a report of commitment; the message gives the reason."""


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
    coding = _Coding(syntax)
    found = References("")
    try:
        for tag, _, _, value, _, following in coding.elements(data, 0, len(data)):
            if tag == _TRANSACTION:
                found.transaction = _text(data[value:following])
            elif tag == _REFERENCED:
                found.objects = _references(coding, data, value, following)
            elif tag == _FAILED:
                found.failed = _references(coding, data, value, following, failed=True)
    except DamagedElements as fault:
        raise BadReferences(str(fault)) from None
    if not uids.is_safe(found.transaction):
        raise BadReferences("a Transaction UID is needed")
    return found


class _Coding:
    """How a data set of this transfer syntax is written: (implicit VR, little endian)."""

    def __init__(self, syntax: str) -> None:
        self.implicit, self.little = syntax == uids.IMPLICIT_LE, syntax != uids.EXPLICIT_BE

    def elements(self, data: bytes, at: int, end: int) -> Cursor:
        return Cursor(data, at, end, self.implicit, self.little)

    def element(self, tag: int, vr: bytes, value: bytes) -> bytes:
        return encode_element(tag, vr, value, self.implicit, self.little)


def _text(value: bytes) -> str:
    """A UID without its padding."""
    return value.decode("ascii", "replace").strip("\0 ")


def _references(coding: _Coding, data: bytes, at: int, end: int, failed: bool = False) -> list[Reference]:
    """The items of a sequence, whose value, with its delimiter where it has one, is from `at` to `end`."""
    places = items(data, at, end, coding.implicit, coding.little)
    return [_reference(coding, data, *place, failed=failed) for place in places]


def _reference(coding: _Coding, data: bytes, start: int, stop: int, failed: bool) -> Reference:
    sop_class = sop_instance = ""
    reason = PROCESSING_FAILURE if failed else None
    for tag, _, _, value, length, following in coding.elements(data, start, stop):
        if tag == _SOP_CLASS:
            sop_class = _text(data[value:following])
        elif tag == _SOP_INSTANCE:
            sop_instance = _text(data[value:following])
        elif tag == _REASON and failed and length == 2:
            reason = int.from_bytes(data[value:following], "little" if coding.little else "big")
    if not uids.is_safe(sop_class) or not uids.is_safe(sop_instance):
        raise BadReferences("an item names no SOP class or no SOP instance")
    return Reference(sop_class, sop_instance, reason)


def encode(references: References, syntax: str) -> bytes:
    """Either data set as bytes in the context's transfer syntax. The Failed SOP Sequence only where something failed,
    the Referenced SOP Sequence only where something did not (PS3.4 Table J.3-2)."""
    coding = _Coding(syntax)
    parts = [coding.element(_TRANSACTION, b"UI", references.transaction.encode("ascii", "replace"))]
    if references.failed:
        parts.append(_sequence(coding, _FAILED, references.failed))
    if references.objects:
        parts.append(_sequence(coding, _REFERENCED, references.objects))
    return b"".join(parts)


def _sequence(coding: _Coding, tag: int, references: list[Reference]) -> bytes:
    return coding.element(tag, b"SQ", b"".join(_item(coding, one) for one in references))


def _item(coding: _Coding, one: Reference) -> bytes:
    content = coding.element(_SOP_CLASS, b"UI", one.sop_class.encode("ascii", "replace"))
    content += coding.element(_SOP_INSTANCE, b"UI", one.sop_instance.encode("ascii", "replace"))
    if one.reason is not None:
        content += coding.element(_REASON, b"US", one.reason.to_bytes(2, "little" if coding.little else "big"))
    return coding.element(ITEM, b"", content)
