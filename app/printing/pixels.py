"""The pixels that a placed picture needs on paper: rendered by app.imaging as seen, cut, and never more than the
printer can show."""

import math
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from app.imaging import (
    PixelSpec,
    Presentation,
    RenderParams,
    cost,
    decode_frame,
    default_window,
    encode,
    render_frame,
    required_halvings,
)
from app.imaging.decode import memory_needed
from app.imaging.display import Display
from app.imaging.transform import resize
from app.kit.errors import Invalid
from app.printing.pdf import Pixels
from app.printing.sheet import Placed, View


def params(view: View) -> RenderParams:
    """The view in the words of app.imaging; pixels stay as they are stored, the paper's matrix gives them their shape."""
    return RenderParams(
        window=view.window,
        invert=view.invert,
        rotate=float(view.rotation),
        flip_horizontal=view.flip,
        square_pixels=False,
        coarse=True,
    )


@dataclass(frozen=True, slots=True)
class RenderedFrame:
    """A whole frame as seen: uint8 (rows, columns) or (rows, columns, 3). Each pixel replaces step x step stored ones:
    more than 1 for frames too large for the memory of one picture."""

    image: Pixels
    step: int = 1

    def part(self, x: int, y: int, width: int, height: int) -> Pixels:
        """A rectangle, in stored pixels as seen."""
        step = self.step
        return self.image[y // step : -(-(y + height) // step), x // step : -(-(x + width) // step)]


def displayed_pixels(
    frame: bytes, ds: Dataset, number: int, view: View, state: Presentation | None = None
) -> RenderedFrame:
    """state: the presentation state of the view, whose own turn and flip are part of the view already."""
    spec = PixelSpec.from_dataset(ds)
    image = render_frame(frame, ds, params(view), number, spec, state and state.without_geometry())
    return RenderedFrame(image, max(1, round(max(spec.rows, spec.columns) / max(image.shape[:2]))))


def cut(whole: RenderedFrame, placed: Placed, dpi: int) -> Pixels:
    """The placed part of `displayed_pixels`, averaged down where it has more pixels than `dpi` on its box.

    Where it has fewer it keeps its own: a printer enlarges better than a file that has grown."""
    s = placed.source
    part = whole.part(s.x, s.y, s.width, s.height)
    rows = min(part.shape[0], max(1, math.ceil(placed.box.height / 25.4 * dpi)))
    columns = min(part.shape[1], max(1, math.ceil(placed.box.width / 25.4 * dpi)))
    if (rows, columns) == part.shape[:2]:
        return np.ascontiguousarray(part)
    return np.ascontiguousarray(resize(part, (rows, columns), "area"))


def computed_window(frame: bytes, ds: Dataset, number: int) -> tuple[float, float] | None:
    """(center, width) for an image whose header names no window; None for what is shown without one."""
    spec = PixelSpec.from_dataset(ds)
    if spec.colour or spec.photometric == "PALETTE COLOR":
        return None
    halved = required_halvings(frame, spec)
    with cost.ROOM.of(memory_needed(frame, spec, halved)):
        values = decode_frame(frame, spec, halved=halved)
    window = default_window(values, spec, Display.from_dataset(ds, spec, number))
    return (window.center, window.width) if window and window.function == "LINEAR" else None


def jpeg(image: Pixels, quality: int = 85) -> bytes:
    return encode(image, "jpeg", quality)


def shrink(whole: RenderedFrame, part: tuple[int, int, int, int] | None, size: int) -> Pixels:
    """The part (x, y, width, height) of an image as seen, scaled down to at most `size` pixels wide and high."""
    image = whole.image if part is None else whole.part(*part)
    if image.size == 0:
        raise Invalid("The region is outside the image.", field="part")
    factor = size / max(image.shape[:2])
    if factor >= 1:
        return np.ascontiguousarray(image)
    rows, columns = (max(1, round(side * factor)) for side in image.shape[:2])
    return np.ascontiguousarray(resize(image, (rows, columns), "area"))
