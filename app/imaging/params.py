"""Parameters of a picture."""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

from app.kit.errors import Invalid
from app.kit.phrases import phrase

MAX_SIDE = 16384
MAX_PIXELS = 64 << 20  # of a picture that is asked for: A2 at 300 dpi has 35 million
MAX_GROWN = 16 << 20  # of an image that has fewer and is to fit into a larger size: pixels made up, which cost seconds


class Crop(NamedTuple):
    """A rectangle of the stored image in its own pixels, before any turning; may lie partly outside (shown black)."""

    row: float
    column: float
    rows: float
    columns: float


@dataclass(frozen=True, slots=True)
class RenderParams:
    """How a frame is to be shown. Steps are taken in this order: LUT chain, overlays, crop, rotate, flip, scale.

    window: (centre, width) in modality units as seen on a screen; None: the default window of `default_window`.
    window_index, voi_lut_index: which of the header's windows or VOI LUTs; invert: on top of what the header says.
    rotate: degrees clockwise, then flip_horizontal (left and right change places), as in PS3.3 C.10.6.
    zoom, pan: instead of a crop; zoom 2 shows half the width and height around the centre moved by pan (pixels).
    size: (rows, columns) to fit into; exact: fill exactly that, without keeping the shape. Without a size the
    picture keeps its pixels, stretched by its pixel aspect ratio when square_pixels.
    coarse: JPEG 2000 that is too large for the memory of one picture may be given at half its resolution, or a quarter ...,
    instead of being refused."""

    window: tuple[float, float] | None = None
    voi_function: Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"] | None = None
    window_index: int = 0
    voi_lut_index: int = 0
    invert: bool = False
    overlays: bool = True
    palette: bool = True
    icc: bool = True
    colormap: str | None = None
    crop: Crop | None = None
    zoom: float = 1.0
    pan: tuple[float, float] = (0.0, 0.0)
    rotate: float = 0.0
    flip_horizontal: bool = False
    flip_vertical: bool = False
    size: tuple[int, int] | None = None
    exact: bool = False
    upscale: bool = True
    square_pixels: bool = True
    resample: Literal["auto", "nearest", "area", "bicubic"] = "auto"
    coarse: bool = False

    def __post_init__(self) -> None:
        if self.window is not None and not (
            self.window[1] > 0 and abs(self.window[0]) < 1e12 and self.window[1] < 1e12
        ):
            raise Invalid("The window width must be greater than 0.", field="window")
        if self.size is not None and not all(1 <= side <= MAX_SIDE for side in self.size):
            raise Invalid(phrase("Width and height must be 1 to {most} pixels.", most=MAX_SIDE), field="size")
        if self.size is not None and self.size[0] * self.size[1] > MAX_PIXELS and (self.exact or self.upscale):
            raise Invalid(
                phrase("An image may have at most {most} million pixels.", most=MAX_PIXELS >> 20), field="size"
            )
        if not 0.01 <= self.zoom <= 100 or not all(map(math.isfinite, self.pan)):
            raise Invalid("The zoom must be from 0.01 to 100.", field="zoom")
        if not math.isfinite(self.rotate):
            raise Invalid("The angle must be a number of degrees.", field="rotate")
        if self.crop is not None and not (
            self.crop.rows > 0 and self.crop.columns > 0 and sum(map(abs, self.crop)) < 1e6
        ):
            raise Invalid("The crop area is empty.", field="crop")
