"""Where a picture's edges point, and how large its pixels are in millimetres."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from app.imaging.header import ImageHeader, frame_item
from app.imaging.regions import Region, regions

Plane = Literal["patient", "detector", "film", "unknown"]

PIXEL_SPACING = "PixelSpacing"
UNPLACED = "PixelSpacing of a projection"
MAGNIFIED = "ImagerPixelSpacing/EstimatedRadiographicMagnificationFactor"
BEAM_CENTER = "ObjectPixelSpacingInCenterOfBeam"
DETECTOR = "ImagerPixelSpacing"
IMAGE_PLANE = "ImagePlanePixelSpacing"
SCANNED = "NominalScannedPixelSpacing"
ULTRASOUND = "SequenceOfUltrasoundRegions"
_PLANES: dict[str, Plane] = {DETECTOR: "detector", IMAGE_PLANE: "detector", SCANNED: "film", UNPLACED: "unknown"}
_SIDES = frozenset("RLBU")
_OPPOSITE = {"L": "R", "R": "L", "A": "P", "P": "A", "H": "F", "F": "H"}
_QUADRUPED = {
    "LE": "RT", "RT": "LE", "D": "V", "V": "D", "CR": "CD", "CD": "CR", "R": "CD", "M": "L", "L": "M", "PR": "DI", "DI": "PR",
    "PA": "D", "PL": "D",
}  # fmt: skip
_OF_QUADRUPED = {
    "L": "LE",
    "R": "RT",
    "A": "V",
    "P": "D",
    "H": "CR",
    "F": "CD",
}  # directions of coordinates (C.7.6.2.1.1)
# Images that are shadows: a millimetre depends on how far a thing is from the detector (PS3.3 10.7.1).
_PROJECTION_CLASSES = tuple(
    f"1.2.840.10008.5.1.4.1.1.{n}"
    for n in (
        "1",
        "1.1",
        "1.1.1",
        "1.2",
        "1.2.1",
        "1.3",
        "1.3.1",
        "12.1",
        "12.1.1",
        "12.2",
        "12.2.1",
        "12.3",
        "13.1.4",
        "13.1.5",
    )
)
_PROJECTION_MODALITIES = frozenset(("CR", "DX", "DR", "MG", "IO", "PX", "RG", "RF", "XA"))
_CAPTURES = "1.2.840.10008.5.1.4.1.1.7"


class Spacing(NamedTuple):
    """Distance between pixel centres in mm: down the rows, along the columns; source: where it comes from."""

    row: float
    column: float
    source: str

    @property
    def plane(self) -> Plane:
        """Where a millimetre is one: in the patient, on the detector, on the scanned film, or unknown."""
        return _PLANES.get(self.source, "patient")

    @property
    def in_patient(self) -> bool:
        return self.plane == "patient"


class Letters(NamedTuple):
    """Patient directions at the edges: L R A P H F, up to three each in order of weight (PS3.3 C.7.6.1.1.1); of animals
    LE RT V D CR CD and more."""

    left: str
    right: str
    top: str
    bottom: str


def orientation_letters(
    image_orientation: Sequence[Any] | None, patient_orientation: Sequence[str] | None = None, quadruped: bool = False
) -> Letters | None:
    """From Image Orientation (Patient), else from Patient Orientation; None where neither says anything.

    quadruped: by Anatomical Orientation Type; an animal's directions have other letters, some of them two."""
    right, bottom = _cosines(image_orientation)
    if quadruped:
        right, bottom = ("".join(_OF_QUADRUPED[letter] for letter in text) for text in (right, bottom))
    if not right and patient_orientation is not None and len(patient_orientation) == 2:
        right, bottom = (str(text).strip().upper() for text in patient_orientation)
    left, top = (_opposite(text, _QUADRUPED if quadruped else _OPPOSITE) for text in (right, bottom))
    return Letters(left, right, top, bottom) if left and top else None


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


def _opposite(text: str, known: Mapping[str, str]) -> str:
    """The direction opposite to one of several abbreviations in a row, the longer ones first; empty where one is unknown."""
    found = ""
    while text:
        size = next((size for size in (2, 1) if text[:size] in known), 0)
        if not size:
            return ""
        found, text = found + known[text[:size]], text[size:]
    return found


def letters_of(ds: ImageHeader, frame: int = 1) -> Letters | None:
    """The letters at the edges of the stored frame `frame` (from 1)."""
    return orientation_letters(
        frame_item(ds, "PlaneOrientationSequence", frame).get("ImageOrientationPatient")
        or ds.get("ImageOrientationPatient"),
        frame_item(ds, "PatientOrientationInFrameSequence", frame).get("PatientOrientation")
        or ds.get("PatientOrientation"),
        str(ds.get("AnatomicalOrientationType") or "").strip().upper() == "QUADRUPED",
    )


def laterality_of(ds: ImageHeader, frame: int = 1) -> str:
    """R, L, B (both) or U (unpaired): of the frame, the image, the series; empty where none says it (C.7.6.1.1.2)."""
    values = (
        frame_item(ds, "FrameAnatomySequence", frame).get("FrameLaterality"),
        ds.get("ImageLaterality"),
        ds.get("Laterality"),
    )
    return next((text for text in (str(value or "").strip().upper() for value in values) if text in _SIDES), "")


def pixel_spacing_mm(ds: ImageHeader, frame: int = 1, at: tuple[int, int] | None = None) -> Spacing | None:
    """Spacing of a frame's pixels, None where nothing says it (then there is no actual size).

    By PS3.3 10.7: Pixel Spacing when it is in the patient; on projections Imager Pixel Spacing, divided by the
    magnification where that is known; Nominal Scanned Pixel Spacing for films; for ultrasound the region that covers
    `at` (row, column), or what all its regions in centimetres agree on. `Spacing.plane` names its plane."""
    found = regions(ds)
    if any(region.spatial for region in found):
        return _of_regions(found, at)
    measures = frame_item(ds, "PixelMeasuresSequence", frame)
    measured = _pair(measures.get("PixelSpacing")) or _pair(ds.get("PixelSpacing"))
    imager = _pair(frame_item(ds, "FramePixelDataPropertiesSequence", frame).get("ImagerPixelSpacing"))
    imager = imager or _pair(ds.get("ImagerPixelSpacing"))
    scanned = _pair(ds.get("NominalScannedPixelSpacing"))
    calibrated = bool(str(ds.get("PixelSpacingCalibrationType") or "").strip())
    raw = imager or scanned
    if measured and (calibrated or raw is None or not _same(measured, raw)):
        unplaced = not calibrated and raw is None and is_projection(ds)
        return Spacing(*measured, UNPLACED if unplaced else PIXEL_SPACING)
    if imager:
        return _projected(ds, imager, frame)
    if scanned:
        return Spacing(*scanned, SCANNED)
    plane = _pair(ds.get("ImagePlanePixelSpacing"))
    return Spacing(*plane, IMAGE_PLANE) if plane else None


def is_projection(ds: ImageHeader) -> bool:
    """By its SOP Class; screen captures and objects without a class by their modality."""
    uid = str(ds.get("SOPClassUID") or "").strip()
    if uid in _PROJECTION_CLASSES:
        return True
    captured = uid == "" or uid == _CAPTURES or uid.startswith(_CAPTURES + ".")
    return captured and str(ds.get("Modality") or "").strip().upper() in _PROJECTION_MODALITIES


def _projected(ds: ImageHeader, imager: tuple[float, float], frame: int) -> Spacing:
    """The spacing at the detector carried back into the patient where the beam's geometry is known (C.8.7.4, C.8.19.6)."""
    calibration = frame_item(ds, "ProjectionPixelCalibrationSequence", frame)
    object_spacing = _pair(calibration.get("ObjectPixelSpacingInCenterOfBeam"))
    if object_spacing:
        return Spacing(*object_spacing, BEAM_CENTER)
    factor = magnification(ds)
    return Spacing(imager[0] / factor, imager[1] / factor, MAGNIFIED) if factor else Spacing(*imager, DETECTOR)


def _of_regions(found: Sequence[Region], at: tuple[int, int] | None) -> Spacing | None:
    """The value common to all regions (that cover `at`)."""
    sizes = [r.spacing_mm for r in found if (r.covers(*at) if at is not None else r.spatial)]
    first = sizes[0] if sizes else None
    if first is None or any(size is None or not _same(first, size) for size in sizes):
        return None
    return Spacing(*first, ULTRASOUND)


def magnification(ds: ImageHeader) -> float | None:
    """Estimated Radiographic Magnification Factor, as written or as SID / SOD (PS3.3 C.8.7.4)."""
    factor = _positive(ds.get("EstimatedRadiographicMagnificationFactor"))
    if factor is None:
        detector, patient = _positive(ds.get("DistanceSourceToDetector")), _positive(ds.get("DistanceSourceToPatient"))
        factor = detector / patient if detector and patient else None
    return factor if factor is not None and 1.0 <= factor <= 10.0 else None


def _same(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return all(math.isclose(a, b, rel_tol=1e-3) for a, b in zip(one, other, strict=True))


def _pair(value: Any) -> tuple[float, float] | None:
    try:
        row, column = (_positive(v) for v in value)
    except (TypeError, ValueError):
        return None
    return (row, column) if row and column else None


def _positive(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and 1e-9 < number < 1e6 else None
