"""UIDs: what is a usable one, the transfer syntaxes by name, new ones."""

import re
import uuid
from dataclasses import dataclass

_STRICT = re.compile(r"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))+")
_SAFE = re.compile(r"(?=.*[0-9A-Za-z])[0-9A-Za-z._-]{1,64}")

IMPLICIT_LE = "1.2.840.10008.1.2"
EXPLICIT_LE = "1.2.840.10008.1.2.1"
DEFLATED_LE = "1.2.840.10008.1.2.1.99"
EXPLICIT_BE = "1.2.840.10008.1.2.2"
MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"


def is_valid(uid: str) -> bool:
    """As the standard writes it: dotted numbers without leading zeros, at most 64 characters (PS3.5 9.1)."""
    return len(uid) <= 64 and _STRICT.fullmatch(uid) is not None


def is_safe(uid: str) -> bool:
    """Lenient, for what real senders make (leading zeros, letters), yet harmless in a path, a row and a URL."""
    return _SAFE.fullmatch(uid) is not None


def new_uid() -> str:
    """A new UID from a random UUID (PS3.5 B.2)."""
    return f"2.25.{uuid.uuid4().int}"


@dataclass(frozen=True, slots=True)
class TransferSyntax:
    """How a data set is encoded (PS3.5 annex A)."""

    uid: str
    name: str
    implicit: bool = False
    little: bool = True
    deflated: bool = False
    encapsulated: bool = True
    video: bool = False  # one stream for all frames: frames cannot be addressed


def _native(uid: str, name: str, **how: bool) -> TransferSyntax:
    return TransferSyntax(uid, name, encapsulated=False, **how)


_VIDEO = {
    "100": "MPEG2 Main Profile Main Level",
    "100.1": "Fragmentable MPEG2 Main Profile Main Level",
    "101": "MPEG2 Main Profile High Level",
    "101.1": "Fragmentable MPEG2 Main Profile High Level",
    "102": "MPEG-4 AVC/H.264 High Profile 4.1",
    "102.1": "Fragmentable MPEG-4 AVC/H.264 High Profile 4.1",
    "103": "MPEG-4 AVC/H.264 BD-compatible 4.1",
    "103.1": "Fragmentable MPEG-4 AVC/H.264 BD-compatible 4.1",
    "104": "MPEG-4 AVC/H.264 High Profile 4.2 2D",
    "104.1": "Fragmentable MPEG-4 AVC/H.264 High Profile 4.2 2D",
    "105": "MPEG-4 AVC/H.264 High Profile 4.2 3D",
    "105.1": "Fragmentable MPEG-4 AVC/H.264 High Profile 4.2 3D",
    "106": "MPEG-4 AVC/H.264 Stereo High Profile 4.2",
    "106.1": "Fragmentable MPEG-4 AVC/H.264 Stereo High Profile 4.2",
    "107": "HEVC/H.265 Main Profile 5.1",
    "108": "HEVC/H.265 Main 10 Profile 5.1",
}
_STILL = {
    "50": "JPEG Baseline 8 bit",
    "51": "JPEG Extended 12 bit",
    "57": "JPEG Lossless",
    "70": "JPEG Lossless SV1",
    "80": "JPEG-LS Lossless",
    "81": "JPEG-LS Near-lossless",
    "90": "JPEG 2000 Lossless",
    "91": "JPEG 2000",
    "92": "JPEG 2000 Multi-component Lossless",
    "93": "JPEG 2000 Multi-component",
    "94": "JPIP Referenced",
    "95": "JPIP Referenced Deflate",
    "110": "JPEG XL Lossless",
    "111": "JPEG XL JPEG Recompression",
    "112": "JPEG XL",
    "201": "HTJ2K Lossless",
    "202": "HTJ2K Lossless RPCL",
    "203": "HTJ2K",
    "204": "JPIP HTJ2K Referenced",
    "205": "JPIP HTJ2K Referenced Deflate",
}
TRANSFER_SYNTAXES: dict[str, TransferSyntax] = {
    syntax.uid: syntax
    for syntax in (
        _native(IMPLICIT_LE, "Implicit VR Little Endian", implicit=True),
        _native(EXPLICIT_LE, "Explicit VR Little Endian"),
        _native(DEFLATED_LE, "Deflated Explicit VR Little Endian", deflated=True),
        _native(EXPLICIT_BE, "Explicit VR Big Endian", little=False),
        TransferSyntax("1.2.840.10008.1.2.5", "RLE Lossless"),
        TransferSyntax("1.2.840.10008.1.2.1.98", "Encapsulated Uncompressed Explicit VR Little Endian"),
        TransferSyntax("1.2.840.10008.1.2.8.1", "Deflated Image Frame Compression"),
        _native("1.2.840.113619.5.2", "GE Private Implicit VR with Big Endian Pixel Data", implicit=True),
        *(TransferSyntax(f"1.2.840.10008.1.2.4.{end}", name) for end, name in _STILL.items()),
        *(TransferSyntax(f"1.2.840.10008.1.2.4.{end}", name, video=True) for end, name in _VIDEO.items()),
    )
}
# Transfer syntaxes whose data set is deflated as a whole (PS3.5 A.5; JPIP ... Deflate).
for _uid in (f"1.2.840.10008.1.2.4.{end}" for end in ("95", "205")):
    TRANSFER_SYNTAXES[_uid] = TransferSyntax(_uid, TRANSFER_SYNTAXES[_uid].name, deflated=True, encapsulated=False)


def transfer_syntax(uid: str) -> TransferSyntax:
    """The syntax of a UID; an unknown or private one is read as the standard asks of all new ones: explicit, little
    endian, encapsulated when the pixel data's length is undefined."""
    return TRANSFER_SYNTAXES.get(uid) or TransferSyntax(uid, uid)
