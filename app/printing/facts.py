"""From a header to what the Sheet needs to know of a frame. Pure: a data set in, a Picture out.

Names, dates and ages are written by functions handed in, for they depend on the reader's language."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from pydicom.dataset import Dataset

from app.dicom.dates import age_at
from app.dicom.identity import patient_key
from app.dicom.reading import text_of
from app.imaging import Display, PixelSpec, Presentation, RenderParams
from app.imaging.display import pixel_aspect
from app.imaging.geometry import letters_of, pixel_spacing_mm
from app.imaging.regions import regions
from app.kit.phrases import Phrase
from app.printing.shapes import Scale
from app.printing.sheet import FrameShape, View

_WHOSE = ("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "StudyInstanceUID")


@dataclass(frozen=True, slots=True)
class FactWords:
    """How a name, a day and an age (of `dates.age_at`) are written for this reader."""

    person: Callable[[str], str]
    day: Callable[[str], str]
    age: Callable[[str], str]


def picture(
    ds: Dataset,
    sop_instance_uid: str,
    frame: int,
    view: View,
    position: str,
    words: FactWords,
    state: Presentation | None = None,
) -> FrameShape:
    """Print facts of frame `frame` (from 1). position: "138 of 306" in what was chosen. state: the presentation
    state it is seen by; view: what was ordered on top of that.

    Raises app.imaging.NotAnImage or CannotDecode when the header describes no image."""
    spec = PixelSpec.from_dataset(ds)
    view = presented(view, state, spec) if state else view
    spacing = pixel_spacing_mm(ds, frame)
    return FrameShape(
        sop_instance_uid=sop_instance_uid,
        frame=frame,
        rows=spec.rows,
        columns=spec.columns,
        spacing=(spacing.row, spacing.column) if spacing else None,
        plane="" if spacing is None or spacing.in_patient else spacing.plane,
        scales=() if spacing else tuple(_scales(ds)),
        aspect=pixel_aspect(ds, frame),
        view=view,
        letters=turned(letters_of(ds, frame) or ("", "", "", ""), view),
        patient=patient_key(*(_text(ds, keyword) for keyword in _WHOSE)),
        values={**header_values(ds, words), "Image": position, "Window": window_text(ds, spec, frame, view, state)},
    )


def presented(view: View, state: Presentation, spec: PixelSpec) -> View:
    """The combined view: the state's turn and flip, then those ordered; its displayed area where no part was chosen."""
    moved = state.params(RenderParams(rotate=float(view.rotation), flip_horizontal=view.flip))
    rotation, area = int(moved.rotate), state.area
    if area is None or view.crop != (0.0, 0.0, 1.0, 1.0):
        return replace(view, rotation=rotation, flip=moved.flip_horizontal)
    x1, y1 = max(area.column, 0) / spec.columns, max(area.row, 0) / spec.rows
    x2 = min(area.column + area.columns, spec.columns) / spec.columns
    y2 = min(area.row + area.rows, spec.rows) / spec.rows
    if x1 >= x2 or y1 >= y2:  # beside the image: there is nothing to cut out
        return replace(view, rotation=rotation, flip=moved.flip_horizontal)
    for _ in range(rotation // 90):  # a quarter clockwise: what was at the left is on top
        x1, x2, y1, y2 = 1 - y2, 1 - y1, x1, x2
    if moved.flip_horizontal:
        x1, x2 = 1 - x2, 1 - x1
    return replace(view, rotation=rotation, flip=moved.flip_horizontal, crop=(x1, y1, x2 - x1, y2 - y1))


def undrawable(
    ds: Dataset | None, sop_instance_uid: str, frame: int, view: View, position: str, words: FactWords, why: Phrase
) -> FrameShape:
    """The same for a frame that cannot be drawn, with the reason. ds: None where not even the header is here."""
    known = header_values(ds, words) if ds is not None else {}
    return FrameShape(
        sop_instance_uid=sop_instance_uid,
        frame=frame,
        rows=1,
        columns=1,
        spacing=None,
        view=view,
        patient=patient_key(*(_text(ds, keyword) for keyword in _WHOSE)) if ds is not None else "",
        fault=why,
        values={**known, "Image": position},
    )


def _scales(ds: Dataset) -> Iterator[Scale]:
    """The ultrasound regions that have a size in the patient, where they do not agree on one for the whole image."""
    for region in regions(ds):
        if region.spacing_mm is not None:
            yield Scale((region.x0, region.y0), (region.x1 + 1, region.y1 + 1), region.spacing_mm)


def turned(letters: tuple[str, str, str, str], view: View) -> tuple[str, str, str, str]:
    """The letters after the view's turn and flip."""
    left, right, top, bottom = letters
    for _ in range(view.rotation // 90):  # a quarter clockwise: what was at the left is on top
        left, right, top, bottom = bottom, top, left, right
    return (right, left, top, bottom) if view.flip else (left, right, top, bottom)


def has_window(ds: Dataset, frame: int) -> bool:
    """False where a window has to be computed from the pixels (then the caption waits for them)."""
    spec = PixelSpec.from_dataset(ds)
    display = Display.from_dataset(ds, spec, frame)
    return spec.colour or bool(display.windows or display.voi_luts)


def header_window(ds: Dataset, frame: int) -> tuple[float, float] | None:
    """(center, width) that the header names; None for colours, for a look-up table and where there is none."""
    spec = PixelSpec.from_dataset(ds)
    if spec.colour or spec.photometric == "PALETTE COLOR":
        return None
    windows = Display.from_dataset(ds, spec, frame).windows
    return (windows[0].center, windows[0].width) if windows else None


def window_text(ds: Dataset, spec: PixelSpec, frame: int, view: View, state: Presentation | None = None) -> str:
    """W 400 L 40 as printed; empty for colours seen as they are; the look-up table's name where one is used."""
    if view.window is not None:
        center, width = view.window
    else:
        if spec.colour or spec.photometric == "PALETTE COLOR":
            return ""
        display = Display.from_dataset(ds, spec, frame)
        if state is not None:
            display = replace(
                display,
                windows=(state.window,) if state.window else (),
                voi_luts=(state.voi_lut,) if state.voi_lut else (),
            )
        if not display.windows:
            return display.voi_luts[0].explanation or "VOI LUT" if display.voi_luts else ""
        center, width = display.windows[0].center, display.windows[0].width
    return f"W {_number(width)} L {_number(center)}" + (" inverted" if view.invert else "")


def with_window(known: FrameShape, window: tuple[float, float]) -> FrameShape:
    """The picture with a window that was computed from its pixels, in caption and view alike."""
    center, width = window
    text = f"W {_number(width)} L {_number(center)}" + (" inverted" if known.view.invert else "")
    return replace(known, view=replace(known.view, window=window), values={**known.values, "Window": text})


def header_values(ds: Dataset, words: FactWords) -> Mapping[str, str]:
    """The variables of the corner texts that a header knows."""
    birth, day = _text(ds, "PatientBirthDate"), _text(ds, "StudyDate")
    return {
        "PatientName": words.person(_text(ds, "PatientName")),
        "PatientID": _text(ds, "PatientID"),
        "PatientBirthDate": words.day(birth),
        "PatientSex": _text(ds, "PatientSex"),
        "PatientAge": words.age(age_at(birth, day, _text(ds, "PatientAge"))),
        "StudyDescription": _text(ds, "StudyDescription"),
        "StudyDate": words.day(day),
        "AccessionNumber": _text(ds, "AccessionNumber"),
        "InstitutionName": _text(ds, "InstitutionName"),
        "Modality": _text(ds, "Modality"),
        "SeriesDescription": _text(ds, "SeriesDescription") or _text(ds, "ProtocolName"),
        "SeriesNumber": _text(ds, "SeriesNumber"),
    }


def _text(ds: Dataset, keyword: str) -> str:
    return " ".join(text_of(ds, keyword).replace("\0", " ").split())


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value - round(value)) < 0.05 or abs(value) >= 100 else f"{value:.2g}"
