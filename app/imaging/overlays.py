"""Overlay planes: 60xx groups with their own data, and the old kind inside unused pixel bits (PS3.3 C.9.2)."""

from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from app.imaging.lut import Greys
from app.imaging.native import Samples

GROUPS = range(0x6000, 0x6020, 2)
_MAX_SIDE = 32768


@dataclass(frozen=True, slots=True)
class Plane:
    """One overlay of one frame. bits: (rows, columns) of 0 and 1; row, column: its first pixel in the image, from 0."""

    bits: Samples
    row: int
    column: int
    label: str
    roi: bool


def planes(ds: Dataset, frame: int = 1, words: Samples | None = None) -> list[Plane]:
    """The overlays that belong to frame `frame` (from 1). words: the frame's raw words, for overlays inside the pixels.

    A broken overlay is left out: it must not cost the picture."""
    found = []
    for group in GROUPS:
        if (group, 0x0010) not in ds and (group, 0x0100) not in ds:
            continue
        try:
            plane = _plane(ds, group, frame, words)
        except (KeyError, ValueError, TypeError, AttributeError):
            continue
        if plane is not None:
            found.append(plane)
    return found


def _plane(ds: Dataset, group: int, frame: int, words: Samples | None) -> Plane | None:
    def get(element: int, default: int) -> int:
        value = ds.get((group, element))
        return int(value.value) if value is not None and value.value is not None else default

    first, count = get(0x0051, 1), get(0x0015, 1)
    if not first <= frame < first + count:
        return None
    origin = ds.get((group, 0x0050))
    row, column = (int(v) - 1 for v in origin.value) if origin is not None and origin.value else (0, 0)
    label = str(ds[group, 0x1500].value) if (group, 0x1500) in ds else ""
    roi = (group, 0x0040) in ds and str(ds[group, 0x0040].value).strip() == "R"
    if (group, 0x3000) in ds:
        bits = _own_data(ds, group, frame - first, get(0x0010, 0), get(0x0011, 0))
    else:
        position = get(0x0102, 0)
        if words is None or words.dtype.kind != "u" or not 0 < position < words.dtype.itemsize * 8:
            return None
        bits = ((words >> position) & 1).astype(np.uint8)
    return Plane(bits, row, column, label, roi) if bits is not None else None


def _own_data(ds: Dataset, group: int, index: int, rows: int, columns: int) -> Samples | None:
    """Packed bits, least significant first, frames without padding between them (C.9.2.1.1)."""
    if not 0 < rows <= _MAX_SIDE or not 0 < columns <= _MAX_SIDE:
        return None
    raw = np.frombuffer(ds[group, 0x3000].value, np.uint8)
    size, start = rows * columns, index * rows * columns
    if len(raw) * 8 < start + size:
        return None
    piece = np.unpackbits(raw[start // 8 : (start + size + 7) // 8], bitorder="little")
    return piece[start % 8 : start % 8 + size].reshape(rows, columns)


def burn(image: Greys, found: list[Plane]) -> Greys:
    """The picture with its overlays in full white, the parts outside it cut off. Gives a new array."""
    out = image.copy()
    rows, columns = image.shape[:2]
    for plane in found:
        top, left = max(plane.row, 0), max(plane.column, 0)
        bits = plane.bits[top - plane.row :, left - plane.column :][: max(rows - top, 0), : max(columns - left, 0)]
        out[top : top + bits.shape[0], left : left + bits.shape[1]][bits.astype(bool)] = 255
    return out
