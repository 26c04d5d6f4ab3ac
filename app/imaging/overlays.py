"""Overlay planes: 60xx groups with their own data, and the retired kind inside unused pixel bits (PS3.3 C.9.2)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from app.dicom import syntaxes
from app.imaging.errors import ImagingError
from app.imaging.lut import Greys
from app.imaging.native import Samples
from app.imaging.spec import PixelSpec

GROUPS = range(0x6000, 0x6020, 2)
_ROWS, _COLUMNS, _FRAMES, _TYPE, _ORIGIN, _FIRST = 0x0010, 0x0011, 0x0015, 0x0040, 0x0050, 0x0051
_DESCRIPTION, _BITS_ALLOCATED, _BIT_POSITION, _LABEL, _DATA = 0x0022, 0x0100, 0x0102, 0x1500, 0x3000
_MAX_SIDE = 32768


@dataclass(frozen=True, slots=True)
class Plane:
    """One overlay of one frame. bits: (rows, columns) of 0 and 1; row, column: its first pixel in the image, from 0.

    group: 0x6000 to 0x601E; roi: Overlay Type (60xx,0040) is R, a region of interest, else graphics."""

    bits: Samples
    row: int
    column: int
    label: str
    roi: bool
    group: int = 0x6000
    description: str = ""


def any_in(ds: Dataset) -> bool:
    """Whether the header describes any overlay plane."""
    return any((group, element) in ds for group in GROUPS for element in (_ROWS, _BITS_ALLOCATED, _DATA))


def in_pixels(ds: Dataset) -> bool:
    """Whether an overlay may lie in the pixels themselves, so that a frame has to be decoded to find it."""
    return any((group, _DATA) not in ds and (group, _BITS_ALLOCATED) in ds for group in GROUPS)


def planes(ds: Dataset, frame: int = 1, words: Samples | None = None, spec: PixelSpec | None = None) -> list[Plane]:
    """The overlays that belong to frame `frame` (from 1). words: the frame's raw words, for overlays inside the pixels.

    A broken overlay is left out: it must not cost the picture."""
    found: list[Plane] = []
    if not any_in(ds):
        return found
    spec = spec or _image(ds)
    for group in GROUPS:
        try:
            plane = _plane(ds, group, frame, words, spec)
        except (KeyError, ValueError, TypeError, AttributeError):
            continue
        if plane is not None:
            found.append(plane)
    return found


def _image(ds: Dataset) -> PixelSpec:
    """Pixel parameters of the header; no pixels where it has none, as in a presentation state."""
    try:
        return PixelSpec.from_dataset(ds)
    except ImagingError:
        return PixelSpec(0, 0)


def _plane(ds: Dataset, group: int, frame: int, words: Samples | None, spec: PixelSpec) -> Plane | None:
    if (group, _DATA) in ds:
        bits = _own_data(ds, group, frame, spec)
    elif (group, _BITS_ALLOCATED) in ds:
        bits = _embedded(ds, group, frame, words, spec)
    else:
        return None
    if bits is None:
        return None
    row, column = _origin(ds, group)
    roi = _text(ds, group, _TYPE) == "R"
    return Plane(bits, row, column, _text(ds, group, _LABEL), roi, group, _text(ds, group, _DESCRIPTION))


def _number(ds: Dataset, group: int, element: int) -> int | None:
    """The first value as a whole number; None where the attribute is missing, empty or no number."""
    value: Any = ds[group, element].value if (group, element) in ds else None
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        value = next(iter(value), None)
    try:
        return int(value)
    except (TypeError, ValueError):
        return None


def _text(ds: Dataset, group: int, element: int) -> str:
    return str(ds[group, element].value or "").strip() if (group, element) in ds else ""


def _origin(ds: Dataset, group: int) -> tuple[int, int]:
    """Row and column of the first overlay pixel in the image, from 0; the image's first where Origin is missing."""
    try:
        row, column = (int(value) - 1 for value in ds[group, _ORIGIN].value)
    except (KeyError, TypeError, ValueError):
        return 0, 0
    return row, column


def _index(ds: Dataset, group: int, frame: int, held: int) -> int | None:
    """Which of the overlay's frames belongs to image frame `frame` (PS3.3 C.9.2.1.3); None: none of them.

    held: frames the data has space for. Without Number of Frames in Overlay one plane belongs to all frames, unless an
    Image Frame Origin beyond the first frame names the one it is for."""
    count, first = _number(ds, group, _FRAMES), _number(ds, group, _FIRST) or 1
    if count is None and first <= 1:
        return min(frame, held) - 1 if held > 1 else 0
    count = max(1, count or 1)
    return frame - first if first <= frame < first + count else None


def _own_data(ds: Dataset, group: int, frame: int, spec: PixelSpec) -> Samples | None:
    """Packed bits, least significant first, frames without padding between them (C.9.2.1.1). Data that is too short goes
    on with zeros."""
    rows, columns = _number(ds, group, _ROWS) or spec.rows, _number(ds, group, _COLUMNS) or spec.columns
    if not 0 < rows <= _MAX_SIDE or not 0 < columns <= _MAX_SIDE:
        return None
    element = ds[group, _DATA]
    raw = np.frombuffer(element.value or b"", np.uint8)
    if element.VR == "OW" and spec.transfer_syntax_uid == syntaxes.EXPLICIT_BE:
        raw = raw[: len(raw) // 2 * 2].view(np.uint16).byteswap().view(np.uint8)
    size = rows * columns
    held = spec.frames if spec.frames > 1 and len(raw) * 8 >= size * spec.frames else 1
    index = _index(ds, group, frame, held)
    if index is None:
        return None
    start = index * size
    piece = np.unpackbits(raw[start // 8 : (start + size + 7) // 8], bitorder="little")[start % 8 : start % 8 + size]
    bits = np.zeros(size, np.uint8)
    bits[: len(piece)] = piece
    return bits.reshape(rows, columns)


def _embedded(ds: Dataset, group: int, frame: int, words: Samples | None, spec: PixelSpec) -> Samples | None:
    """The bit Overlay Bit Position of each pixel (retired, PS3.3-2004 C.9.2). Bits of the stored value are not an
    overlay, even if the header declares one."""
    position = _number(ds, group, _BIT_POSITION)
    if position is None or words is None or words.ndim != 2 or words.dtype.kind != "u":
        return None
    stored = range(spec.high_bit + 1 - spec.bits_stored, spec.high_bit + 1)
    if position in stored or not 0 <= position < spec.bits_allocated or _index(ds, group, frame, 1) is None:
        return None
    return ((words >> position) & 1).astype(np.uint8)


def draw_overlays(image: Greys, found: list[Plane]) -> Greys:
    """The picture with its overlays in full white, the parts outside it cut off. Gives a new array."""
    out = image.copy()
    rows, columns = image.shape[:2]
    for plane in found:
        top, left = max(plane.row, 0), max(plane.column, 0)
        bits = plane.bits[top - plane.row :, left - plane.column :][: max(rows - top, 0), : max(columns - left, 0)]
        out[top : top + bits.shape[0], left : left + bits.shape[1]][bits.astype(bool)] = 255
    return out
