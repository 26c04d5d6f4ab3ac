"""RLE Lossless (PS3.5 Annex G): the fast codec of pylibjpeg-rle after additional checks."""

import struct
from itertools import pairwise

import numpy as np

from app.imaging.errors import CannotDecode, CannotTranscode
from app.imaging.native import Samples
from app.imaging.spec import PixelSpec
from app.kit.phrases import phrase


def decode(frame: bytes, spec: PixelSpec, warnings: list[str]) -> Samples:
    """Words as stored, (rows, columns[, samples]). Segments that end early are filled with zeros, with a warning."""
    width = max(1, spec.bits_allocated // 8)
    segments = _segments(frame, width * spec.samples)
    pixels = spec.rows * spec.columns
    if spec.bits_allocated == 1:
        return _decode_bits(segments[0], spec, warnings)
    words = np.zeros((pixels, spec.samples), f"<u{width}")
    planes = words.view(np.uint8).reshape(pixels, spec.samples, width)
    for index, segment in enumerate(segments):
        plain = unpack(segment, pixels)
        if len(plain) < pixels:
            warnings.append(phrase("RLE segment {number} is truncated; the rest is shown as zero.", number=index + 1))
        sample, byte = divmod(index, width)  # most significant byte first per sample (G.2)
        planes[: len(plain), sample, width - 1 - byte] = np.frombuffer(plain, np.uint8, len(plain))
    words = words.astype(f"=u{width}", copy=False)
    return words.reshape((spec.rows, spec.columns) if spec.samples == 1 else (spec.rows, spec.columns, spec.samples))


def last_segment(header: bytes) -> int:
    """Where the last segment of a frame begins, by the frame's first 64 bytes; 0 where they make no sense."""
    if len(header) < 64:
        return 0
    count, *offsets = struct.unpack_from("<16L", header)
    return int(offsets[count - 1]) if 1 <= count <= 15 else 0


def _decode_bits(segment: bytes, spec: PixelSpec, warnings: list[str]) -> Samples:
    """1-bit frames: the packed bytes are the segment; some writers put one byte per pixel."""
    pixels = spec.rows * spec.columns
    plain = unpack(segment, pixels)
    if len(plain) >= pixels:
        return np.frombuffer(plain, np.uint8, pixels).reshape(spec.rows, spec.columns) & 1
    need = (pixels + 7) // 8
    if len(plain) < need:
        warnings.append("The RLE segment is truncated; the rest is shown as zero.")
        plain += bytes(need - len(plain))
    bits = np.unpackbits(np.frombuffer(plain, np.uint8), count=pixels, bitorder="little")
    return bits.reshape(spec.rows, spec.columns)


def _segments(frame: bytes, expected: int) -> list[bytes]:
    if len(frame) < 64:
        raise CannotDecode("The RLE frame is shorter than its header.")
    count, *offsets = struct.unpack_from("<16L", frame)
    if count != expected or not 1 <= count <= 15:
        raise CannotDecode(
            phrase("The RLE frame has {count} segments instead of {expected}.", count=count, expected=expected)
        )
    if offsets[0] < 64 or offsets[0] >= len(frame) or any(a > b for a, b in pairwise(offsets[:count])):
        raise CannotDecode("The RLE frame's segment offsets are out of order.")
    edges = [*(min(offset, len(frame)) for offset in offsets[:count]), len(frame)]  # a frame that is cut off ends early
    return [frame[a:b] for a, b in pairwise(edges)]


def unpack(segment: bytes, limit: int) -> bytes:
    """PackBits (G.3.2). Stops at `limit` bytes: a segment cannot swell past its frame."""
    from rle.rle import decode_segment

    if not segment:
        return b""  # which the decoder would not survive
    try:
        # Packed at its worst, a segment is a little longer than what it holds; more cannot be needed.
        return bytes(decode_segment(segment[: 2 * limit + 2]))[:limit]
    except (ValueError, RuntimeError):
        return _unpack_tolerant(segment, limit)


def _unpack_tolerant(segment: bytes, limit: int) -> bytes:
    """As much as can be read of a damaged segment."""
    out, at = bytearray(), 0
    while at < len(segment) and len(out) < limit:
        head = segment[at]
        if head < 128:
            out += segment[at + 1 : at + 2 + head]
            at += head + 2
        elif head > 128:
            out += segment[at + 1 : at + 2] * (257 - head)
            at += 2
        else:
            at += 1
    return bytes(out[:limit])


def encode(words: Samples) -> bytes:
    """One frame of 8, 16 or 32-bit words, (rows, columns[, 3])."""
    from rle.rle import encode_frame

    array = np.ascontiguousarray(words)
    rows, columns = array.shape[:2]
    samples = 1 if array.ndim == 2 else array.shape[2]
    width = array.dtype.itemsize
    if width * samples > 15:
        raise CannotTranscode("RLE does not support this number of bytes per pixel.")
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return bytes(encode_frame(little.tobytes(), rows, columns, samples, width * 8, "<"))
