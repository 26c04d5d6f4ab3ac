"""The sub-items of the user information item (PS3.7 Annex D.3.3, PS3.8 Annex D), to bytes and back. Pure.

Lengths must fit exactly; what is unknown is passed over, so that a newer peer still gets in."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

UNSPECIFIED, UNRECOGNIZED_PDU, UNEXPECTED_PDU, UNRECOGNIZED_PARAMETER, UNEXPECTED_PARAMETER, INVALID_PARAMETER = (
    0,
    1,
    2,
    4,
    5,
    6,
)  # the reasons a provider gives for an abort (PS3.8 Table 9-26)

(
    MAXIMUM_LENGTH,
    IMPLEMENTATION_CLASS,
    WINDOW,
    ROLE,
    IMPLEMENTATION_NAME,
    EXTENDED,
    COMMON_EXTENDED,
    IDENTITY,
    CONFIRMED,
) = range(0x51, 0x5A)
USERNAME, USERNAME_AND_PASSCODE, KERBEROS, SAML, JWT = range(1, 6)


class BadPdu(Exception):
    """The peer broke the protocol. reason: reason of the A-ABORT."""

    def __init__(self, what: str, reason: int = INVALID_PARAMETER) -> None:
        super().__init__(what)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class RoleSelection:
    """Which roles the association's requestor takes for a SOP class (PS3.7 D.3.3.4); in an answer: which it may."""

    scu: bool
    scp: bool


@dataclass(frozen=True, slots=True)
class UserIdentity:
    """User identity of the requestor (PS3.7 D.3.3.7). kind: 1 name, 2 name and passcode, 3 Kerberos ticket, 4 SAML
    assertion, 5 JSON web token; confirm: it requests a positive response."""

    kind: int
    primary: bytes
    secondary: bytes = b""
    confirm: bool = False

    def __repr__(self) -> str:  # nothing of it may get into a log by accident
        return f"UserIdentity(kind={self.kind})"


@dataclass(slots=True)
class UserItems:
    """Negotiation items beside the contexts. window: operations (invoked, performed) at a time, 0 any number;
    roles and extended by SOP class; confirmed: the server's response to a user identity (empty for names)."""

    window: tuple[int, int] | None = None
    roles: dict[str, RoleSelection] = field(default_factory=dict)
    extended: dict[str, bytes] = field(default_factory=dict)
    identity: UserIdentity | None = None
    confirmed: bytes | None = None


def item(kind: int, value: bytes) -> bytes:
    """An item or sub-item: type, reserved byte, length, value (PS3.8 9.3)."""
    return struct.pack(">BBH", kind, 0, len(value)) + value


def items(body: memoryview) -> Iterator[tuple[int, memoryview]]:
    """The items in a body. Raises BadPdu where they do not fill it exactly."""
    at = 0
    while at < len(body):
        if len(body) - at < 4:
            raise BadPdu("an item is cut off")
        kind, length = body[at], int.from_bytes(body[at + 2 : at + 4], "big")
        if at + 4 + length > len(body):
            raise BadPdu("an item is longer than what holds it")
        yield kind, body[at + 4 : at + 4 + length]
        at += 4 + length


def uid_of(value: memoryview | bytes) -> str:
    return bytes(value).rstrip(b"\0 ").decode("ascii", "replace")


def decode(found: UserItems, kind: int, value: memoryview) -> None:
    """Notes one sub-item; the first of several for the same SOP class holds. Raises BadPdu."""
    if kind == WINDOW:
        if len(value) != 4:
            raise BadPdu("the asynchronous operations window is not four bytes long")
        found.window = (int.from_bytes(value[:2], "big"), int.from_bytes(value[2:], "big"))
    elif kind == ROLE:
        uid, rest = _counted(value)
        if len(rest) != 2:
            raise BadPdu("a role selection does not end after its two roles")
        found.roles.setdefault(uid_of(uid), RoleSelection(rest[0] == 1, rest[1] == 1))
    elif kind == EXTENDED:
        uid, rest = _counted(value)
        found.extended.setdefault(uid_of(uid), bytes(rest))
    elif kind == IDENTITY:
        if len(value) < 2:
            raise BadPdu("a user identity is cut off")
        primary, rest = _counted(value[2:])
        secondary, rest = _counted(rest)
        if rest:
            raise BadPdu("a user identity is longer than its fields")
        found.identity = UserIdentity(value[0], bytes(primary), bytes(secondary), value[1] == 1)
    elif kind == CONFIRMED:
        response, rest = _counted(value)
        if rest:
            raise BadPdu("a user identity's response is longer than its field")
        found.confirmed = bytes(response)


def encode(wanted: UserItems) -> bytes:
    """The sub-items, in the order of their types."""
    parts = []
    if wanted.window is not None:
        parts.append(item(WINDOW, struct.pack(">HH", *wanted.window)))
    parts += [
        item(ROLE, _with_count(uid.encode("ascii", "replace")) + bytes([role.scu, role.scp]))
        for uid, role in wanted.roles.items()
    ]
    parts += [
        item(EXTENDED, _with_count(uid.encode("ascii", "replace")) + information)
        for uid, information in wanted.extended.items()
    ]
    if wanted.identity is not None:
        who = wanted.identity
        parts.append(
            item(IDENTITY, bytes([who.kind, who.confirm]) + _with_count(who.primary) + _with_count(who.secondary))
        )
    if wanted.confirmed is not None:
        parts.append(item(CONFIRMED, _with_count(wanted.confirmed)))
    return b"".join(parts)


def _with_count(value: bytes) -> bytes:
    return struct.pack(">H", len(value)) + value


def _counted(value: memoryview) -> tuple[memoryview, memoryview]:
    """A field that begins with its length, and what follows it."""
    if len(value) < 2:
        raise BadPdu("a length is cut off")
    length = int.from_bytes(value[:2], "big")
    if length > len(value) - 2:
        raise BadPdu("a field is longer than the item that holds it")
    return value[2 : 2 + length], value[2 + length :]
