"""Which presentation contexts we take (PS3.7 D.3.2, PS3.4 B): Verification and every storage class of the standard,
in the first transfer syntax the caller proposes that we know, so that what it has need not be converted."""

from functools import cache

from app.dicom.registry import registry
from app.dicom.uids import TRANSFER_SYNTAXES
from app.dicom.uids import is_valid as is_uid
from app.peers import pdu
from app.peers.pdu import Associate, ContextResult
from app.peers.settings import DicomSettings

VERIFICATION = "1.2.840.10008.1.1"
IMPLICIT_LITTLE, EXPLICIT_LITTLE = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
_UNCOMPRESSED = (EXPLICIT_LITTLE, IMPLICIT_LITTLE)
# Named "Storage" in PS3.6 but no objects that C-STORE carries.
_NO_OBJECTS = {"1.2.840.10008.1.3.10", "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.2"}


@cache
def storage_classes() -> frozenset[str]:
    """Every storage SOP class of PS3.6 Annex A, retired ones too: old modalities still send them."""
    return frozenset(
        uid
        for uid, entry in registry().items()
        if entry.kind == "SOP Class" and "Storage" in entry.name and uid not in _NO_OBJECTS
    )


@cache
def transfer_syntaxes() -> frozenset[str]:
    """Every transfer syntax of the standard that C-STORE can use: the retired JPEG processes too, but not the MIME, XML
    and live video ones (1.2.840.10008.1.2.6 and .7), which carry no data set."""
    named = {uid for uid, entry in registry().items() if entry.kind == "Transfer Syntax"}
    ours = named | {uid for uid in TRANSFER_SYNTAXES if uid.startswith("1.2.840.10008.")}
    return frozenset(uid for uid in ours if not uid.startswith(("1.2.840.10008.1.2.6", "1.2.840.10008.1.2.7")))


def takes_class(uid: str, settings: DicomSettings) -> bool:
    """Whether we store objects of this SOP class."""
    if uid in storage_classes() or uid in settings.private_sop_classes:
        return True
    if not is_uid(uid) or uid in registry():
        return False
    # Storage classes of the standard that are newer than the library's table all stand under this root.
    return uid.startswith("1.2.840.10008.5.1.4.1.1.") or settings.unknown_sop_classes


def answer(request: Associate, settings: DicomSettings) -> list[ContextResult]:
    """One result for each proposed context, in the order of the request."""
    known = transfer_syntaxes() | set(settings.private_transfer_syntaxes)
    results = []
    for context in request.contexts:
        if context.abstract == VERIFICATION:
            usable = [uid for uid in context.transfer if uid in _UNCOMPRESSED]
        elif takes_class(context.abstract, settings):
            usable = [uid for uid in context.transfer if uid in known]
        else:
            results.append(ContextResult(context.id, pdu.ABSTRACT_UNKNOWN, context.transfer[0]))
            continue
        if usable:
            results.append(ContextResult(context.id, pdu.ACCEPTED, usable[0]))
        else:
            results.append(ContextResult(context.id, pdu.TRANSFER_UNKNOWN, context.transfer[0]))
    return results
