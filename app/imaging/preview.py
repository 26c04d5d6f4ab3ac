"""The first picture somebody sees: small, quick, and with the same window as the full one."""

import io

import numpy as np
from PIL import Image, UnidentifiedImageError
from pydicom.dataset import Dataset

from app.imaging import colour, overlays, syntaxes, transform
from app.imaging.decode import decode
from app.imaging.display import Display
from app.imaging.encode import encode
from app.imaging.errors import ImagingError
from app.imaging.lut import Greys
from app.imaging.params import RenderParams
from app.imaging.render import big_endian, shade
from app.imaging.spec import PixelSpec


def preview_jpeg(frame: bytes, ds: Dataset, size: int = 512, number: int = 1, quality: int = 80) -> bytes:
    """A JPEG at most `size` pixels wide and high, in default window. Raises ImagingError as `render_frame` does."""
    return encode(preview(frame, ds, size, number), "jpeg", quality)


def preview(frame: bytes, ds: Dataset, size: int = 512, number: int = 1) -> Greys:
    """The same as pixels. Large frames are thinned before the LUT chain, 8-bit colour JPEG while it is decoded."""
    spec = PixelSpec.from_dataset(ds)
    params = RenderParams(size=(size, size), upscale=False)
    display = Display.from_dataset(ds, spec, number, big_endian(spec))
    small = _dct_scaled(frame, spec, size)
    if small is not None:
        return transform.apply(small, params, display.aspect)
    decoded = decode(frame, spec)
    values, words = decoded.values, decoded.words
    has_overlay = any((group, 0x0010) in ds or (group, 0x0100) in ds for group in overlays.GROUPS)
    step = 1 if has_overlay else max(1, min(spec.rows, spec.columns) // (2 * size))
    values = values[::step, ::step]
    if spec.colour:
        values = colour.to_rgb(values, decoded.photometric, spec.bits_stored)
    image = shade(np.ascontiguousarray(values), ds, spec, display, params)
    if has_overlay:
        image = overlays.burn(image, overlays.planes(ds, number, words))
    return transform.apply(image, params, display.aspect)


def _dct_scaled(frame: bytes, spec: PixelSpec, size: int) -> Greys | None:
    """Colour baseline JPEG decoded at 1/2, 1/4 or 1/8; None where that is not possible or of no use."""
    if spec.transfer_syntax_uid != syntaxes.JPEG_BASELINE or not spec.colour or min(spec.rows, spec.columns) < 2 * size:
        return None
    try:
        with Image.open(io.BytesIO(frame), formats=("JPEG",)) as picture:
            if picture.size != (spec.columns, spec.rows) or (
                picture.info.get("jfif") is None and "adobe" not in picture.info
            ):
                return None  # markers that do not say the colour space: the careful way knows better
            picture.draft("RGB", (2 * size, 2 * size))
            return np.asarray(picture.convert("RGB"))
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError, ImagingError):
        return None
