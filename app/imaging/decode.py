"""Frames to sample values: one entry for every transfer syntax (PS3.5 clause 8 and Annex A.4)."""

import zlib
from dataclasses import dataclass

import numpy as np

from app.dicom import syntaxes
from app.imaging import codecs, codestream, colour, cost, native, rle
from app.imaging.errors import CannotDecode
from app.imaging.native import Samples
from app.imaging.spec import PixelSpec
from app.kit.phrases import phrase


@dataclass(frozen=True, slots=True)
class Decoded:
    """One frame.

    words: samples in words of Bits Allocated, including the bits outside of Bits Stored (embedded overlays);
    values: the same cut to Bits Stored and sign-extended; photometric: what the three samples of a colour frame are."""

    words: Samples
    values: Samples
    photometric: str
    warnings: tuple[str, ...] = ()


def decode(frame: bytes, spec: PixelSpec, bit_offset: int = 0, *, halved: int = 0) -> Decoded:
    """Decodes one frame, colour as it is stored. bit_offset: for native 1-bit frames that begin inside a byte.
    halved: JPEG 2000 alone can be given at 1/2, 1/4 ... of its sides, see `required_halvings`.

    Raises NotAnImage, CannotDecode or FrameTooLarge with a sentence for people."""
    head = _head(frame, spec)
    cost.require_memory(len(frame), cost.drawing_cost(spec, head, halved), spec)
    warnings: list[str] = []
    uid, photometric = spec.transfer_syntax_uid, spec.photometric
    if spec.native or uid == syntaxes.ENCAPSULATED_UNCOMPRESSED:
        words = native.unpack(frame, spec, warnings, bit_offset)
    elif uid == syntaxes.DEFLATED_FRAME:
        words = native.unpack(_inflate(frame, spec), spec, warnings)
    elif uid == syntaxes.RLE:
        words = rle.decode(frame, spec, warnings)
    elif head is not None:
        words, photometric = _codestream(frame, head, spec, halved, warnings)
    else:
        raise CannotDecode(phrase("The transfer syntax {uid} is not supported.", uid=uid))
    if photometric in ("YBR_FULL_422", "YBR_PARTIAL_422"):
        photometric = photometric.replace("_422", "_FULL" if "PARTIAL" in photometric else "")
    return Decoded(words, native.to_values(words, spec), photometric, tuple(warnings))


def _head(frame: bytes, spec: PixelSpec) -> codestream.Codestream | None:
    """The parameters of a compressed frame; None for native, RLE and deflated ones."""
    spec.check()
    if not frame:
        raise CannotDecode("The frame is empty.")
    if spec.transfer_syntax_uid not in syntaxes.CODESTREAMS:
        return None
    head = codestream.read(frame)
    _check_size(head, spec)
    return head


def required_halvings(frame: bytes, spec: PixelSpec, size: int = 1) -> int:
    """How often this frame has to be halved while it is decoded to cost no more memory than it is given, its longer side
    staying at least `size` pixels; 0 where none is needed or it cannot be had. Raises as `decode` does."""
    head = _head(frame, spec)
    for times in range(_most_halvings(head, spec, size) + 1):
        if cost.drawing_cost(spec, head, times) <= cost.memory_limit(len(frame)):
            return times
    return 0


def memory_needed(frame: bytes, spec: PixelSpec, halved: int = 0) -> int:
    """Bytes that decoding and drawing this frame take at their peak. Raises as `decode` does."""
    return cost.drawing_cost(spec, _head(frame, spec), halved)


def possible_halvings(frame: bytes, spec: PixelSpec, size: int) -> int:
    """How often this frame can be halved while it is decoded, its longer side staying at least `size` pixels."""
    return _most_halvings(_head(frame, spec), spec, size)


def _most_halvings(head: codestream.Codestream | None, spec: PixelSpec, size: int) -> int:
    if head is None or head.family != "j2k" or spec.photometric == "PALETTE COLOR":  # no colour lies between two others
        return 0
    times = (max(spec.rows, spec.columns) // max(1, size)).bit_length() - 1
    return max(0, min(times, head.levels, cost.MAX_HALVED))


def decode_frame(frame: bytes, spec: PixelSpec, bit_offset: int = 0, *, halved: int = 0) -> Samples:
    """Stored values of one frame: (rows, columns) for grey and palette, (rows, columns, 3) always as RGB for colour.
    halved: as in `decode`."""
    decoded = decode(frame, spec, bit_offset, halved=halved)
    if spec.samples == 1:
        return decoded.values
    return colour.to_rgb(decoded.values, decoded.photometric, spec.bits_stored)


def _inflate(frame: bytes, spec: PixelSpec) -> bytes:
    """Deflated Image Frame Compression (PS3.5 A.4.13): one raw deflate stream per frame, never more than a frame."""
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(frame, spec.frame_bytes + 8)
    except zlib.error:
        raise CannotDecode("The deflated frame is damaged.") from None


def _codestream(
    frame: bytes, head: codestream.Codestream, spec: PixelSpec, halved: int, warnings: list[str]
) -> tuple[Samples, str]:
    array = _halved(frame, head, spec, halved, warnings) if halved else codecs.decode(frame, head, spec, warnings)
    if spec.samples == 1:
        return _fit_depth(array, head, spec), spec.photometric
    photometric = spec.photometric
    if head.family == "jpeg-xl":
        return _jpeg_xl_colour(_fit_depth(array, head, spec), head, spec)
    if head.family == "jpeg" or head.mct or photometric in ("YBR_ICT", "YBR_RCT"):
        photometric = "RGB"  # the codec has undone its own colour transform
    return _fit_depth(array, head, spec), photometric


def _jpeg_xl_colour(words: Samples, head: codestream.Codestream, spec: PixelSpec) -> tuple[Samples, str]:
    """RGB, which libjxl gives of everything it knows the colours of; lossless YBR_FULL stays what the header says."""
    stays = spec.transfer_syntax_uid == syntaxes.JPEG_XL_LOSSLESS and spec.photometric == "YBR_FULL"
    if stays and head.mct:
        words = colour.from_rgb(words, "YBR_FULL", spec.bits_stored)
    elif not stays and not head.mct:
        words = colour.to_rgb(words, spec.photometric, spec.bits_stored)
    return words, "YBR_FULL" if stays else "RGB"


def _halved(frame: bytes, head: codestream.Codestream, spec: PixelSpec, times: int, warnings: list[str]) -> Samples:
    """The frame at a part of its resolution; the whole of one that cannot be had so, where its cost allows that."""
    try:
        return codecs.halved_j2k(frame, head, times)
    except CannotDecode:
        cost.require_memory(len(frame), cost.decoding_cost(spec, head), spec)
        return codecs.decode(frame, head, spec, warnings)


def _check_size(head: codestream.Codestream, spec: PixelSpec) -> None:
    if (head.rows, head.columns) != (spec.rows, spec.columns) or head.components != spec.samples:
        raise CannotDecode(
            phrase(
                (
                    "The header specifies {columns} x {rows} pixels with {samples} samples, the compressed frame "
                    "{columns_2} x {rows_2} with {components}."
                ),
                columns=spec.columns,
                rows=spec.rows,
                samples=spec.samples,
                columns_2=head.columns,
                rows_2=head.rows,
                components=head.components,
            )
        )
    if head.precision > spec.bits_allocated:
        raise CannotDecode(
            phrase(
                "The compressed frame has {precision} bits per sample, more than the {bits_allocated} allocated.",
                precision=head.precision,
                bits_allocated=spec.bits_allocated,
            )
        )


def _fit_depth(array: Samples, head: codestream.Codestream, spec: PixelSpec) -> Samples:
    """Decoded samples as words of Bits Allocated.

    Signed data travels as bare words in JPEG and JPEG-LS, and some JPEG 2000 writers forget to say signed, or say
    it wrongly (PS3.5 A.4.4): the word's bits are used, and the header's Pixel Representation defines how to read
    them."""
    if spec.bits_allocated == 1:
        return np.asarray(array != 0, np.uint8)
    width = spec.bits_allocated // 8
    if array.dtype.kind == "i":
        words = array.astype(f"i{width}", copy=False).view(f"u{width}")
    else:
        words = array.astype(f"u{width}", copy=False)
    if head.family == "j2k" and head.signed and not spec.signed and head.precision < spec.bits_allocated:
        words = words & words.dtype.type((1 << head.precision) - 1)
    return _clamped(words, head, spec)


def _clamped(words: Samples, head: codestream.Codestream, spec: PixelSpec) -> Samples:
    """Lossy compression may overshoot what Bits Stored can hold where its code stream has more bits: white stays white.

    Bits above Bits Stored of lossless frames may be overlays and stay as they are."""
    lossy = head.family == "jpeg" or not head.reversible or spec.transfer_syntax_uid == syntaxes.JPEG_LS_NEAR
    if not lossy or head.precision <= spec.bits_stored or spec.high_bit != spec.bits_stored - 1:
        return words
    top = 1 << (spec.bits_stored - spec.signed)
    if not spec.signed:
        return np.asarray(np.minimum(words, words.dtype.type(top - 1)))
    if not head.signed and head.precision != spec.bits_allocated:
        return words  # bare words: their sign bit is at Bits Stored
    return np.asarray(np.clip(words.view(f"i{words.dtype.itemsize}"), -top, top - 1)).view(words.dtype)
