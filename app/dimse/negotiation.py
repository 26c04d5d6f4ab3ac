"""Which presentation contexts we take (PS3.7 D.3.2, PS3.4 B): Verification and every storage class of the standard,
in the first transfer syntax the caller proposes that we know, so that what it has need not be converted."""

from app.dicom.registry import registry
from app.dicom.uids import is_valid as is_uid
from app.peers import pdu
from app.peers.pdu import Associate, ContextResult
from app.peers.settings import DicomSettings
from app.peers.storage import storage_classes, transfer_syntaxes

VERIFICATION = "1.2.840.10008.1.1"
IMPLICIT_LITTLE, EXPLICIT_LITTLE = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
_UNCOMPRESSED = (EXPLICIT_LITTLE, IMPLICIT_LITTLE)


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
