"""Pictures as files a browser, a printer or a mail program reads."""

import io
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
from PIL import Image

from app.imaging.lut import Greys
from app.kit.errors import Invalid
from app.kit.phrases import phrase

Format = Literal["jpeg", "png", "tiff", "gif"]
MEDIA_TYPES: dict[str, str] = {"jpeg": "image/jpeg", "png": "image/png", "tiff": "image/tiff", "gif": "image/gif"}


def encode(image: Greys, fmt: Format = "jpeg", quality: int = 90, dpi: float | None = None) -> bytes:
    """A picture (rows, columns[, 3]) as a file. quality: 1 to 100, JPEG only."""
    if fmt not in MEDIA_TYPES:
        raise Invalid(
            phrase("Images can be written as {known}, not as {fmt}.", known=", ".join(MEDIA_TYPES), fmt=fmt),
            field="format",
        )
    quality = min(max(quality, 1), 100)
    options: dict[str, Any] = {"dpi": (dpi, dpi)} if dpi and fmt != "gif" else {}
    if fmt == "jpeg" and not options:
        import imagecodecs

        return bytes(imagecodecs.jpeg8_encode(np.ascontiguousarray(image), level=quality))
    if fmt == "jpeg":
        options |= {"quality": quality}
    elif fmt == "png" and not options:  # half the memory of Pillow, which holds colour in four bytes
        import imagecodecs

        return bytes(imagecodecs.png_encode(np.ascontiguousarray(image), level=3))
    elif fmt == "png":
        options |= {"compress_level": 3}
    elif fmt == "tiff":
        options |= {"compression": "tiff_deflate"}
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(out, fmt, **options)
    return out.getvalue()


def encode_animation(images: Iterable[Greys], milliseconds: float) -> bytes:
    """A cine loop as GIF; `milliseconds` per frame, not less than the 20 that browsers honour. images: at least one;
    taken one by one, and held with a byte for each pixel."""
    frames = (Image.fromarray(np.ascontiguousarray(image)) for image in images)
    out = io.BytesIO()
    first: Any = next(frames)
    first.save(out, "gif", save_all=True, append_images=frames, duration=max(20, round(milliseconds)), loop=0)
    return out.getvalue()
