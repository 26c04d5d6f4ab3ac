"""The presentation contexts that are accepted (PS3.7 D.3.2, PS3.4 B, C): Verification, every storage class of the
standard and the services that `OFFERED` names, in the first supported transfer syntax that the caller proposes, so that
its objects need not be converted. Also the answers to roles and extended negotiation (PS3.7 D.3.3)."""

from collections.abc import Container

from app.dicom.registry import registry
from app.dicom.uids import is_valid as is_uid
from app.network import pdu
from app.network.information_models import MODELS, STORAGE_COMMITMENT, VERIFICATION, Service
from app.network.pdu import Associate, ContextResult, RoleSelection, UserItems
from app.network.settings import DicomSettings
from app.network.storage_classes import storage_classes, transfer_syntaxes

IMPLICIT_LITTLE, EXPLICIT_LITTLE = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
_UNCOMPRESSED = (EXPLICIT_LITTLE, IMPLICIT_LITTLE)

# Services with an operation behind them (operations.py); and every storage class.
OFFERED: frozenset[str] = frozenset((VERIFICATION, STORAGE_COMMITMENT, *MODELS))

# Answered truthfully (PS3.4 C.5.1.1, C.5.2.1, C.5.3.1). C-FIND: relational queries, combined date-time matching, fuzzy
# names; no time zone adjustment, no conversion of images. C-MOVE and C-GET: relational retrieval.
_ABILITIES: dict[Service, bytes] = {"find": b"\1\1\1\0\0", "move": b"\1\0", "get": b"\1\0"}


def takes_class(uid: str, settings: DicomSettings) -> bool:
    """Whether objects of this SOP class are stored."""
    if uid in storage_classes() or uid in settings.private_sop_classes:
        return True
    if not is_uid(uid) or uid in registry():
        return False
    # Storage classes of the standard that are newer than the library's table all begin with this root.
    return uid.startswith("1.2.840.10008.5.1.4.1.1.") or settings.unknown_sop_classes


def negotiate(request: Associate, settings: DicomSettings, offered: Container[str] = OFFERED) -> list[ContextResult]:
    """One result for each proposed context, in the order of the request. offered: the services besides storage."""
    known = transfer_syntaxes() | set(settings.private_transfer_syntaxes)
    if settings.accepted_syntaxes:
        known = frozenset((IMPLICIT_LITTLE, *settings.accepted_syntaxes, *settings.private_transfer_syntaxes))
    results = []
    for context in request.contexts:
        if context.abstract in offered:
            usable = [uid for uid in context.transfer if uid in _UNCOMPRESSED]
        elif takes_class(context.abstract, settings):
            usable = [uid for uid in context.transfer if uid in known]
            role = request.user.roles.get(context.abstract)
            if role is not None and role.scp and not role.scu and EXPLICIT_LITTLE in usable:
                usable = [EXPLICIT_LITTLE]  # for sending (C-GET), and most stored objects are in this syntax
        else:
            results.append(ContextResult(context.id, pdu.ABSTRACT_UNKNOWN, context.transfer[0]))
            continue
        if usable:
            results.append(ContextResult(context.id, pdu.ACCEPTED, usable[0]))
        else:
            results.append(ContextResult(context.id, pdu.TRANSFER_UNKNOWN, context.transfer[0]))
    return results


def user_items(request: Associate, results: list[ContextResult]) -> UserItems:
    """The answers to negotiation items beside the contexts; items that were not proposed are not answered."""
    accepted_ids = {r.id for r in results if r.result == pdu.ACCEPTED}
    accepted = {c.abstract for c in request.contexts if c.id in accepted_ids}
    roles = {uid: _role(uid, asked) for uid, asked in request.user.roles.items() if uid in accepted}
    extended = {
        uid: bytes(min(a, o) for a, o in zip(asked, _ABILITIES[MODELS[uid].service], strict=False))
        for uid, asked in request.user.extended.items()
        if uid in accepted and uid in MODELS and asked
    }
    return UserItems((1, 1) if request.user.window is not None else None, roles, extended)


def _role(uid: str, asked: RoleSelection) -> RoleSelection:
    """This side sends objects to a caller that receives them (C-GET), and receives event reports of storage commitment;
    else it is only an SCP."""
    if uid in OFFERED and uid != STORAGE_COMMITMENT:
        return RoleSelection(asked.scu, False)
    return asked
