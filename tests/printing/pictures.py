"""Facts and pixels of drawn test images, for the tests of the sheet and the file."""

from typing import Any

import numpy as np

from app.printing.pdf import Pixels
from app.printing.sheet import FrameShape, Placed, View


def picture(
    number: int = 1,
    rows: int = 512,
    columns: int = 512,
    spacing: tuple[float, float] | None = (0.7, 0.7),
    *,
    name: str = "Hong, Gildong",
    **more: Any,
) -> FrameShape:
    values = {
        "PatientName": name,
        "PatientID": "80-04417",
        "StudyDescription": "CT Thorax",
        "SeriesDescription": "Axial 1.0 B31f",
        "Window": "W 400 L 40",
        "Image": f"Image {number}",
        "InstitutionName": "Hospital del Valle",
    }
    more.setdefault("letters", ("R", "L", "A", "P"))
    more.setdefault("patient", name)
    return FrameShape(f"1.2.3.{number}", 1, rows, columns, spacing, values=values, **more)


def pattern(rows: int, columns: int, colour: bool = False) -> Pixels:
    """Every pixel differs from its neighbours, so that a shift or a lossy step shows."""
    y, x = np.mgrid[0:rows, 0:columns]
    grey = ((x * 7 + y * 13) % 251).astype(np.uint8)
    return np.dstack([grey, 255 - grey, np.roll(grey, 5)]) if colour else grey


def cut(whole: Pixels, placed: Placed) -> Pixels:
    s = placed.source
    return whole[s.y : s.y + s.height, s.x : s.x + s.width]


__all__ = ["View", "cut", "pattern", "picture"]
