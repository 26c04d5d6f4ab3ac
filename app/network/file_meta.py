"""The file meta information written before a received data set (PS3.10 7.1).

It depends on the object alone, never on who sent it or when: the same object received twice is the same file."""

import struct
import zlib

from app.dicom import uids
from app.network.pdu import IMPLEMENTATION_UID, IMPLEMENTATION_VERSION

_LONG = frozenset((b"OB", b"OW", b"OD", b"OF", b"OL", b"OV", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))


def _element(element: int, vr: bytes, value: bytes) -> bytes:
    if len(value) % 2:
        value += b" " if vr == b"SH" else b"\0"
    if vr == b"OB":
        return struct.pack("<HH2sHI", 2, element, vr, 0, len(value)) + value
    return struct.pack("<HH2sH", 2, element, vr, len(value)) + value


def preamble_and_meta(sop_class: str, sop_instance: str, transfer_syntax: str) -> bytes:
    """128 zero bytes, DICM, and the file meta group."""
    body = (
        _element(0x0001, b"OB", b"\0\1")
        + _element(0x0002, b"UI", sop_class.encode("ascii", "replace"))
        + _element(0x0003, b"UI", sop_instance.encode("ascii", "replace"))
        + _element(0x0010, b"UI", transfer_syntax.encode())
        + _element(0x0012, b"UI", IMPLEMENTATION_UID.encode())
        + _element(0x0013, b"SH", IMPLEMENTATION_VERSION.encode())
    )
    return bytes(128) + b"DICM" + _element(0x0000, b"UL", struct.pack("<I", len(body))) + body


def sop_uids(head: bytes | memoryview, transfer_syntax: str) -> tuple[str, str]:
    """SOP Class and Instance UID as the data set's own first bytes say, each empty when not found there."""
    syntax = uids.transfer_syntax(transfer_syntax)
    if syntax.deflated:
        try:
            head = zlib.decompressobj(-zlib.MAX_WBITS).decompress(bytes(head), 65536)
        except zlib.error:
            return "", ""
    order = "<" if syntax.little else ">"
    found = {0x0016: "", 0x0018: ""}
    at = 0
    while at + 12 <= len(head):
        group, element = struct.unpack_from(order + "HH", head, at)
        if group > 0x0008 or (group == 0x0008 and element > 0x0018):
            break
        if syntax.implicit:
            (length,), at = struct.unpack_from("<I", head, at + 4), at + 8
        elif bytes(head[at + 4 : at + 6]) in _LONG:
            (length,), at = struct.unpack_from(order + "I", head, at + 8), at + 12
        else:
            (length,), at = struct.unpack_from(order + "H", head, at + 6), at + 8
        if length > 65536:  # undefined or absurd: what follows cannot be found without parsing
            break
        if group == 0x0008 and element in found:
            value = bytes(head[at : at + length]).decode("ascii", "replace").strip("\0 ")
            found[element] = value if uids.is_safe(value) else ""
        at += length
    return found[0x0016], found[0x0018]
