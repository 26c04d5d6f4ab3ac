"""The data sets of Storage Commitment, Push Model (PS3.4 Annex J): what is asked, and what is answered. Pure.

Action Information (Table J.3-1): a Transaction UID and the Referenced SOP Sequence. Event Information (Table J.3-2):
the same with what is committed, and the Failed SOP Sequence with what is not and why."""

from dataclasses import dataclass, field
from io import BytesIO

from pydicom import Dataset
from pydicom.filebase import DicomFileLike
from pydicom.filewriter import write_dataset

from app.dicom import uids
from app.dicom.reading import read_dataset
from app.kit.phrases import phrase

PUSH_MODEL = "1.2.840.10008.1.20.1"
PUSH_MODEL_INSTANCE = "1.2.840.10008.1.20.1.1"  # the well-known SOP instance (PS3.6 Annex A)
REQUEST_COMMITMENT = 1  # Action Type ID
ALL_COMMITTED, FAILURES_EXIST = 1, 2  # Event Type IDs
LIMIT = 32 << 20  # bytes of a data set: two hundred thousand objects

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
    """The data set is no request for, or no answer about, commitment; the message says why."""


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
    """Either data set from its bytes. Raises BadReferences; nothing else, whatever the bytes are."""
    try:
        ds = read_dataset(BytesIO(data), syntax == uids.IMPLICIT_LE, syntax != uids.EXPLICIT_BE)
        found = References(
            str(ds.get("TransactionUID") or ""),
            [_reference(item) for item in ds.get("ReferencedSOPSequence") or ()],
            [_reference(item, failed=True) for item in ds.get("FailedSOPSequence") or ()],
        )
    except BadReferences:
        raise
    except (RecursionError, ValueError, TypeError, AttributeError, KeyError, EOFError, OSError, NotImplementedError):
        raise BadReferences("the data set cannot be read") from None
    if not uids.is_safe(found.transaction):
        raise BadReferences("a Transaction UID is needed")
    return found


def _reference(item: Dataset, failed: bool = False) -> Reference:
    sop_class = str(item.get("ReferencedSOPClassUID") or "")
    sop_instance = str(item.get("ReferencedSOPInstanceUID") or "")
    if not uids.is_safe(sop_class) or not uids.is_safe(sop_instance):
        raise BadReferences("an item names no SOP class or no SOP instance")
    reason = int(item.get("FailureReason") or PROCESSING_FAILURE) if failed else None
    return Reference(sop_class, sop_instance, reason)


def encode(references: References, syntax: str) -> bytes:
    """Either data set as bytes in the context's transfer syntax. The Failed SOP Sequence only where something failed,
    the Referenced SOP Sequence only where something did not (PS3.4 Table J.3-2)."""
    ds = Dataset()
    ds.TransactionUID = references.transaction
    if references.objects:
        ds.ReferencedSOPSequence = [_item(one) for one in references.objects]
    if references.failed:
        ds.FailedSOPSequence = [_item(one) for one in references.failed]
    made = BytesIO()
    out = DicomFileLike(made)
    out.is_implicit_VR, out.is_little_endian = syntax == uids.IMPLICIT_LE, syntax != uids.EXPLICIT_BE
    write_dataset(out, ds)
    return made.getvalue()


def _item(one: Reference) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = one.sop_class, one.sop_instance
    if one.reason is not None:
        item.FailureReason = one.reason
    return item
