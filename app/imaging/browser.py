"""Which frames the viewer's own decoders may be given as they are stored, and what they are given instead.

The decoders of the browser are closer than those of the server, but not always correct: DCT JPEG of 12 bits comes out
15 stored values too high, colour follows markers of the code stream against the header, floats are read as integers. So
they get only what an allow list names: combinations of transfer syntax, depth, sign and colour whose every value was
compared with the server's in Chromium (tests/viewer/test_values.py). Everything else is decoded here (`decoded`)."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise

import numpy as np

from app.dicom import syntaxes
from app.imaging import codestream, colour, cost
from app.imaging.codestream import Codestream
from app.imaging.decode import decode, memory_needed
from app.imaging.errors import CannotDecode
from app.imaging.native import Samples
from app.imaging.spec import PixelSpec

HEAD, TAIL = 64 * 1024, 64  # bytes of a compressed frame's beginning and end that `decodes` looks at
_END = b"\xff\xd9"  # EOI of JPEG and JPEG-LS, EOC of JPEG 2000
_SOF_BASELINE, _SOF_LOSSLESS = 0xC0, 0xC3
_MODERN_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422")


class Form(IntEnum):
    """How a frame is sent to the viewer.

    STORED: as it lies in the file, native frames in little endian. INTEGERS: stored values as little endian integers of 1,
    2 or 4 bytes, cut to Bits Stored and sign-extended. FLOATS: little endian floats of 4 bytes. RGB: 8 bits, by pixel."""

    STORED = 0
    INTEGERS = 1
    FLOATS = 2
    RGB = 3


@dataclass(frozen=True, slots=True)
class Ends:
    """Beginning (at most HEAD bytes) and end (at most TAIL) of a compressed frame of `length` bytes."""

    head: bytes
    tail: bytes
    length: int

    @classmethod
    def of(cls, frame: bytes) -> "Ends":
        return cls(frame[:HEAD], frame[-TAIL:], len(frame))


def decodes(spec: PixelSpec, ends: Ends | None = None) -> bool:
    """Whether the browser gives the same stored values (or RGB) of this frame as `decode_frame` does.

    ends: of a compressed frame; native frames need none."""
    if spec.kind != "int" or spec.samples not in (1, 3):
        return False
    if spec.native:
        return _native(spec)
    if ends is None or spec.bits_allocated != (8 if spec.bits_stored <= 8 else 16):
        return False
    if spec.colour and spec.bits_stored != 8:
        return False
    if spec.transfer_syntax_uid == syntaxes.RLE:
        return _rle(spec, ends)
    rule = _RULES.get(spec.transfer_syntax_uid)
    if rule is None or not ends.tail.rstrip(b"\0").endswith(_END):
        return False
    try:
        head = codestream.read(ends.head)
    except CannotDecode:
        return False
    same = (head.rows, head.columns, head.components) == (spec.rows, spec.columns, spec.samples)
    return same and head.start == 0 and rule(head, spec)


def decoded(frame: bytes, spec: PixelSpec, bit_offset: int = 0) -> tuple[Form, bytes]:
    """The frame as the viewer can show it without a decoder of its own. Raises ImagingError."""
    with cost.ROOM.of(memory_needed(frame, spec)):
        made = decode(frame, spec, bit_offset)
        values, photometric = made.values, made.photometric
        del made  # its words: what is made beside them may be as large
        if spec.samples > 1:
            values = colour.to_rgb(values, photometric, spec.bits_stored)
            return Form.RGB, _eight_bits(values, spec)
        if values.dtype.kind == "f" or values.dtype.itemsize > 4:  # the viewer counts in floats of 32 bits
            return Form.FLOATS, values.astype("<f4").tobytes()
        return Form.INTEGERS, values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()


def _eight_bits(rgb: Samples, spec: PixelSpec) -> bytes:
    top = (1 << spec.bits_stored) - 1
    if spec.bits_stored == 8:
        return rgb.astype(np.uint8, copy=False).tobytes()
    if spec.bits_stored < 8 or rgb.dtype.itemsize == 2:
        return np.rint(np.arange(top + 1) / top * 255).astype(np.uint8)[np.minimum(rgb, top)].tobytes()
    return np.rint(rgb / float(top) * 255).astype(np.uint8).tobytes()


def _native(spec: PixelSpec) -> bool:
    """Little endian words of whole bytes; 4:2:2 is left to the server, which knows what is really stored under that name."""
    if spec.transfer_syntax_uid in syntaxes.BIG_ENDIAN:
        return False
    if spec.colour:
        return spec.bits_allocated == spec.bits_stored == 8 and spec.photometric in ("RGB", "YBR_FULL")
    return spec.bits_allocated in (8, 16, 32)


def _rle(spec: PixelSpec, ends: Ends) -> bool:
    """A header of as many segments as bytes in a pixel, which lie one behind the other (PS3.5 Annex G.5)."""
    if len(ends.head) < 64 or (spec.colour and spec.photometric not in ("RGB", "YBR_FULL")):
        return False
    count, *starts = struct.unpack_from("<16I", ends.head)
    if count != spec.samples * spec.bits_allocated // 8:
        return False
    bounds = [*starts[:count], ends.length]
    return starts[0] == 64 and all(low < high for low, high in pairwise(bounds))


def _jpeg_baseline(head: Codestream, spec: PixelSpec) -> bool:
    """libjpeg in the browser derives the colour space from the markers, and assumes YCbCr where they are missing."""
    if head.process != _SOF_BASELINE or head.several_scans or spec.bits_stored != 8:
        return False
    if not spec.colour:
        return True
    guess = False if head.rgb is None else head.rgb
    is_rgb = head.rgb if head.rgb is not None else spec.photometric == "RGB"
    return spec.planar == 0 and spec.photometric in _MODERN_COLOUR and guess == is_rgb


def _jpeg_lossless(head: Codestream, spec: PixelSpec) -> bool:
    if head.process != _SOF_LOSSLESS or head.several_scans or not _deep(head, spec):
        return False
    return not spec.colour or spec.photometric in ("RGB", "YBR_FULL")


def _jpeg_ls(head: Codestream, spec: PixelSpec) -> bool:
    return head.family == "jpeg-ls" and not spec.colour and head.precision == spec.bits_stored


def _j2k(head: Codestream, spec: PixelSpec) -> bool:
    return head.family == "j2k" and not head.high_throughput and _wavelets(head, spec)


def _htj2k(head: Codestream, spec: PixelSpec) -> bool:
    """By the 5-3 filter alone: the decoders of browser and server round the other one differently."""
    return head.high_throughput and head.reversible and _wavelets(head, spec) and (head.mct or not spec.colour)


def _wavelets(head: Codestream, spec: PixelSpec) -> bool:
    if not head.alike or head.signed != spec.signed or not _deep(head, spec):
        return False
    if not spec.colour:
        return True
    known = ("RGB", "YBR_RCT", "YBR_ICT") if head.mct else ("RGB", "YBR_FULL")
    return spec.planar == 0 and spec.photometric in known


def _deep(head: Codestream, spec: PixelSpec) -> bool:
    """As deep as the header says, or exact in whole words; of 8 bits only unsigned ones are read right."""
    if spec.bits_stored <= 8:
        return head.precision == spec.bits_stored and not spec.signed
    return head.precision == spec.bits_stored or (head.precision == spec.bits_allocated and head.reversible)


_RULES: dict[str, Callable[[Codestream, PixelSpec], bool]] = {
    syntaxes.JPEG_BASELINE: _jpeg_baseline,
    syntaxes.JPEG_LOSSLESS: _jpeg_lossless,
    syntaxes.JPEG_LOSSLESS_SV1: _jpeg_lossless,
    syntaxes.JPEG_LS: _jpeg_ls,
    syntaxes.JPEG_LS_NEAR: _jpeg_ls,
    syntaxes.J2K_LOSSLESS: _j2k,
    syntaxes.J2K: _j2k,
    syntaxes.HTJ2K_LOSSLESS: _htj2k,
    syntaxes.HTJ2K_LOSSLESS_RPCL: _htj2k,
    syntaxes.HTJ2K: _htj2k,
}
