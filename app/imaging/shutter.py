"""Display shutters: the parts of an image outside of the opening are covered (PS3.3 C.7.6.11, C.7.6.15)."""

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from pydicom.dataset import Dataset

from app.imaging import overlays
from app.imaging.lut import Greys
from app.imaging.spec import PixelSpec

Mask = npt.NDArray[np.bool_]


def open_area(ds: Dataset, spec: PixelSpec) -> Mask | None:
    """True where the image is seen: inside all shapes that the shutter combines; None where there is no shutter.

    Shapes that cannot be read are left out: a broken shutter must not cover the image."""
    shape = (spec.rows, spec.columns)
    value = ds.get("ShutterShape") or ()
    names = {str(value)} if isinstance(value, str) else {str(one) for one in value}
    readers = {"RECTANGULAR": _rectangle, "CIRCULAR": _circle, "POLYGONAL": _polygon, "BITMAP": _bitmap}
    found: Mask | None = None
    for name, read in readers.items():
        if name not in names:
            continue
        try:
            mask = read(ds, shape, spec)
        except (TypeError, ValueError, AttributeError, KeyError):
            continue
        if mask is not None:
            found = mask if found is None else found & mask
    return found


def apply_shutter(image: Greys, seen: Mask, ds: Dataset) -> Greys:
    """The picture with everything outside of `seen` in Shutter Presentation Value (a P-Value of 16 bits; black where
    it is missing). Gives a new array."""
    try:
        grey = round(int(ds.get("ShutterPresentationValue") or 0) / 0xFFFF * 255)
    except (TypeError, ValueError):
        grey = 0
    out = image.copy()
    out[~seen] = min(max(grey, 0), 255)
    return out


def _numbers(value: Any) -> list[int]:
    return [int(one) for one in value]


def _rectangle(ds: Dataset, shape: tuple[int, int], _spec: PixelSpec) -> Mask:
    left, right = int(ds.ShutterLeftVerticalEdge), int(ds.ShutterRightVerticalEdge)
    top, bottom = int(ds.ShutterUpperHorizontalEdge), int(ds.ShutterLowerHorizontalEdge)
    mask = np.zeros(shape, np.bool_)
    mask[max(top - 1, 0) : max(bottom, 0), max(left - 1, 0) : max(right, 0)] = True
    return mask


def _circle(ds: Dataset, shape: tuple[int, int], _spec: PixelSpec) -> Mask:
    row, column = _numbers(ds.CenterOfCircularShutter)
    radius = int(ds.RadiusOfCircularShutter)
    y, x = np.ogrid[1 : shape[0] + 1, 1 : shape[1] + 1]
    return np.asarray((y - row) ** 2 + (x - column) ** 2 <= radius**2)


def _polygon(ds: Dataset, shape: tuple[int, int], _spec: PixelSpec) -> Mask:
    values = _numbers(ds.VerticesOfThePolygonalShutter)
    corners = [(column - 1, row - 1) for row, column in zip(values[::2], values[1::2], strict=True)]
    picture = Image.new("1", (shape[1], shape[0]))
    ImageDraw.Draw(picture).polygon(corners, fill=1, outline=1)
    return np.asarray(picture, np.bool_)


def _bitmap(ds: Dataset, shape: tuple[int, int], spec: PixelSpec) -> Mask | None:
    """An overlay plane of the same data set; its ones are covered (C.7.6.15)."""
    group = int(ds.ShutterOverlayGroup)
    [plane] = [one for one in overlays.planes(ds, 1, None, spec) if one.group == group]
    mask = np.ones(shape, np.bool_)
    top, left = max(plane.row, 0), max(plane.column, 0)
    bits = plane.bits[top - plane.row :, left - plane.column :][: max(shape[0] - top, 0), : max(shape[1] - left, 0)]
    mask[top : top + bits.shape[0], left : left + bits.shape[1]] = ~bits.astype(np.bool_)
    return mask
