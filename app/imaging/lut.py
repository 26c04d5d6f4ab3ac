"""The grey chain as pure steps: modality LUT, VOI LUT or window, presentation (PS3.4 N.2, PS3.3 C.11).

Each step takes and gives float32; `grey_table` runs all of them once over every possible stored value."""

import numpy as np
import numpy.typing as npt

from app.imaging.display import Display, Lut
from app.imaging.errors import ImagingError
from app.imaging.native import Samples
from app.imaging.spec import PixelSpec
from app.kit.phrases import phrase

Floats = npt.NDArray[np.float32]
Greys = npt.NDArray[np.uint8]
_PIECE = 1 << 16  # pixels looked up at a time
FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")


def apply_modality_lut(values: Samples, display: Display) -> Floats:
    """Stored values to modality units: Modality LUT Sequence, else slope and intercept (C.11.1)."""
    if display.modality_lut is not None:
        return map_values(values, display.modality_lut)
    if display.slope == 1.0 and display.intercept == 0.0:
        return np.asarray(values, np.float32)
    # In double: a float slope times 65535 loses a unit, and integers up to 2^32 do not fit single precision.
    return (values.astype(np.float64) * display.slope + display.intercept).astype(np.float32)


def map_values(values: Samples, lut: Lut) -> Floats:
    """Values through a table, clamped at both ends (C.11.1.1.1)."""
    index = np.clip(np.rint(np.asarray(values, np.float64)) - lut.first, 0, len(lut.data) - 1).astype(np.intp)
    return np.asarray(lut.data[index], np.float32)


def apply_window(values: Floats, center: float, width: float, function: str = "LINEAR") -> Floats:
    """Modality units to 0..1 by the window function (C.11.2.1.2.1 LINEAR, C.11.2.1.3.1 SIGMOID, .2 LINEAR_EXACT)."""
    x = values.astype(np.float64, copy=False)
    if function == "SIGMOID":
        with np.errstate(over="ignore"):
            return (1.0 / (1.0 + np.exp(-4.0 * (x - center) / width))).astype(np.float32)
    if function == "LINEAR_EXACT":
        return np.clip((x - center) / width + 0.5, 0, 1).astype(np.float32)
    if function != "LINEAR":
        raise ImagingError(
            phrase(
                "Unknown window function {function}; use one of {known}.",
                function=function,
                known=", ".join(FUNCTIONS),
            )
        )
    if width <= 1:  # a step: the standard's formula divides by width - 1
        return np.asarray(x > center - 0.5, np.float32)
    return np.clip((x - (center - 0.5)) / (width - 1) + 0.5, 0, 1).astype(np.float32)


def voi_lut(values: Floats, lut: Lut) -> Floats:
    """Modality units through a VOI LUT to 0..1; its bits per entry are the full range (C.11.2.1.1)."""
    return map_values(values, lut) / np.float32((1 << lut.bits) - 1)


def apply_presentation_lut(fractions: Floats, inverted: bool, table: Lut | None = None) -> Greys:
    """0..1 to grey levels, lowest white when inverted (C.11.6, C.7.6.3.1.2). table: a Presentation LUT, whose first
    entry belongs to 0 and whose last to 1 (C.11.6.1.1)."""
    if table is not None:
        index = (np.clip(fractions, 0, 1) * (len(table.data) - 1)).astype(np.intp)
        fractions = np.asarray(table.data[index], np.float32) / np.float32((1 << table.bits) - 1)
    scaled = np.subtract(1, fractions, dtype=np.float32) if inverted else fractions
    return np.rint(np.clip(scaled, 0, 1) * np.float32(255)).astype(np.uint8)


def stored_range(spec: PixelSpec) -> tuple[int, int]:
    """Lowest and highest value that Bits Stored can hold."""
    if spec.signed:
        return -(1 << (spec.bits_stored - 1)), (1 << (spec.bits_stored - 1)) - 1
    return 0, (1 << spec.bits_stored) - 1


def all_values(dtype: np.dtype[np.generic]) -> Samples:
    """Every value an 8 or 16-bit word can hold, in the order of its bit patterns: the index of a table."""
    return np.arange(1 << (8 * dtype.itemsize), dtype=np.uint32).astype(f"u{dtype.itemsize}").view(dtype)


def has_table(values: Samples) -> bool:
    """8 and 16-bit integers go through one table; wider ones and floats are computed."""
    return values.dtype.kind in "ui" and values.dtype.itemsize <= 2


def apply_table(values: Samples, table: Greys) -> Greys:
    """Each stored value's entry: (rows, columns) or, for a colour table, (rows, columns, 3)."""
    index = values.view(f"u{values.dtype.itemsize}")
    if not index.flags.c_contiguous:
        index = np.ascontiguousarray(index)
    # In pieces that stay in the processor's cache: numpy widens the index, and eight bytes for each pixel of a large
    # radiograph cost four times the look-up. No index can be out of range, so the check is spared too.
    out = np.empty((*index.shape, *table.shape[1:]), np.uint8)
    flat, found = index.reshape(-1), out.reshape(-1, *table.shape[1:])
    for start in range(0, flat.size, _PIECE):
        np.take(table, flat[start : start + _PIECE], axis=0, out=found[start : start + _PIECE], mode="clip")
    return out
