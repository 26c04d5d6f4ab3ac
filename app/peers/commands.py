"""Command sets of DIMSE messages (PS3.7 6.3, Annex E): always Implicit VR Little Endian, a few short elements."""

import struct

COMMAND_FIELD, MESSAGE_ID, RESPONDED_TO, DATA_SET_TYPE = 0x0100, 0x0110, 0x0120, 0x0800
SOP_CLASS, SOP_INSTANCE, STATUS, ERROR_COMMENT, PRIORITY = 0x0002, 0x1000, 0x0900, 0x0902, 0x0700
C_STORE_RQ, C_STORE_RSP, C_ECHO_RQ, C_ECHO_RSP, C_CANCEL_RQ = 0x0001, 0x8001, 0x0030, 0x8030, 0x0FFF
NO_DATA_SET = 0x0101
LIMIT = 65536  # bytes; real command sets have some hundred

SUCCESS = 0x0000
UNRECOGNIZED_OPERATION, SOP_CLASS_NOT_SUPPORTED, INVALID_SOP_INSTANCE, NOT_AUTHORIZED = 0x0211, 0x0122, 0x0117, 0x0124


class BadCommand(Exception):
    """The bytes are no command set."""


def decode(data: bytes | bytearray | memoryview) -> dict[int, bytes]:
    """Element number of group 0000 -> value bytes. Raises BadCommand."""
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
    """A UI or LO value without its padding."""
    return command.get(element, b"").decode("ascii", "replace").strip("\0 ")


def comment(words: str) -> str:
    """The words as an Error Comment: LO, at most 64 characters of the default repertoire (PS3.7 Annex C.5)."""
    plain = "".join(c if " " <= c <= "~" and c != "\\" else "?" for c in words)
    return plain if len(plain) <= 64 else plain[:61] + "..."


def _element(element: int, value: bytes) -> bytes:
    if len(value) % 2:
        value += b" " if element == ERROR_COMMENT else b"\0"
    return struct.pack("<HHI", 0, element, len(value)) + value


def encode(elements: dict[int, int | str]) -> bytes:
    """The command set with its group length in front; integers are US, strings UI or LO."""
    body = b"".join(
        _element(e, struct.pack("<H", v) if isinstance(v, int) else v.encode("ascii", "replace"))
        for e, v in sorted(elements.items())
    )
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body
