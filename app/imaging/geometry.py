"""Where a picture's edges point, and how large its pixels are in millimetres."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from pydicom.dataset import Dataset

from app.imaging.display import frame_item

PIXEL_SPACING = "PixelSpacing"
MAGNIFIED = "ImagerPixelSpacing/EstimatedRadiographicMagnificationFactor"
DETECTOR = "ImagerPixelSpacing"
SCANNED = "NominalScannedPixelSpacing"
ULTRASOUND = "SequenceOfUltrasoundRegions"
_CENTIMETRES = 3  # Physical Units (C.8.5.5.1.15)
_OPPOSITE = {"L": "R", "R": "L", "A": "P", "P": "A", "H": "F", "F": "H"}


class Spacing(NamedTuple):
    """Distance between pixel centres in mm: down the rows, along the columns; source: where it comes from."""

    row: float
    column: float
    source: str

    @property
    def in_patient(self) -> bool:
        """True where a millimetre is one in the patient; else it is one on the detector or the scanned film."""
        return self.source not in (DETECTOR, SCANNED)


class Letters(NamedTuple):
    """Patient directions at the edges: L R A P H F, up to three each in order of weight (PS3.3 C.7.6.1.1.1)."""

    left: str
    right: str
    top: str
    bottom: str


def orientation_letters(
    image_orientation: Sequence[Any] | None, patient_orientation: Sequence[str] | None = None
) -> Letters | None:
    """From Image Orientation (Patient), else from Patient Orientation; None where neither says anything."""
    right, bottom = _cosines(image_orientation)
    if not right and patient_orientation is not None and len(patient_orientation) == 2:
        right, bottom = (str(text).strip().upper() for text in patient_orientation)
    if not right or not bottom or any(letter not in _OPPOSITE for letter in right + bottom):
        return None
    return Letters(_opposite(right), right, _opposite(bottom), bottom)


def _cosines(orientation: Sequence[Any] | None) -> tuple[str, str]:
    try:
        values = [float(v) for v in orientation or ()]
    except (TypeError, ValueError):
        return "", ""
    if len(values) != 6 or not all(map(math.isfinite, values)):
        return "", ""
    return _direction(values[:3]), _direction(values[3:])


def _direction(vector: list[float]) -> str:
    """Letters of a direction in patient coordinates: +x left, +y posterior, +z head; components under 5 degrees drop."""
    weights = sorted(zip(vector, ("LR", "PA", "HF"), strict=True), key=lambda pair: -abs(pair[0]))
    return "".join(letters[0] if value > 0 else letters[1] for value, letters in weights if abs(value) > 0.0872)


def _opposite(letters: str) -> str:
    return "".join(_OPPOSITE[letter] for letter in letters)


def pixel_spacing_mm(ds: Dataset, frame: int = 1, at: tuple[int, int] | None = None) -> Spacing | None:
    """Spacing of a frame's pixels, None where nothing says it (then there is no actual size).

    By PS3.3 10.7: Pixel Spacing when it is in the patient; on projections Imager Pixel Spacing, divided by the
    magnification where that is known; Nominal Scanned Pixel Spacing for films; for ultrasound the region that covers
    `at` (row, column), or what all its regions agree on."""
    measured = _pair(frame_item(ds, "PixelMeasuresSequence", frame).get("PixelSpacing")) or _pair(
        ds.get("PixelSpacing")
    )
    imager = _pair(ds.get("ImagerPixelSpacing"))
    calibrated = bool(str(ds.get("PixelSpacingCalibrationType") or "").strip())
    if measured and (calibrated or imager is None or not _same(measured, imager)):
        return Spacing(*measured, PIXEL_SPACING)
    if imager:
        factor = magnification(ds)
        if factor:
            return Spacing(imager[0] / factor, imager[1] / factor, MAGNIFIED)
        return Spacing(*imager, DETECTOR)
    regions = _ultrasound(ds, at)
    if regions:
        return Spacing(*regions, ULTRASOUND)
    scanned = _pair(ds.get("NominalScannedPixelSpacing"))
    return Spacing(*scanned, SCANNED) if scanned else None


def magnification(ds: Dataset) -> float | None:
    """Estimated Radiographic Magnification Factor, as written or as SID / SOD (PS3.3 C.8.7.4)."""
    factor = _positive(ds.get("EstimatedRadiographicMagnificationFactor"))
    if factor is None:
        detector, patient = _positive(ds.get("DistanceSourceToDetector")), _positive(ds.get("DistanceSourceToPatient"))
        factor = detector / patient if detector and patient else None
    return factor if factor is not None and 1.0 <= factor <= 10.0 else None


def _ultrasound(ds: Dataset, at: tuple[int, int] | None) -> tuple[float, float] | None:
    found: list[tuple[float, float]] = []
    for region in ds.get("SequenceOfUltrasoundRegions") or ():
        if (
            region.get("PhysicalUnitsXDirection") != _CENTIMETRES
            or region.get("PhysicalUnitsYDirection") != _CENTIMETRES
        ):
            continue
        if at is not None and not _covers(region, at):
            continue
        deltas = (_positive(region.get(f"PhysicalDelta{axis}"), signed=True) for axis in "YX")
        row, column = ((value or 0.0) * 10 for value in deltas)
        if row and column:
            found.append((row, column))
    if not found or any(not _same(found[0], other) for other in found[1:]):
        return None
    return found[0]


def _covers(region: Dataset, at: tuple[int, int]) -> bool:
    try:
        x0, y0, x1, y1 = (int(region[f"RegionLocation{k}"].value) for k in ("MinX0", "MinY0", "MaxX1", "MaxY1"))
    except (KeyError, TypeError, ValueError):
        return False
    return y0 <= at[0] <= y1 and x0 <= at[1] <= x1


def _same(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return all(math.isclose(a, b, rel_tol=1e-3) for a, b in zip(one, other, strict=True))


def _pair(value: Any) -> tuple[float, float] | None:
    try:
        row, column = (_positive(v) for v in value)
    except (TypeError, ValueError):
        return None
    return (row, column) if row and column else None


def _positive(value: Any, signed: bool = False) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    number = abs(number) if signed else number
    return number if math.isfinite(number) and 1e-9 < number < 1e6 else None
