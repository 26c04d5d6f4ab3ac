"""Frames to sample values: one entry for every transfer syntax (PS3.5 clause 8 and Annex A.4)."""

import zlib
from dataclasses import dataclass

import numpy as np

from app.dicom.header import swells
from app.imaging import codecs, codestream, colour, native, rle, syntaxes
from app.imaging.errors import CannotDecode, FrameTooLarge
from app.imaging.native import Samples
from app.imaging.spec import PixelSpec
from app.kit.phrases import phrase


@dataclass(frozen=True, slots=True)
class Decoded:
    """One frame.

    words: samples in words of Bits Allocated, what stands beside Bits Stored included (embedded overlays);
    values: the same cut to Bits Stored and sign-extended; photometric: what the three samples of a colour frame are."""

    words: Samples
    values: Samples
    photometric: str
    warnings: tuple[str, ...] = ()


def decode(frame: bytes, spec: PixelSpec, bit_offset: int = 0) -> Decoded:
    """Decodes one frame, colour as it is stored. bit_offset: for native 1-bit frames that begin inside a byte.

    Raises NotAnImage, CannotDecode or FrameTooLarge with a sentence for people."""
    spec.check()
    if not frame:
        raise CannotDecode("The frame is empty.")
    if swells(len(frame), spec.frame_bytes):
        raise FrameTooLarge(
            phrase(
                "{found} bytes claim to hold {size} MB of pixels; that is no picture.",
                found=len(frame),
                size=spec.frame_bytes >> 20,
            )
        )
    warnings: list[str] = []
    uid, photometric = spec.transfer_syntax_uid, spec.photometric
    if spec.native or uid == syntaxes.ENCAPSULATED_UNCOMPRESSED:
        words = native.unpack(frame, spec, warnings, bit_offset)
    elif uid == syntaxes.DEFLATED_FRAME:
        words = native.unpack(_inflate(frame, spec), spec, warnings)
    elif uid == syntaxes.RLE:
        words = rle.decode(frame, spec, warnings)
    elif uid in syntaxes.JPEG | syntaxes.JPEG_LS_ALL | syntaxes.J2K_ALL | syntaxes.HTJ2K_ALL:
        words, photometric = _codestream(frame, spec)
    else:
        raise CannotDecode(phrase("The transfer syntax {uid} is not known here.", uid=uid))
    if photometric in ("YBR_FULL_422", "YBR_PARTIAL_422"):
        photometric = photometric.replace("_422", "_FULL" if "PARTIAL" in photometric else "")
    return Decoded(words, native.to_values(words, spec), photometric, tuple(warnings))


def decode_frame(frame: bytes, spec: PixelSpec, bit_offset: int = 0) -> Samples:
    """Stored values of one frame: (rows, columns) for grey and palette, (rows, columns, 3) always as RGB for colour."""
    decoded = decode(frame, spec, bit_offset)
    if spec.samples == 1:
        return decoded.values
    return colour.to_rgb(decoded.values, decoded.photometric, spec.bits_stored)


def _inflate(frame: bytes, spec: PixelSpec) -> bytes:
    """Deflated Image Frame Compression (PS3.5 A.4.13): one raw deflate stream per frame, never more than a frame."""
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(frame, spec.frame_bytes + 8)
    except zlib.error:
        raise CannotDecode("The deflated frame is damaged.") from None


def _codestream(frame: bytes, spec: PixelSpec) -> tuple[Samples, str]:
    head = codestream.read(frame)
    _check_size(head, spec)
    array = codecs.decode(frame, head, spec)
    if spec.samples == 1:
        return _fit_depth(array, head, spec), spec.photometric
    photometric = spec.photometric
    if head.family == "jpeg" or head.mct or photometric in ("YBR_ICT", "YBR_RCT"):
        photometric = "RGB"  # the codec has undone its own colour transform
    return _fit_depth(array, head, spec), photometric


def _check_size(head: codestream.Codestream, spec: PixelSpec) -> None:
    if (head.rows, head.columns) != (spec.rows, spec.columns) or head.components != spec.samples:
        raise CannotDecode(
            phrase(
                "The header says {columns} x {rows} pixels with {samples} samples, the compressed frame {columns_2} x {rows_2} with {components}.",
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
    it wrongly (PS3.5 A.4.4): the word's bits count, the header's Pixel Representation says how to read them."""
    if spec.bits_allocated == 1:
        return np.asarray(array != 0, np.uint8)
    width = spec.bits_allocated // 8
    if array.dtype.kind == "i":
        words = array.astype(f"i{width}", copy=False).view(f"u{width}")
    else:
        words = array.astype(f"u{width}", copy=False)
    if head.family == "j2k" and head.signed and not spec.signed and head.precision < spec.bits_allocated:
        words = words & words.dtype.type((1 << head.precision) - 1)
    return words
