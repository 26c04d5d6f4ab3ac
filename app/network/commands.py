"""Command sets of DIMSE messages (PS3.7 6.3, Annex E): always Implicit VR Little Endian, a few short elements."""

import struct
from collections.abc import Iterable, Mapping

from app.kit.texts import clean_text

COMMAND_FIELD, MESSAGE_ID, RESPONDED_TO, DATA_SET_TYPE = 0x0100, 0x0110, 0x0120, 0x0800
SOP_CLASS, SOP_INSTANCE, STATUS, ERROR_COMMENT, PRIORITY = 0x0002, 0x1000, 0x0900, 0x0902, 0x0700
MEDIUM = 0x0000  # Priority of every request that is sent; 1 is high, 2 is low (PS3.7 E.1-1)
MOVE_ORIGINATOR, MOVE_MESSAGE_ID = 0x1030, 0x1031
C_STORE_RQ, C_STORE_RSP, C_ECHO_RQ, C_ECHO_RSP, C_CANCEL_RQ = 0x0001, 0x8001, 0x0030, 0x8030, 0x0FFF
C_GET_RQ, C_FIND_RQ, C_MOVE_RQ, N_EVENT_REPORT_RQ, N_ACTION_RQ = 0x0010, 0x0020, 0x0021, 0x0100, 0x0130
REQUESTED_CLASS, REQUESTED_INSTANCE, EVENT_TYPE, ACTION_TYPE = 0x0003, 0x1001, 0x1002, 0x1008
MOVE_DESTINATION = 0x0600
REMAINING, COMPLETED, FAILED, WARNING = 0x1020, 0x1021, 0x1022, 0x1023  # sub-operations
OFFENDING_ELEMENT = 0x0901
NO_DATA_SET = 0x0101
INVALID_ARGUMENT, PROCESSING_FAILURE, NO_SUCH_ACTION, NO_SUCH_EVENT = 0x0115, 0x0110, 0x0123, 0x0113  # PS3.7 Annex C
_SPACED = frozenset((ERROR_COMMENT, MOVE_DESTINATION, MOVE_ORIGINATOR))  # AE and LO are padded so, UI with a zero
LIMIT = 65536  # bytes; real command sets have some hundred

SUCCESS, CANCELLED = 0x0000, 0xFE00
PENDING, PENDING_UNSUPPORTED_KEYS = 0xFF00, 0xFF01  # PS3.4 Table C.4-1
OUT_OF_RESOURCES, DOES_NOT_MATCH, UNABLE_TO_PROCESS = 0xA700, 0xA900, 0xC000
UNRECOGNIZED_OPERATION, SOP_CLASS_NOT_SUPPORTED, INVALID_SOP_INSTANCE, NOT_AUTHORIZED = 0x0211, 0x0122, 0x0117, 0x0124


class BadCommand(Exception):
    """The bytes are not a command set."""


def decode(data: bytes | bytearray | memoryview) -> dict[int, bytes]:
    """Element number of group 0000 -> value bytes. Raises BadCommand.

    A loop of its own, not the cursor of `dicom/elements.py`: see docs/dev/decisions/2026-12-01-one-element-cursor.md."""
    found: dict[int, bytes] = {}
    at, end = 0, len(data)
    while at < end:
        if end - at < 8:
            raise BadCommand("an element is cut off")
        group, element, length = struct.unpack_from("<HHI", data, at)
        at += 8
        if group != 0 or length > end - at:
            raise BadCommand("an element does not belong here or is longer than the command set")
        found[element] = bytes(data[at : at + length])
        at += length
    return found


def number(command: dict[int, bytes], element: int, default: int = 0) -> int:
    """A US value; the default where it is missing or of another length."""
    value = command.get(element, b"")
    return int.from_bytes(value, "little") if len(value) == 2 else default


def text(command: dict[int, bytes], element: int) -> str:
    """A UI, AE or LO value without its padding; control characters within it are replaced by spaces."""
    return clean_text(command.get(element, b"").decode("ascii", "replace").strip("\0 "), LIMIT)


def comment(words: str) -> str:
    """The words as an Error Comment: LO, at most 64 characters of the default repertoire (PS3.7 Annex C.5)."""
    plain = "".join(c if " " <= c <= "~" and c != "\\" else "?" for c in words)
    return plain if len(plain) <= 64 else plain[:61] + "..."


def _value(value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return struct.pack("<H", value)
    return value.encode("ascii", "replace") if isinstance(value, str) else value


def _element(element: int, value: bytes) -> bytes:
    if len(value) % 2:
        value += b" " if element in _SPACED else b"\0"
    return struct.pack("<HHI", 0, element, len(value)) + value


def tags(numbers: Iterable[int]) -> bytes:
    """An AT value, as Offending Element has it: tags as 0xGGGGEEEE."""
    return b"".join(struct.pack("<HH", n >> 16, n & 0xFFFF) for n in numbers)


def encode(elements: Mapping[int, int | str | bytes]) -> bytes:
    """The command set with its group length in front; integers are US, strings UI, AE or LO, bytes are as they are."""
    body = b"".join(_element(e, _value(v)) for e, v in sorted(elements.items()))
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body


def store_template(sop_class: str) -> bytearray:
    """A C-STORE-RQ of this SOP class up to its SOP Instance UID (PS3.7 9.3.1.1), for `store_request`."""
    return bytearray(
        encode(
            {SOP_CLASS: sop_class, COMMAND_FIELD: C_STORE_RQ, MESSAGE_ID: 0, PRIORITY: MEDIUM, DATA_SET_TYPE: 0x0102}
        )
    )


_ID_FROM_END = 2 + 2 * 10  # the message id's value: Priority and Data Set Type, ten bytes each, follow it


def store_request(
    template: bytearray, message_id: int, sop_instance: str, originator: tuple[str, int] | None = None
) -> bytes:
    """The whole request: the template with its message id, then what differs from object to object.
    originator: AE title and message id of the C-MOVE that caused it."""
    rest = _element(SOP_INSTANCE, sop_instance.encode("ascii", "replace"))
    if originator is not None:
        title = originator[0].encode("ascii", "replace")
        rest += struct.pack("<HHI", 0, MOVE_ORIGINATOR, len(title) + len(title) % 2) + title + b" " * (len(title) % 2)
        rest += _element(MOVE_MESSAGE_ID, struct.pack("<H", originator[1]))
    struct.pack_into("<I", template, 8, len(template) - 12 + len(rest))
    struct.pack_into("<H", template, len(template) - _ID_FROM_END, message_id)
    return bytes(template) + rest
