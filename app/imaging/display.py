"""Display parameters of a header, per frame: the inputs of the LUT chain (PS3.3 C.11.1, C.11.2, C.11.6).

Enhanced objects keep these in functional groups (C.7.6.16): the frame's own, else the shared, else the top level."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from app.imaging.header import ImageHeader, frame_item
from app.imaging.native import Samples
from app.imaging.spec import PixelSpec
from app.imaging.tables import descriptor, words_of


@dataclass(frozen=True, slots=True)
class Lut:
    """A look-up table: entry 0 belongs to input value `first`, lower inputs take the first entry, higher ones the last."""

    first: int
    data: Samples
    bits: int
    explanation: str = ""


@dataclass(frozen=True, slots=True)
class Window:
    """A VOI window: centre and width in output units of the modality LUT, and the function they belong to."""

    center: float
    width: float
    explanation: str = ""
    function: str = "LINEAR"


@dataclass(frozen=True, slots=True)
class Display:
    """All parameters of a header between stored values and grey levels of one frame."""

    slope: float = 1.0
    intercept: float = 0.0
    modality_lut: Lut | None = None
    windows: tuple[Window, ...] = ()
    voi_luts: tuple[Lut, ...] = ()
    presentation_lut: Lut | None = None
    shape: str = "IDENTITY"
    photometric: str = "MONOCHROME2"
    padding: tuple[int, int] | None = None
    modality: str = ""
    aspect: float = 1.0
    warnings: tuple[str, ...] = field(default=(), compare=False)

    @property
    def inverted(self) -> bool:
        """Lowest values are shown white: MONOCHROME1, turned round once more by Presentation LUT Shape (C.11.6.1.2).

        In images shape INVERSE belongs to MONOCHROME1 and IDENTITY to MONOCHROME2; a header that says both the
        same thing inverts once, as every viewer does."""
        return self.photometric == "MONOCHROME1" or self.shape == "INVERSE"

    @classmethod
    def from_dataset(cls, ds: ImageHeader, spec: PixelSpec, frame: int = 1, big_endian: bool = False) -> "Display":
        """Reads the display attributes of frame `frame` (from 1). Nonsense in them is left out, never fatal.

        A slope of 0 would make every pixel the intercept: it is read as 1 (C.11.1 knows no such rescale)."""
        transformation = frame_item(ds, "PixelValueTransformationSequence", frame)
        voi = frame_item(ds, "FrameVOILUTSequence", frame)
        slope = _float(transformation.get("RescaleSlope"), 1.0)
        intercept = _float(transformation.get("RescaleIntercept"), 0.0)
        modality_lut = next(luts_of(ds.get("ModalityLUTSequence"), spec.signed, big_endian), None)
        if any(item.get("LUTDescriptor") for item in ds.get("ModalityLUTSequence") or ()):
            slope, intercept = (
                1.0,
                0.0,
            )  # one or the other: units come from the table, where its data are at hand (C.11.1)
        signed_input = spec.signed or intercept < 0
        return cls(
            slope=slope or 1.0,
            intercept=intercept,
            modality_lut=modality_lut,
            windows=tuple(windows_of(voi, spec)),
            voi_luts=tuple(luts_of(voi.get("VOILUTSequence") or ds.get("VOILUTSequence"), signed_input, big_endian)),
            shape=str(ds.get("PresentationLUTShape") or "IDENTITY").strip().upper(),
            photometric=spec.photometric,
            padding=_padding(ds, spec),
            modality=str(ds.get("Modality") or ""),
            aspect=pixel_aspect(ds, frame),
        )


def pixel_aspect(ds: ImageHeader, frame: int = 1) -> float:
    """Height of a pixel by its width: Pixel Aspect Ratio, else the spacings (PS3.3 C.7.6.3.1.7); 1 when unknown."""
    ratio = _pair(ds.get("PixelAspectRatio"))
    if ratio is None:
        ratio = _pair(frame_item(ds, "PixelMeasuresSequence", frame).get("PixelSpacing"))
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        ratio = ratio or _pair(ds.get(keyword))
    if ratio is None or not 0.01 <= ratio[0] / ratio[1] <= 100:
        return 1.0
    return ratio[0] / ratio[1]


def _pair(value: Any) -> tuple[float, float] | None:
    try:
        first, second = (float(v) for v in value)
    except (TypeError, ValueError):
        return None
    return (first, second) if first > 0 and second > 0 and math.isfinite(first + second) else None


def _float(value: Any, default: float) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return default
    return number if math.isfinite(number) else default


def _float_values(value: Any) -> list[Any]:
    if value is None or value == "":
        return []
    return list(value) if isinstance(value, Iterable) and not isinstance(value, str) else [value]


def windows_of(voi: ImageHeader, spec: PixelSpec) -> Iterator[Window]:
    """The windows of a data set or of an item of a VOI LUT macro (C.11.2.1.2)."""
    function = str(voi.get("VOILUTFunction") or "LINEAR").strip().upper()
    function = function if function in ("LINEAR_EXACT", "SIGMOID") else "LINEAR"
    names = _float_values(voi.get("WindowCenterWidthExplanation"))
    pairs = zip(_float_values(voi.get("WindowCenter")), _float_values(voi.get("WindowWidth")), strict=False)
    for index, (center, width) in enumerate(pairs):
        c, w = _float(center, math.nan), _float(width, math.nan)
        if math.isfinite(c) and math.isfinite(w) and w > 0:
            name = str(names[index]) if index < len(names) else ""
            yield _usable(Window(c, w, name, function), spec)


def _usable(window: Window, spec: PixelSpec) -> Window:
    """LINEAR counts in whole units and needs a width of 1 (C.11.2.1.2.1): narrower windows of small rescale slopes, and
    those of float pixels, mean LINEAR_EXACT."""
    exact = window.function == "LINEAR" and (window.width < 1 or spec.kind != "int")
    return replace(window, function="LINEAR_EXACT") if exact else window


def luts_of(sequence: Any, signed: bool, big_endian: bool) -> Iterator[Lut]:
    """The tables of a LUT sequence. signed: the first value mapped is a signed number (C.11.1.1.1)."""
    for item in sequence or ():
        entries, first, bits = descriptor(item, "LUTDescriptor")
        data = words_of(item.get("LUTData"), big_endian, entries)[:entries]
        if len(data) == 0:
            continue
        if signed and first > 0x7FFF:
            first -= 0x10000
        # Bits that lie: a table of 16-bit values that calls itself 8 would be cut to black.
        bits = max(bits, int(data.max()).bit_length())
        yield Lut(first, data, bits, str(item.get("LUTExplanation") or ""))


def _padding(ds: ImageHeader, spec: PixelSpec) -> tuple[int, int] | None:
    """Pixel Padding Value to Range Limit (C.7.5.1.1.2) as stored values, in order."""
    value, limit = ds.get("PixelPaddingValue"), ds.get("PixelPaddingRangeLimit")
    try:
        low = int(value)
        high = int(limit) if limit is not None else low
    except (TypeError, ValueError):
        return None
    half = 1 << (spec.bits_stored - 1)

    def read(value: int) -> int:
        return (
            value - 2 * half
            if spec.signed and value >= half
            else value + 2 * half
            if not spec.signed and value < 0
            else value
        )

    return min(read(low), read(high)), max(read(low), read(high))
