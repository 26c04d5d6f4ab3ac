"""Uncompressed frames: bytes to samples and back (PS3.5 8.1, 8.2, Annex D)."""

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from app.dicom import syntaxes
from app.imaging.errors import CannotDecode
from app.imaging.spec import PixelSpec
from app.kit.phrases import phrase

Samples = npt.NDArray[Any]
_WORD = {8: "u1", 16: "u2", 32: "u4", 64: "u8"}


def align_bits(data: bytes, bit: int, count: int) -> bytes:
    """Frame bits that begin inside a byte, moved so that they begin at bit 0 (PS3.5 8.1.1; least significant first)."""
    packed = np.frombuffer(data, np.uint8)[bit // 8 : (bit + count + 7) // 8]
    moved = np.right_shift(packed, bit % 8, dtype=np.uint8)
    if bit % 8:
        moved[:-1] |= np.left_shift(packed[1:], 8 - bit % 8, dtype=np.uint8)
    moved = moved[: (count + 7) // 8]
    if count % 8 and 8 * len(moved) > count:
        moved[-1] &= (1 << count % 8) - 1
    return moved.tobytes()


def pad_to(data: bytes, length: int, warnings: list[str]) -> bytes:
    """A frame that is too short is filled with zeros (black for most): better most of a picture than none."""
    if len(data) >= length:
        return data
    if not data:
        raise CannotDecode("The pixel data is empty.")
    warnings.append(
        phrase(
            "The frame has {found} bytes instead of {length}; the rest is shown as zero.",
            found=len(data),
            length=length,
        )
    )
    return data + bytes(length - len(data))


def unpack(frame: bytes, spec: PixelSpec, warnings: list[str], bit_offset: int = 0) -> Samples:
    """Words as stored, (rows, columns) or (rows, columns, samples), unsigned, not yet cut to Bits Stored.

    4:2:2 chroma is spread over its two columns; whether there is any is decided by the length of the frame where that
    contradicts the photometric interpretation (PS3.3 C.7.6.3.1.2)."""
    if spec.bits_allocated == 1:
        return _unpack_bits(frame, spec, warnings, bit_offset)
    spec = _as_long(frame, spec)
    if (
        spec.sampled_422
        and spec.columns % 2
        and 8 * len(frame) >= spec.rows * (spec.columns + 1) * 2 * spec.bits_allocated
    ):
        padded = replace(spec, columns=spec.columns + 1)  # rows are filled up to whole pairs
        return np.ascontiguousarray(unpack(frame, padded, warnings)[:, : spec.columns])
    frame = pad_to(frame, spec.frame_bytes, warnings)
    if spec.bits_allocated == 24:
        raise CannotDecode("Images with 24 bits allocated are not supported.")
    order = ">" if spec.transfer_syntax_uid in syntaxes.BIG_ENDIAN else "<"
    words: Samples
    if spec.kind != "int":
        words = np.frombuffer(frame, f"{order}f{spec.bits_allocated // 8}", spec.rows * spec.columns)
        return words.astype(words.dtype.newbyteorder("="), copy=False).reshape(spec.rows, spec.columns)
    if spec.swapped:
        frame = swapped(frame)
    count = spec.frame_bits // spec.bits_allocated
    words = np.frombuffer(frame, f"{order}{_WORD[spec.bits_allocated]}", count)
    words = words.astype(words.dtype.newbyteorder("="), copy=False)
    return _shape(words, spec)


def swapped(frame: bytes) -> bytes:
    """8-bit samples stored in pairs in big endian words (PS3.5 Annex A.3), reordered."""
    frame += b"\0" * (len(frame) % 2)
    return np.frombuffer(frame, np.uint16, len(frame) // 2).byteswap().tobytes()


def _as_long(frame: bytes, spec: PixelSpec) -> PixelSpec:
    """The spec with the sampling of chroma that a native frame of this length really has."""
    if spec.samples != 3 or not spec.photometric.startswith("YBR_"):
        return spec
    full = spec.rows * spec.columns * 3 * spec.bits_allocated // 8
    if spec.sampled_422 and len(frame) >= full:
        return replace(spec, photometric=spec.photometric.removesuffix("_422"))
    if spec.photometric == "YBR_FULL" and 0 <= len(frame) - full // 3 * 2 <= 1:
        return replace(spec, photometric="YBR_FULL_422")
    return spec


def _shape(words: Samples, spec: PixelSpec) -> Samples:
    if spec.samples == 1:
        return words.reshape(spec.rows, spec.columns)
    if spec.sampled_422:
        return _spread_422(words, spec)
    if spec.planar == 1:
        return np.ascontiguousarray(words.reshape(spec.samples, spec.rows, spec.columns).transpose(1, 2, 0))
    return words.reshape(spec.rows, spec.columns, spec.samples)


def _spread_422(words: Samples, spec: PixelSpec) -> Samples:
    """Y1 Y2 Cb Cr per two pixels; Cb and Cr are sited on the first (PS3.3 C.7.6.3.1.2). With an odd number of columns,
    which the standard does not allow, the pairs go on from one row to the next, as others read them."""
    pixels = spec.rows * spec.columns
    quads = np.pad(words, (0, -len(words) % 4), mode="edge").reshape(-1, 4)
    out = np.empty((len(quads), 2, 3), words.dtype)
    out[:, :, 0] = quads[:, :2]
    out[:, :, 1:] = quads[:, np.newaxis, 2:]
    return out.reshape(-1, 3)[:pixels].reshape(spec.rows, spec.columns, 3)


def _unpack_bits(frame: bytes, spec: PixelSpec, warnings: list[str], bit_offset: int) -> Samples:
    count = spec.frame_bits
    frame = pad_to(frame, (bit_offset + count + 7) // 8, warnings)
    bits = np.unpackbits(np.frombuffer(frame, np.uint8), count=bit_offset + count, bitorder="little")[bit_offset:]
    return _shape(bits, spec)


def to_values(words: Samples, spec: PixelSpec) -> Samples:
    """Cuts words to Bits Stored below High Bit and extends the sign (PS3.5 8.1.1): what is around may be overlays."""
    if spec.kind != "int" or spec.bits_allocated == 1:
        return words
    width = words.dtype.itemsize * 8
    up, down = width - 1 - spec.high_bit, width - spec.bits_stored
    if spec.signed:
        signed = words.view(f"i{words.dtype.itemsize}")
        return signed if down == 0 else np.right_shift(np.left_shift(signed, up), down)
    if down == 0:
        return words
    shifted = (
        np.right_shift(words, spec.high_bit + 1 - spec.bits_stored) if spec.high_bit + 1 > spec.bits_stored else words
    )
    mask = words.dtype.type((1 << spec.bits_stored) - 1)
    if shifted is words and not np.any(words > mask):
        return words
    values: Samples = np.bitwise_and(shifted, mask)
    return values


def pack(words: Samples, bits_allocated: int, big_endian: bool = False) -> bytes:
    """One native frame, colour by pixel, without the even-length padding of the whole value."""
    if bits_allocated == 1:
        return np.packbits(words.reshape(-1).astype(bool), bitorder="little").tobytes()
    order: Literal[">", "<"] = ">" if big_endian else "<"
    return np.ascontiguousarray(words).astype(words.dtype.newbyteorder(order), copy=False).tobytes()
