"""JPEG XL: parameters of a stream (ISO/IEC 18181-1 annexes D to F, boxes of 18181-2), and its decoder.

The headers are bit fields, read here before libjxl is let near the stream. A stream whose first frame is not the whole
picture may hold frames of any other size; it is decoded in a process of its own that has only so much memory."""

import math
import subprocess
import sys
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np

from app.imaging.errors import CannotDecode
from app.imaging.native import Samples
from app.kit.phrases import phrase

SIGNATURE: Final = b"\xff\x0a"
CONTAINER: Final = b"\x00\x00\x00\x0cJXL \r\n\x87\n"
TIMEOUT = 20.0  # seconds in the process of its own
_TABLES = 16 << 20  # bytes libjxl needs whatever the size of the picture
_HEADERS = 4096  # bytes of the code stream that hold its headers
_RATIOS = (1, 1, Fraction(12, 10), Fraction(4, 3), Fraction(3, 2), Fraction(16, 9), Fraction(5, 4), 2)
_SIZES = ((0, 9), (0, 13), (0, 18), (0, 30))
_ENUM = ((0, 0), (1, 0), (2, 4), (18, 6))
_COORDINATE = ((0, 19), (524288, 19), (1048576, 20), (2097152, 21))
_GREY, _REGULAR, _SKIP_PROGRESSIVE = 1, 0, 3
_USES_LF_FRAME = 0x20


class _Unusual(Exception):
    """The headers go on in a way that is not followed here."""


class _Bits:
    """Bit fields, the least significant bit first (18181-1 B.2)."""

    def __init__(self, data: bytes) -> None:
        self._value, self._length, self._at = int.from_bytes(data, "little"), len(data) * 8, 0

    def u(self, bits: int) -> int:
        if self._at + bits > self._length:
            raise CannotDecode("The JPEG XL frame ends inside its header.")
        found = (self._value >> self._at) & ((1 << bits) - 1)
        self._at += bits
        return found

    def u32(self, choices: tuple[tuple[int, int], ...]) -> int:
        """choices: (least value, bits that are added) by the two bits in front."""
        least, bits = choices[self.u(2)]
        return least + self.u(bits)

    def u64(self) -> int:
        kind = self.u(2)
        if kind == 3:
            raise _Unusual
        return (0, 1, 17)[kind] + self.u((0, 4, 8)[kind])

    def align(self) -> None:
        self._at += -self._at % 8


@dataclass(slots=True)
class JpegXlImage:
    """turned: the decoder turns what is stored to RGB, whatever it stores. passes: over the coefficients of the picture.
    single: one frame of the size of the picture, nothing else."""

    rows: int = 0
    columns: int = 0
    components: int = 3
    bits: int = 8
    xyb: bool = True
    turned: bool = True
    passes: int = 1
    modular: bool = False
    single: bool = False


def read(frame: bytes) -> JpegXlImage:
    """The parameters of the stream. Raises CannotDecode where it is damaged, or holds what no DICOM picture has."""
    bits = _Bits(_headers(frame))
    bits.u(16)
    found = JpegXlImage()
    found.rows, found.columns = _size(bits)
    try:
        _metadata(bits, found)
        _frame_header(bits, found)
    except _Unusual:
        found.single = False
    return found


def _headers(frame: bytes) -> bytes:
    """The beginning of the code stream, out of the boxes of a file."""
    if frame.startswith(SIGNATURE):
        return frame[:_HEADERS]
    at, parts, held = len(CONTAINER), list[bytes](), 0
    while at + 8 <= len(frame) and held < _HEADERS:
        length, name, start = int.from_bytes(frame[at : at + 4], "big"), frame[at + 4 : at + 8], at + 8
        if length == 1:
            length, start = int.from_bytes(frame[at + 8 : at + 16], "big"), at + 16
        end = len(frame) if length == 0 else at + length
        if end < start:
            break
        if name in (b"jxlc", b"jxlp"):
            parts.append(frame[start + 4 * (name == b"jxlp") : min(end, start + _HEADERS)])
            held += len(parts[-1])
        at = end
    joined = b"".join(parts)
    if not joined.startswith(SIGNATURE):
        raise CannotDecode("The JPEG XL file contains no codestream.")
    return joined


def _size(bits: _Bits) -> tuple[int, int]:
    small = bits.u(1)
    rows = 8 * (bits.u(5) + 1) if small else bits.u32(_SIZES) + 1
    ratio = bits.u(3)
    if ratio:
        return rows, int(rows * _RATIOS[ratio])
    return rows, 8 * (bits.u(5) + 1) if small else bits.u32(_SIZES) + 1


def _metadata(bits: _Bits, found: JpegXlImage) -> None:
    """ImageMetadata (18181-1 D.3)."""
    if not bits.u(1):  # not all by default: 8 bits, colour, XYB
        extra = bits.u(1)
        if extra:
            bits.u(3)  # orientation: the DICOM header defines the orientation
            if bits.u(1):
                _size(bits)
            if bits.u(1) or bits.u(1):
                raise CannotDecode("JPEG XL animations and streams with a preview are not supported.")
        if bits.u(1):
            raise CannotDecode("JPEG XL images with floating point samples are not supported.")
        found.bits = bits.u32(((8, 0), (10, 0), (12, 0), (1, 6)))
        if found.bits > 16:
            raise CannotDecode(phrase("JPEG XL images with {bits} bits are not supported.", bits=found.bits))
        bits.u(1)
        if bits.u32(((0, 0), (1, 0), (2, 4), (1, 12))):
            raise CannotDecode("JPEG XL images with transparency or other extra channels are not supported.")
        found.xyb = bool(bits.u(1))
        profile = _colours(bits, found)
        if extra and not bits.u(1):  # tone mapping
            bits.u(16 + 16 + 1 + 16)
        if bits.u64() or profile:
            raise _Unusual  # a profile is coded by entropy: the data behind it cannot be read here
    if not bits.u(1):
        raise _Unusual


def _colours(bits: _Bits, found: JpegXlImage) -> bool:
    """ColourEncoding (18181-1 E.2); whether a profile follows in its place."""
    found.turned = found.xyb
    if bits.u(1):
        return False
    profile, space = bool(bits.u(1)), bits.u32(_ENUM)
    found.components = 1 if space == _GREY else 3
    if profile:
        return True
    points = 1 if bits.u32(_ENUM) == 2 else 0
    if space != _GREY and bits.u32(_ENUM) == 2:
        points += 3
    if points:
        raise _Unusual
    if bits.u(1):
        bits.u(24)
    else:
        bits.u32(_ENUM)
    bits.u32(_ENUM)
    return False


def _frame_header(bits: _Bits, found: JpegXlImage) -> None:
    """FrameHeader (18181-1 F.2) of the first frame: whether it is the last one and as large as the picture."""
    bits.align()
    if bits.u(1):
        found.single = True
        return
    kind, found.modular, flags = bits.u(2), bool(bits.u(1)), bits.u64()
    if not found.xyb:
        found.turned = bool(bits.u(1))
    if flags & _USES_LF_FRAME or kind not in (_REGULAR, _SKIP_PROGRESSIVE):
        raise _Unusual
    if found.turned and not found.xyb:
        bits.u(6)
    if bits.u(2):  # drawn larger than stored
        raise _Unusual
    bits.u(2 if found.modular else 6 if found.xyb else 0)
    found.passes = bits.u32(((1, 0), (2, 0), (3, 0), (4, 3)))
    if found.passes > 1:
        finer = bits.u32(((0, 0), (1, 0), (2, 0), (3, 1)))
        bits.u(2 * (found.passes - 1) + 2 * finer)
        for _ in range(finer):
            bits.u32(((0, 0), (1, 0), (2, 0), (0, 3)))
    cropped = bits.u(1)
    if cropped or bits.u32(((0, 0), (1, 0), (2, 0), (3, 2))):
        raise _Unusual
    found.single = bool(bits.u(1))


def decode(frame: bytes) -> Samples:
    """(rows, columns[, samples]) in 8 or 16 bits, colour as RGB or as it is stored. Raises ValueError or RuntimeError."""
    import imagecodecs

    return np.ascontiguousarray(imagecodecs.jpegxl_decode(frame, keeporientation=True, numthreads=1))


_PROGRAM = """
import resource, sys
import imagecodecs
frame = sys.stdin.buffer.read()
held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + int(sys.argv[1]),) * 2)
array = imagecodecs.jpegxl_decode(frame, keeporientation=True, numthreads=1)
sys.stdout.buffer.write(array.tobytes())
"""


def decode_apart(frame: bytes, shape: tuple[int, ...], bits: int, most: int) -> Samples:
    """The same in a process of its own. shape: of what is wanted; most: bytes that libjxl may take for it. Raises CannotDecode."""
    command = [sys.executable, "-I", "-c", _PROGRAM, str(most + _TABLES)]
    try:
        done = subprocess.run(command, input=frame, capture_output=True, timeout=TIMEOUT, check=False)  # noqa: S603 - fixed program
    except subprocess.TimeoutExpired:
        raise CannotDecode(phrase("libjxl did not finish within {seconds:.0f} s.", seconds=TIMEOUT)) from None
    dtype = np.dtype(np.uint8 if bits <= 8 else np.uint16)
    if done.returncode != 0 or len(done.stdout) != math.prod(shape) * dtype.itemsize:
        raise CannotDecode(phrase("libjxl failed (code {returncode}).", returncode=done.returncode))
    return np.frombuffer(done.stdout, dtype).reshape(shape)
