"""The first picture that a user sees: small, quick, and with the same window as the full one."""

import io

import numpy as np
from PIL import Image, UnidentifiedImageError
from pydicom.dataset import Dataset

from app.dicom import syntaxes
from app.imaging import codestream, colour, cost, overlays, transform
from app.imaging.decode import decode, memory_needed, possible_halvings
from app.imaging.display import Display
from app.imaging.encode import encode
from app.imaging.errors import ImagingError
from app.imaging.lut import Greys
from app.imaging.native import Samples
from app.imaging.params import RenderParams
from app.imaging.render import big_endian, render_frame, shade
from app.imaging.spec import PixelSpec


def preview_jpeg(frame: bytes, ds: Dataset, size: int = 512, number: int = 1, quality: int = 80) -> bytes:
    """A JPEG at most `size` pixels wide and high, in default window. Raises ImagingError as `render_frame` does."""
    return encode(preview(frame, ds, size, number), "jpeg", quality)


def preview(frame: bytes, ds: Dataset, size: int = 512, number: int = 1) -> Greys:
    """The same as pixels. Large frames are thinned before the LUT chain, 8-bit colour JPEG while it is decoded."""
    spec = PixelSpec.from_dataset(ds)
    params = RenderParams(size=(size, size), upscale=False)
    display = Display.from_dataset(ds, spec, number, big_endian(spec))
    if overlays.any_in(ds):  # overlays count in the pixels of the whole
        return render_frame(frame, ds, params, number, spec)
    small = _dct_scaled(frame, spec, size)
    if small is not None:
        return transform.apply(shade(small, ds, spec, display, params), params, display.aspect)
    halved = possible_halvings(frame, spec, size)
    with cost.ROOM.of(memory_needed(frame, spec, halved)):
        values, photometric = _thinned(frame, spec, size, halved)
    if spec.colour:
        values = colour.to_rgb(values, photometric, spec.bits_stored)
    image = shade(values, ds, spec, display, params)
    return transform.apply(image, params, display.aspect)


def _thinned(frame: bytes, spec: PixelSpec, size: int, halved: int) -> tuple[Samples, str]:
    """Values of about twice `size` or less, and what their colours are: JPEG 2000 without its finer wavelets, others by
    leaving pixels out."""
    decoded = decode(frame, spec, halved=halved)
    step = max(1, min(decoded.values.shape[:2]) // (2 * size))
    return np.ascontiguousarray(decoded.values[::step, ::step]), decoded.photometric


def _dct_scaled(frame: bytes, spec: PixelSpec, size: int) -> Greys | None:
    """Colour baseline JPEG decoded at 1/2, 1/4 or 1/8; None where that is not possible or of no use."""
    if spec.transfer_syntax_uid != syntaxes.JPEG_BASELINE or not spec.colour or min(spec.rows, spec.columns) < 2 * size:
        return None
    try:
        head = codestream.read(frame)
        if head.several_scans and cost.decoding_cost(spec, head) > cost.memory_limit(len(frame)):
            return None  # all coefficients are held whatever is made of them
        with Image.open(io.BytesIO(frame), formats=("JPEG",)) as picture:
            if picture.size != (spec.columns, spec.rows) or (
                picture.info.get("jfif") is None and "adobe" not in picture.info
            ):
                return None  # markers that do not say the colour space: the careful way knows better
            picture.draft("RGB", (2 * size, 2 * size))
            return np.asarray(picture.convert("RGB"))
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError, ImagingError):
        return None
