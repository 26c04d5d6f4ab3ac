"""Decoders of compressed frames: imagecodecs first, others beside it where it fails (DESIGN 3.1).

Each takes bytes that `codestream.read` has checked and gives (rows, columns[, samples])."""

import io
import os
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from app.imaging import cost, jpegxl, partial
from app.imaging.codestream import Codestream
from app.imaging.errors import CannotDecode
from app.imaging.native import Samples
from app.imaging.spec import PixelSpec
from app.kit import compat

_THREADS = min(4, os.cpu_count() or 1)  # JPEG 2000 alone is slow enough to be worth it
_DCMTK_MOST = 32 << 20  # bytes decoded: it holds a frame twice, and this process holds its file
Decoder = Callable[[bytes, Codestream, PixelSpec], Samples]


def _jpeg(frame: bytes, head: Codestream, spec: PixelSpec) -> Samples:
    """DCT JPEG of 8 or 12 bits. Colour comes out as RGB: libjpeg converts faster than numpy."""
    import imagecodecs

    if head.components == 1:
        return _array(imagecodecs.jpeg8_decode(frame))
    rgb = head.rgb if head.rgb is not None else spec.photometric == "RGB"
    return _array(imagecodecs.jpeg8_decode(frame, colorspace="RGB" if rgb else "YCBCR", outcolorspace="RGB"))


def _jpeg_lossless(frame: bytes, head: Codestream, spec: PixelSpec) -> Samples:
    """libjpeg-turbo 3: twice as fast as imagecodecs' jpegsof3 and ljpeg, which damaged frames can crash."""
    import imagecodecs

    if head.components == 1:
        return _array(imagecodecs.jpeg8_decode(frame))
    return _array(imagecodecs.jpeg8_decode(frame, colorspace="RGB", outcolorspace="RGB"))  # the same: no conversion


def _jpeg_ls(frame: bytes, head: Codestream, spec: PixelSpec) -> Samples:
    import imagecodecs

    return _array(imagecodecs.jpegls_decode(frame))


def _j2k(frame: bytes, head: Codestream, spec: PixelSpec) -> Samples:
    import imagecodecs

    return _array(imagecodecs.jpeg2k_decode(frame[head.start :], numthreads=_THREADS))


def _htj2k(frame: bytes, head: Codestream, spec: PixelSpec) -> Samples:
    import imagecodecs

    return _array(imagecodecs.htj2k_decode(frame[head.start :]))


def _jpeg_xl(frame: bytes, head: Codestream, spec: PixelSpec) -> Samples:
    if not head.compound:
        return jpegxl.decode(frame)
    return jpegxl.decode_apart(frame, _shape(head), head.precision, cost.decoding_cost(spec, head))


def _shape(head: Codestream) -> tuple[int, ...]:
    return (head.rows, head.columns) if head.components == 1 else (head.rows, head.columns, head.components)


def _openjpeg(frame: bytes, head: Codestream, spec: PixelSpec) -> Samples:
    from openjpeg.utils import decode

    return _array(decode(frame[head.start :], j2k_format=0))


def _dcmtk(frame: bytes, head: Codestream, spec: PixelSpec) -> Samples:
    from app.imaging.dcmtk import decode

    return decode(frame, head, spec)


def _array(decoded: Any) -> Samples:
    return np.ascontiguousarray(decoded)


def halved_j2k(frame: bytes, head: Codestream, times: int) -> Samples:
    """A JPEG 2000 frame at 1/2, 1/4 ... of its sides, as its wavelets hold it: (rows, columns[, 3]), rounded up.

    imagecodecs always decodes the whole; Pillow's OpenJPEG leaves the finer levels out. Raises CannotDecode."""
    if head.components not in (1, 3) or head.precision > (16 if head.components == 1 else 8):
        raise CannotDecode("This JPEG 2000 frame can only be decoded completely.")
    side = 1 << times
    rows, columns = -(-head.rows // side), -(-head.columns // side)
    try:
        with Image.open(io.BytesIO(frame[head.start :]), formats=("JPEG2000",)) as picture:
            compat.set_decoded_size(picture, columns * side, rows * side)
            picture.reduce = times  # type: ignore[assignment,method-assign]
            picture.load()
            array = np.asarray(picture)
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise CannotDecode("The compressed frame cannot be decoded.") from None
    if array.shape != ((rows, columns) if head.components == 1 else (rows, columns, head.components)):
        raise CannotDecode("The compressed frame cannot be decoded.")
    return _as_stored(array, head)


def _as_stored(array: Samples, head: Codestream) -> Samples:
    """Pillow moves signed samples up by half their range and fills the upper bits of 8 or 16: both undone."""
    width = array.dtype.itemsize * 8
    words = array >> (width - head.precision) if head.precision < width else array
    if not head.signed:
        return words
    return words.astype(f"i{array.dtype.itemsize * 2}") - (1 << (head.precision - 1))


def _cut_jpeg_ls(frame: bytes, head: Codestream, spec: PixelSpec) -> Samples:
    return partial.jpeg_ls(frame, head)


def _cut_j2k(frame: bytes, head: Codestream, spec: PixelSpec) -> Samples:
    return partial.j2k(frame, head)


def decoders(head: Codestream, cut: bool = False) -> tuple[Decoder, ...]:
    """The decoders to try, best first. cut: the frame has no end; libjpeg alone needs no other way then."""
    if cut and head.family in ("jpeg-ls", "j2k"):
        return (_cut_jpeg_ls,) if head.family == "jpeg-ls" else (*decoders(head), _cut_j2k)
    if head.family == "jpeg":
        return (_jpeg, _dcmtk)
    if head.family == "jpeg-lossless":
        return (_jpeg_lossless, _dcmtk)
    if head.family == "jpeg-ls":
        return (_jpeg_ls, _dcmtk)
    if head.family == "jpeg-xl":
        return (_jpeg_xl,)
    # OpenJPH in imagecodecs is the fast one, but its irreversible path wraps around at white (255 becomes 0).
    return (_htj2k, _j2k, _openjpeg) if head.high_throughput and head.reversible else (_j2k, _openjpeg)


def decode(frame: bytes, head: Codestream, spec: PixelSpec, warnings: list[str]) -> Samples:
    """Decodes with the first decoder that gives a picture of the right shape; one that is cut off as far as it goes, with
    a warning. Raises CannotDecode with each one's words."""
    messages: list[str] = []
    cut = head.family != "jpeg-xl" and partial.is_cut(frame)
    if cut:
        warnings.append(partial.WARNING)
    for decoder in decoders(head, cut):
        name = decoder.__name__.strip("_")
        if decoder is _dcmtk and spec.frame_bytes > _DCMTK_MOST:
            continue
        try:
            array = decoder(frame, head, spec)
        except (ValueError, RuntimeError, TypeError, MemoryError, OSError, CannotDecode) as error:
            messages.append(f"{name}: {error or type(error).__name__}"[:200])
            continue
        wanted = _shape(head)
        if array.shape == wanted:
            return array
        messages.append(f"{name}: gave {array.shape} instead of {wanted}")
    raise CannotDecode("The compressed frame cannot be decoded.", hint="; ".join(messages))
