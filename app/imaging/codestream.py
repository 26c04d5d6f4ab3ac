"""Reads the parameters of a compressed frame before a decoder is called: a size that lies is a bomb.

JPEG: ITU-T T.81 B.2; JPEG-LS: T.87 C.1; JPEG 2000 and HTJ2K: T.800 A.5.1; JPEG XL: jpegxl.py."""

import struct
from dataclasses import dataclass, replace
from typing import Literal

from app.imaging import jpegxl
from app.imaging.errors import CannotDecode

Family = Literal["jpeg", "jpeg-lossless", "jpeg-ls", "j2k", "jpeg-xl"]
_SOF_DCT = {0xC0, 0xC1, 0xC2, 0xC5, 0xC6, 0xC9, 0xCA, 0xCD, 0xCE}
_SOF_LOSSLESS = {0xC3, 0xC7, 0xCB, 0xCF}
_SOF_PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}
_JP2_SIGNATURE = b"\x00\x00\x00\x0cjP  \r\n\x87\n"


@dataclass(frozen=True, slots=True)
class Codestream:
    """Size, depth and colour of a compressed frame by its own header.

    process: SOF marker of a JPEG or JPEG-LS, 0 of others. rgb: JPEG whose markers declare RGB samples; None: they are
    missing. alike: every component of a JPEG 2000 has the depth and sampling of the first. several_scans: JPEG whose
    coefficients come in more than one scan, so that all are held until the last (of JPEG XL: passes). mct: J2K with a
    component transform, JPEG XL that comes out as RGB whatever it stores; reversible: J2K by the 5-3 filter, JPEG XL
    without XYB; modular: JPEG XL without a DCT; compound: JPEG XL that may hold frames of other sizes than the picture;
    high_throughput: J2K Part 15; levels: how often a J2K picture can be halved while it is decoded."""

    family: Family
    rows: int
    columns: int
    components: int
    precision: int
    signed: bool = False
    process: int = 0
    rgb: bool | None = None
    alike: bool = True
    several_scans: bool = False
    mct: bool = False
    reversible: bool = True
    high_throughput: bool = False
    modular: bool = False
    compound: bool = False
    levels: int = 0
    start: int = 0


def read(frame: bytes) -> Codestream:
    """The kind of this codestream, regardless of the transfer syntax. Raises CannotDecode when it is none."""
    if frame.startswith(b"\xff\x4f\xff\x51"):
        return _j2k(frame, 0)
    if frame.startswith(_JP2_SIGNATURE):
        start = frame.find(b"\xff\x4f\xff\x51")
        if start >= 0:
            return _j2k(frame, start)
    if frame.startswith(b"\xff\xd8"):
        return _jpeg(frame)
    if frame.startswith((jpegxl.SIGNATURE, jpegxl.CONTAINER)):
        return _jpeg_xl(jpegxl.read(frame))
    raise CannotDecode("The compressed frame is not a JPEG stream or is damaged.")


def _jpeg_xl(found: jpegxl.JpegXlImage) -> Codestream:
    return Codestream(
        "jpeg-xl",
        found.rows,
        found.columns,
        found.components,
        found.bits,
        mct=found.turned and found.components > 1,
        reversible=not found.xyb,
        several_scans=found.passes > 1,
        modular=found.modular,
        compound=not found.single,
    )


def _j2k(frame: bytes, start: int) -> Codestream:
    try:
        width, height, x0, y0 = struct.unpack_from(">4I", frame, start + 8)
        (components,) = struct.unpack_from(">H", frame, start + 40)
        depth = frame[start + 42]
        sizes = {frame[start + 42 + 3 * n : start + 45 + 3 * n] for n in range(components)}
        mct, reversible, high_throughput, levels = _j2k_coding(frame, start)
    except (struct.error, IndexError):
        raise CannotDecode("The JPEG 2000 frame ends inside its header.") from None
    rows, columns = max(0, height - y0), max(0, width - x0)
    return Codestream(
        "j2k",
        rows,
        columns,
        components,
        (depth & 0x7F) + 1,
        bool(depth & 0x80),
        alike=len(sizes) == 1,
        mct=mct,
        reversible=reversible,
        high_throughput=high_throughput,
        levels=levels,
        start=start,
    )


def _j2k_coding(frame: bytes, start: int) -> tuple[bool, bool, bool, int]:
    """Component transform, wavelet and levels of the COD marker segment (T.800 A.6.1), and whether CAP names Part 15."""
    mct, reversible, high_throughput, levels = False, True, False, 0
    at = start + 2
    while at + 4 <= len(frame):
        marker, length = struct.unpack_from(">HH", frame, at)
        if marker == 0xFF52:
            mct, reversible, levels = frame[at + 8] == 1, frame[at + 13] == 1, frame[at + 9]
        elif marker == 0xFF50:
            high_throughput = bool(frame[at + 5] & 0x02)  # Pcap 15: bit 17 of 32, the most significant being the first
        elif marker == 0xFF90 or marker < 0xFF00:  # first tile part: the main header has ended
            break
        at += 2 + length
    return mct, reversible, high_throughput, levels


def _jpeg(frame: bytes) -> Codestream:
    at, adobe, jfif = 2, None, False
    try:
        while True:
            if frame[at] != 0xFF:
                raise CannotDecode("The JPEG frame is damaged: a marker is missing.")
            marker = frame[at + 1]
            if marker == 0xFF:  # fill byte
                at += 1
                continue
            if marker in (0xD8, 0x01) or 0xD0 <= marker <= 0xD7:
                at += 2
                continue
            (length,) = struct.unpack_from(">H", frame, at + 2)
            if marker == 0xEE and frame[at + 4 : at + 9] == b"Adobe" and length >= 14:
                adobe = frame[at + 15]
            elif marker == 0xE0 and frame[at + 4 : at + 8] == b"JFIF":
                jfif = True
            elif marker in _SOF_DCT or marker in _SOF_LOSSLESS or marker == 0xF7:
                head = _sof(frame, at, marker, adobe, jfif)
                return replace(
                    head, several_scans=marker in _SOF_PROGRESSIVE or _first_scan(frame, at) < head.components
                )
            elif marker in (0xDA, 0xD9) or length < 2:
                raise CannotDecode("The JPEG frame has no frame header.")
            at += 2 + length
    except (IndexError, struct.error):
        raise CannotDecode("The JPEG frame ends inside its header.") from None


def _first_scan(frame: bytes, at: int) -> int:
    """Components in the first scan after the frame header at `at` (T.81 B.2.3); many where there is none."""
    while at + 5 <= len(frame) and frame[at] == 0xFF:
        if frame[at + 1] == 0xDA:
            return frame[at + 4]
        at += 1 if frame[at + 1] == 0xFF else 2 + int.from_bytes(frame[at + 2 : at + 4], "big")
    return 255


def _sof(frame: bytes, at: int, marker: int, adobe: int | None, jfif: bool) -> Codestream:
    precision, rows, columns, components = struct.unpack_from(">BHHB", frame, at + 4)
    family: Family = "jpeg-ls" if marker == 0xF7 else "jpeg-lossless" if marker in _SOF_LOSSLESS else "jpeg"
    ids = [frame[at + 10 + 3 * n] for n in range(components)]
    sampling = {frame[at + 11 + 3 * n] for n in range(components)}
    rgb: bool | None = None
    if adobe is not None:
        rgb = adobe == 0
    elif len(sampling) > 1:
        rgb = False  # green and blue are never subsampled
    elif ids == [0x52, 0x47, 0x42]:
        rgb = True
    elif jfif:
        rgb = False  # JFIF knows YCbCr only
    return Codestream(family, rows, columns, components, precision, process=marker, rgb=rgb)
