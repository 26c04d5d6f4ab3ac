"""The file meta information written before a received data set (PS3.10 7.1).

It depends on the object alone, never on who sent it or when: the same object received twice is the same file."""

import struct
import zlib
from contextlib import suppress

from app.dicom import elements, uids
from app.network.pdu import IMPLEMENTATION_UID, IMPLEMENTATION_VERSION

_BEHIND_UIDS = range(0x00080019, 1 << 32)


def _element(element: int, vr: bytes, value: bytes) -> bytes:
    return elements.encode(0x00020000 | element, vr, value, implicit=False)


_PREAMBLE = bytes(128) + b"DICM"
_VERSION = _element(0x0001, b"OB", b"\0\1")
_IMPLEMENTATION = _element(0x0012, b"UI", IMPLEMENTATION_UID.encode()) + _element(
    0x0013, b"SH", IMPLEMENTATION_VERSION.encode()
)


def preamble_and_meta(sop_class: str, sop_instance: str, transfer_syntax: str) -> bytes:
    """128 zero bytes, DICM, and the file meta group."""
    body = (
        _VERSION
        + _element(0x0002, b"UI", sop_class.encode("ascii", "replace"))
        + _element(0x0003, b"UI", sop_instance.encode("ascii", "replace"))
        + _element(0x0010, b"UI", transfer_syntax.encode())
        + _IMPLEMENTATION
    )
    return _PREAMBLE + _element(0x0000, b"UL", struct.pack("<I", len(body))) + body


def sop_uids(head: bytes | memoryview, transfer_syntax: str) -> tuple[str, str]:
    """SOP Class and Instance UID as the data set's own first bytes say, each empty when not found there."""
    syntax = uids.transfer_syntax(transfer_syntax)
    if syntax.deflated:
        try:
            head = zlib.decompressobj(-zlib.MAX_WBITS).decompress(bytes(head), 65536)
        except zlib.error:
            return "", ""
    found = {0x00080016: "", 0x00080018: ""}
    with suppress(elements.DamagedElements):
        cursor = elements.Cursor(head, 0, len(head), syntax.implicit, syntax.little, last=_BEHIND_UIDS)
        for tag, _, _, value, _, following in cursor:
            if tag in found:
                uid = bytes(head[value:following]).decode("ascii", "replace").strip("\0 ")
                found[tag] = uid if uids.is_safe(uid) else ""
    return found[0x00080016], found[0x00080018]
