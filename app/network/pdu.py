"""The protocol data units of PS3.8 9.3, to bytes and back. Pure: no sockets.

Decoding is strict and linear in the length of the PDU; anything that does not fit raises BadPdu with the reason
that an A-ABORT carries (PS3.8 Table 9-26)."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from app.kit.phrases import phrase
from app.kit.texts import clean_text
from app.network import user_items
from app.network.user_items import (
    INVALID_PARAMETER,
    UNEXPECTED_PARAMETER,
    UNEXPECTED_PDU,
    UNRECOGNIZED_PARAMETER,
    UNRECOGNIZED_PDU,
    UNSPECIFIED,
    BadPdu,
    RoleSelection,
    UserIdentity,
    UserItems,
    item,
    items,
    uid_of,
)

__all__ = [
    "INVALID_PARAMETER",
    "UNEXPECTED_PARAMETER",
    "UNEXPECTED_PDU",
    "UNRECOGNIZED_PARAMETER",
    "UNRECOGNIZED_PDU",
    "UNSPECIFIED",
    "BadPdu",
    "RoleSelection",
    "UserIdentity",
    "UserItems",
]  # of user_items, whose names they also are here

ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ, P_DATA, RELEASE_RQ, RELEASE_RP, ABORT = range(1, 8)

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
IMPLEMENTATION_UID = "2.25.206843574513720427104982673512846104721"
IMPLEMENTATION_VERSION = "FILMROOM_1"

ACCEPTED, USER_REJECTED, NO_REASON, ABSTRACT_UNKNOWN, TRANSFER_UNKNOWN = range(5)

# Source of an abort (PS3.8 Table 9-26).
BY_USER, BY_PROVIDER = 0, 2

RELEASE_RQ_BYTES = bytes([RELEASE_RQ, 0, 0, 0, 0, 4, 0, 0, 0, 0])
RELEASE_RP_BYTES = bytes([RELEASE_RP, 0, 0, 0, 0, 4, 0, 0, 0, 0])


@dataclass(slots=True)
class Context:
    """A presentation context as proposed (PS3.8 9.3.2.2)."""

    id: int
    abstract: str
    transfer: list[str]


@dataclass(slots=True)
class ContextResult:
    """The acceptor's answer to one of them (PS3.8 9.3.3.2)."""

    id: int
    result: int
    transfer: str


@dataclass(slots=True)
class Associate:
    """A-ASSOCIATE-RQ or -AC. max_length 0: the sender takes PDUs of any length. titles: the 64 bytes an answer repeats."""

    called: str
    calling: str
    contexts: list[Context] = field(default_factory=list)
    results: list[ContextResult] = field(default_factory=list)
    application_context: str = APPLICATION_CONTEXT
    max_length: int = 0
    implementation_uid: str = ""
    implementation_version: str = ""
    version: int = 1
    titles: bytes = b""
    user: UserItems = field(default_factory=UserItems)


def _title(value: bytes) -> str:
    return value.decode("ascii", "replace").strip(" \0")


def _context(kind: int, body: memoryview) -> tuple[int, int, str, list[str]]:
    if len(body) < 4:
        raise BadPdu("a presentation context is too short")
    abstract, transfer = "", []
    for sub, value in items(body[4:]):
        if sub == 0x30:
            abstract = uid_of(value)
        elif sub == 0x40:
            transfer.append(uid_of(value))
    return body[0], body[2], abstract, transfer


def _user_information(found: Associate, body: memoryview) -> None:
    for kind, value in items(body):
        if kind == 0x51:
            if len(value) != 4:
                raise BadPdu("the maximum length item is not four bytes long")
            found.max_length = int.from_bytes(value, "big")
        elif kind == 0x52:
            found.implementation_uid = clean_text(uid_of(value), 64)
        elif kind == 0x55:
            found.implementation_version = clean_text(bytes(value).decode("ascii", "replace").strip("\0 "), 16)
        else:
            user_items.decode(found.user, kind, value)


def decode_associate(body: bytes) -> Associate:
    """An A-ASSOCIATE-RQ or -AC without its six header bytes. Unknown items are passed over (PS3.8 9.3.1)."""
    if len(body) < 68:
        raise BadPdu("an A-ASSOCIATE is shorter than its fixed part")
    view = memoryview(body)
    found = Associate(_title(body[4:20]), _title(body[20:36]), application_context="")
    found.version, found.titles = int.from_bytes(view[0:2], "big"), body[4:68]
    seen: set[int] = set()
    for kind, value in items(view[68:]):
        if kind == 0x10:
            found.application_context = uid_of(value)
        elif kind in (0x20, 0x21):
            number, result, abstract, transfer = _context(kind, value)
            if number in seen or number % 2 == 0:
                raise BadPdu("presentation context ids are odd and stand once each")
            seen.add(number)
            if kind == 0x20:
                if not abstract or not transfer:
                    raise BadPdu("a presentation context names no abstract or no transfer syntax")
                found.contexts.append(Context(number, abstract, transfer))
            else:
                found.results.append(ContextResult(number, result, transfer[0] if transfer else ""))
        elif kind == 0x50:
            _user_information(found, value)
    return found


def _pdu(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBI", kind, 0, len(body)) + body


def _user_item(max_length: int, user: UserItems | None) -> bytes:
    return item(
        0x50,
        item(0x51, max_length.to_bytes(4, "big"))
        + item(0x52, IMPLEMENTATION_UID.encode())
        + item(0x55, IMPLEMENTATION_VERSION.encode())
        + (user_items.encode(user) if user is not None else b""),
    )


def padded(title: str) -> bytes:
    """An AE title as its 16 bytes."""
    return title.encode("ascii", "replace")[:16].ljust(16)


def encode_request(
    called: str, calling: str, contexts: Sequence[Context], max_length: int, user: UserItems | None = None
) -> bytes:
    """A-ASSOCIATE-RQ. user: roles, extended negotiation and so on, where there are any."""
    body = b"\0\1\0\0" + padded(called) + padded(calling) + bytes(32) + item(0x10, APPLICATION_CONTEXT.encode())
    for context in contexts:
        syntaxes = b"".join(item(0x40, uid.encode()) for uid in context.transfer)
        body += item(0x20, bytes([context.id, 0, 0, 0]) + item(0x30, context.abstract.encode()) + syntaxes)
    return _pdu(ASSOCIATE_RQ, body + _user_item(max_length, user))


def encode_accept(
    request: Associate, results: Sequence[ContextResult], max_length: int, user: UserItems | None = None
) -> bytes:
    """A-ASSOCIATE-AC. user: the answers to the proposed sub-items."""
    body = b"\0\1\0\0" + request.titles + item(0x10, APPLICATION_CONTEXT.encode())
    for one in results:
        name = item(0x40, one.transfer.encode("ascii", "replace"))
        body += item(0x21, bytes([one.id, 0, one.result, 0]) + name)
    return _pdu(ASSOCIATE_AC, body + _user_item(max_length, user))


def encode_reject(result: int, source: int, reason: int) -> bytes:
    """result 1 permanent, 2 transient; source and reason of PS3.8 Table 9-21."""
    return _pdu(ASSOCIATE_RJ, bytes([0, result, source, reason]))


def encode_abort(source: int, reason: int) -> bytes:
    return _pdu(ABORT, bytes([0, 0, source, reason]))


def p_data(context_id: int, control: int, value: bytes | bytearray | memoryview) -> bytes:
    """One P-DATA-TF with one PDV. control: 1 command, 2 last fragment, 3 both (PS3.8 Annex E.2)."""
    return struct.pack(">BBIIBB", P_DATA, 0, len(value) + 6, len(value) + 2, context_id, control) + bytes(value)


REJECT_REASONS: dict[tuple[int, int], str] = {
    (1, 1): phrase("it gave no reason"),
    (1, 2): phrase("it does not know the DICOM application context"),
    (1, 3): phrase("the AE title of this station is not known there (calling AE title not recognized)"),
    (1, 7): phrase("the called AE title is not known there (called AE title not recognized)"),
    (2, 1): phrase("it gave no reason"),
    (2, 2): phrase("the protocol version is not supported there"),
    (3, 1): phrase("it is congested for a moment"),
    (3, 2): phrase("its limit of associations is reached"),
}
ABORT_REASONS = {
    0: phrase("without a reason"),
    1: phrase("because it did not recognize a PDU"),
    2: phrase("because it did not expect a PDU"),
    4: phrase("because it did not recognize a PDU parameter"),
    5: phrase("because it did not expect a PDU parameter"),
    6: phrase("because a PDU parameter was invalid"),
}
