"""Crop, turn, flip and scale 8-bit pictures."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from app.imaging.lut import Greys
from app.imaging.params import MAX_GROWN, MAX_PIXELS, MAX_SIDE, Crop, RenderParams
from app.kit.errors import Invalid
from app.kit.phrases import phrase

_LARGE = 4 << 20  # pixels


def apply(image: Greys, params: RenderParams, aspect: float = 1.0) -> Greys:
    """Crop, rotate, flip, scale. aspect: height of a pixel by its width (PS3.3 C.7.6.3.1.7)."""
    area = params.crop or _zoomed(image, params)
    if area is not None:
        image = crop(image, area)
    stretch = aspect if params.square_pixels else 1.0
    if params.rotate % 90 and stretch != 1.0:  # a free angle is meant in millimetres, not in pixels
        image, stretch = resize(image, _square(image.shape, stretch), params.resample), 1.0
    turns = params.rotate % 360
    if turns % 90 == 0:
        return _quarters(image, params, int(turns // 90), stretch)
    image = np.asarray(Image.fromarray(image).rotate(-turns, Image.Resampling.BICUBIC, expand=True))
    return _quarters(image, params, 0, stretch)


def placement(
    shape: tuple[int, ...], params: RenderParams, made: tuple[int, ...]
) -> Callable[[tuple[float, float]], tuple[float, float]]:
    """From (column, row) of the image that `apply` was given to those of what it made. Turns are quarters only."""
    area = params.crop or Crop(0.0, 0.0, float(shape[0]), float(shape[1]))
    # `crop` takes whole pixels
    top, left, rows, columns = (
        round(area.row),
        round(area.column),
        max(1, round(area.rows)),
        max(1, round(area.columns)),
    )

    def map_point(point: tuple[float, float]) -> tuple[float, float]:
        x, y = (point[0] - left) / columns, (point[1] - top) / rows
        for _ in range(round(params.rotate % 360) // 90):
            x, y = 1 - y, x
        x = 1 - x if params.flip_horizontal else x
        y = 1 - y if params.flip_vertical else y
        return x * made[1], y * made[0]

    return map_point


def _quarters(image: Greys, params: RenderParams, turns: int, stretch: float) -> Greys:
    """Quarter turns clockwise, flips, scale: a picture that shrinks does so first, so that less is turned."""
    rows, columns = image.shape[:2]
    odd = turns % 2 == 1
    target = _target((columns, rows) if odd else (rows, columns), params, 1 / stretch if odd else stretch)
    upright = target[::-1] if odd else target
    if upright != (rows, columns) and upright[0] * upright[1] <= rows * columns:
        image = resize(image, upright, params.resample)
    image = np.rot90(image, -turns)
    image = image[:, ::-1] if params.flip_horizontal else image
    image = image[::-1] if params.flip_vertical else image
    if target != image.shape[:2]:
        image = resize(image, target, params.resample)
    return np.ascontiguousarray(image)


def _zoomed(image: Greys, params: RenderParams) -> Crop | None:
    if params.zoom == 1.0 and params.pan == (0.0, 0.0):
        return None
    rows, columns = image.shape[0] / params.zoom, image.shape[1] / params.zoom
    middle = image.shape[0] / 2 + params.pan[0], image.shape[1] / 2 + params.pan[1]
    return Crop(middle[0] - rows / 2, middle[1] - columns / 2, rows, columns)


def crop(image: Greys, area: Crop) -> Greys:
    """The rectangle, whole pixels; what lies outside the picture is black. Always at least one pixel."""
    top, left = round(area.row), round(area.column)
    rows, columns = max(1, round(area.rows)), max(1, round(area.columns))
    if rows > MAX_SIDE or columns > MAX_SIDE or rows * columns > 2 * MAX_PIXELS:
        raise Invalid(phrase("Width and height must be 1 to {most} pixels.", most=MAX_SIDE), field="crop")
    out = np.zeros((rows, columns, *image.shape[2:]), np.uint8)
    a, b = max(top, 0), min(top + rows, image.shape[0])
    c, d = max(left, 0), min(left + columns, image.shape[1])
    if a < b and c < d:
        out[a - top : b - top, c - left : d - left] = image[a:b, c:d]
    return out


def _square(shape: tuple[int, ...], stretch: float) -> tuple[int, int]:
    """The size at which pixels are square: the shorter side of a pixel grows, so nothing is lost."""
    rows, columns = shape[:2]
    return (max(1, round(rows * stretch)), columns) if stretch >= 1 else (rows, max(1, round(columns / stretch)))


def _target(shape: tuple[int, int], params: RenderParams, stretch: float) -> tuple[int, int]:
    rows, columns = _square(shape, stretch)
    if params.size is None:
        grown = (rows, columns) != shape
        limit = min(1.0, MAX_SIDE / max(rows, columns), (MAX_PIXELS / rows / columns) ** 0.5 if grown else 1.0)
        return max(1, math.floor(rows * limit)), max(1, math.floor(columns * limit))
    if params.exact:
        return params.size
    factor = min(params.size[0] / rows, params.size[1] / columns)
    enlarged = (MAX_GROWN / rows / columns) ** 0.5 if params.upscale else 1.0
    factor = min(factor, max(1.0, enlarged))
    return max(1, round(rows * factor)), max(1, round(columns * factor))


def resize(image: Greys, size: tuple[int, int], resample: str = "auto") -> Greys:
    """To (rows, columns): averaging areas on the way down (no line of a test pattern is lost), bicubic on the way up."""
    rows, columns = image.shape[:2]
    method: Any = {
        "nearest": Image.Resampling.NEAREST,
        "area": Image.Resampling.BOX,
        "bicubic": Image.Resampling.BICUBIC,
    }
    if resample == "auto":
        resample = "area" if size[0] * size[1] < rows * columns else "bicubic"
    if image.ndim == 3 and rows * columns > _LARGE:  # Pillow holds colour in four bytes: one sample after the other
        out = np.empty((*size, image.shape[2]), np.uint8)
        for sample in range(image.shape[2]):
            out[:, :, sample] = resize(image[:, :, sample], size, resample)
        return out
    picture = Image.fromarray(np.ascontiguousarray(image))
    return np.asarray(picture.resize((size[1], size[0]), method[resample]))
