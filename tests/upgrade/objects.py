"""Objects whose header is more than what version 4ab0408 kept of it; all names invented. Few bytes once compressed."""

import struct
import zlib
from pathlib import Path

from tests.archive.make import ct, part10

CASES = Path(__file__).resolve().parents[1] / "cases"
_LONG = ("OB", "OF", "OW", "SQ", "UN", "UT")
PIXELS = b"\xe0\x7f\x10\x00"  # the tag of Pixel Data


def element(tag: int, vr: str, value: bytes) -> bytes:
    """An element in explicit VR little endian."""
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    length = struct.pack("<HI", 0, len(value)) if vr in _LONG else struct.pack("<H", len(value))
    return head + length + value


def item(value: bytes) -> bytes:
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(value)) + value


def crowded(number: int = 52_000, sop: str = "1.2.3.7.1.1") -> bytes:
    """A sequence of more items than are kept, in front of the pixel data."""
    raw = part10(ct(sop, "1.2.3.7", "1.2.3.7.1"))
    at = raw.index(PIXELS + b"OW")
    items = b"".join(item(element(0x00080100, "SH", b"%08d" % n)) for n in range(number))
    return raw[:at] + element(0x52009230, "SQ", items) + raw[at:]


def tail_behind(pixels: str = "native", sop: str = "1.2.3.7.1.2") -> bytes:
    """Attributes behind the pixel data, one of them larger than what is kept; pixels: native or encapsulated."""
    tail = (
        element(0x7FE30010, "LO", b"TAIL")
        + element(0x7FE31001, "OB", bytes(range(256)) * 1200)
        + element(0xEAEA0102, "SH", b"DCM ")
    )
    if pixels == "native":
        return part10(ct(sop, "1.2.3.7", "1.2.3.7.1")) + tail
    raw = part10(ct(sop, "1.2.3.7", "1.2.3.7.1", syntax="1.2.840.10008.1.2.5", pixels=None))
    fragments = item(b"") + item(struct.pack("<16I", 1, 64, *([0] * 14)) + b"\xf1\x00") + b"\xfe\xff\xdd\xe0" + bytes(4)
    return raw + PIXELS + b"OB\0\0" + b"\xff" * 4 + fragments + tail


def big_endian_words(sop: str = "1.2.3.7.1.3") -> bytes:
    """8-bit pixels as OW in big endian, and a palette of the same VR."""
    ds = ct(sop, "1.2.3.7", "1.2.3.7.1", syntax="1.2.840.10008.1.2.2", pixels=bytes(range(16)))
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8, 8, 7
    return part10(ds)


def deflated(sop: str = "1.2.3.7.1.4") -> bytes:
    """A large value and attributes behind the pixel data inside a deflated data set."""
    plain = part10(ct(sop, "1.2.3.7", "1.2.3.7.1"))
    start = 132 + 12 + struct.unpack_from("<I", plain, 140)[0]
    at = plain.index(PIXELS + b"OW")
    data = plain[start:at] + element(0x60003000, "OW", bytes(range(256)) * 1200) + plain[at:]
    data += element(0xEAEA0102, "SH", b"DCM ")
    machine = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = machine.compress(data) + machine.flush()
    meta = part10(ct(sop, "1.2.3.7", "1.2.3.7.1", syntax="1.2.840.10008.1.2.1.99"))
    meta_end = 132 + 12 + struct.unpack_from("<I", meta, 140)[0]
    return meta[:meta_end] + body + (b"\0" if len(body) % 2 else b"")


def large() -> dict[str, bytes]:
    """All of them by their SOP Instance UID, without those that are files of their own in tests/cases."""
    return {
        "1.2.3.7.1.1": crowded(),
        "1.2.3.7.1.2": tail_behind(),
        "1.2.3.7.1.3": big_endian_words(),
        "1.2.3.7.1.4": deflated(),
        "1.2.3.7.1.5": tail_behind("encapsulated", "1.2.3.7.1.5"),
    }
