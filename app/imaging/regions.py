"""Ultrasound regions: parts of a frame with a scale and units of their own (PS3.3 C.8.5.5)."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from app.imaging.header import ImageHeader

CENTIMETRES = 3
# Physical Units X and Y Direction (C.8.5.5.1.15), as people write them.
UNITS = {
    1: "%",
    2: "dB",
    CENTIMETRES: "cm",
    4: "s",
    5: "Hz",
    6: "dB/s",
    7: "cm/s",
    8: "cm²",
    9: "cm²/s",
    10: "cm³",
    11: "cm³/s",
    12: "°",
}


@dataclass(frozen=True, slots=True)
class Region:
    """One calibrated rectangle, its edges included, in pixels from 0.

    delta_x, delta_y: how far one pixel goes, without sign; unit_x, unit_y: of what, "" where the code is not known."""

    x0: int
    y0: int
    x1: int
    y1: int
    delta_x: float
    delta_y: float
    unit_x: str
    unit_y: str

    def covers(self, row: float, column: float) -> bool:
        return self.y0 <= row <= self.y1 and self.x0 <= column <= self.x1

    @property
    def spatial(self) -> bool:
        """Both directions are lengths."""
        return self.unit_x == self.unit_y == UNITS[CENTIMETRES]

    @property
    def spacing_mm(self) -> tuple[float, float] | None:
        """Millimetres down and across one pixel; None in spectra, M-mode and curves."""
        return (self.delta_y * 10, self.delta_x * 10) if self.spatial else None


def regions(ds: ImageHeader) -> tuple[Region, ...]:
    """Those with a place and at least one direction with a scale; nonsense is left out."""
    return tuple(_readable(ds))


def _readable(ds: ImageHeader) -> Iterator[Region]:
    for item in ds.get("SequenceOfUltrasoundRegions") or ():
        try:
            x0, y0, x1, y1 = (int(item.get(f"RegionLocation{end}")) for end in ("MinX0", "MinY0", "MaxX1", "MaxY1"))
        except (TypeError, ValueError):
            continue
        x, y = (_axis(item, axis) for axis in "XY")
        if x0 <= x1 and y0 <= y1 and (x[1] or y[1]):
            yield Region(x0, y0, x1, y1, x[0], y[0], x[1], y[1])


def _axis(item: ImageHeader, axis: str) -> tuple[float, str]:
    """(size of a pixel, unit) in one direction; (0, "") where it has no scale."""
    delta, code = _number(item.get(f"PhysicalDelta{axis}")), item.get(f"PhysicalUnits{axis}Direction")
    unit = UNITS.get(code, "") if isinstance(code, int) else ""
    return (abs(delta), unit) if unit and math.isfinite(delta) and 1e-12 < abs(delta) < 1e9 else (0.0, "")


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan
