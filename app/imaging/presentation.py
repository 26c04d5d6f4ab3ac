"""Softcopy presentation states: the stored appearance of an image (PS3.3 A.33, PS3.4 Annex N).

A state replaces what the image says of its own display: Modality LUT, VOI LUT, polarity, overlays. What it leaves out
is the identity (PS3.4 N.2.1), not the image's own value."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydicom.dataset import Dataset

from app.imaging import graphics
from app.imaging.display import Display, Lut, Window, luts_of, windows_of
from app.imaging.errors import ImagingError
from app.imaging.lut import stored_range
from app.imaging.marks import Mark
from app.imaging.overlays import GROUPS, Plane, planes
from app.imaging.params import Crop, RenderParams
from app.imaging.spec import PixelSpec

GRAYSCALE, COLOR, PSEUDO_COLOR = (f"1.2.840.10008.5.1.4.1.1.11.{n}" for n in (1, 2, 3))
SUPPORTED = (GRAYSCALE, COLOR, PSEUDO_COLOR)
CLASSES = tuple(f"1.2.840.10008.5.1.4.1.1.11.{n}" for n in range(1, 13))
_OVERLAY_LAYER, _OVERLAY_DATA = 0x1001, 0x3000  # elements of Overlay Activation Layer and Overlay Data


class DoesNotApply(ImagingError):
    """The presentation state is of a kind that is not applied here, or does not refer to the image."""

    code, status = "presentation-state", 422


@dataclass(frozen=True, slots=True)
class Presentation:
    """A state as it applies to one frame of one image.

    ds: the state itself, for its overlays, shutters, palette and ICC profile. area: the displayed area in pixels of the
    stored image, before turning. aspect: height of a pixel by its width, None where the state does not say.
    rotate: degrees clockwise, then flip (C.10.6). marks: graphics and texts over the image."""

    ds: Dataset
    modality_lut: Lut | None
    slope: float
    intercept: float
    window: Window | None
    voi_lut: Lut | None
    presentation_lut: Lut | None
    inverted: bool
    rotate: int
    flip: bool
    area: Crop | None
    aspect: float | None
    marks: tuple[Mark, ...]

    def display(self, image: Display, spec: PixelSpec) -> Display:
        """Grey level parameters of the image's header, replaced by those of the state."""
        made = replace(
            image,
            slope=self.slope,
            intercept=self.intercept,
            modality_lut=self.modality_lut,
            windows=(self.window,) if self.window else (),
            voi_luts=(self.voi_lut,) if self.voi_lut and not self.window else (),
            presentation_lut=self.presentation_lut,
            shape="INVERSE" if self.inverted else "IDENTITY",
            photometric=image.photometric if spec.colour else "MONOCHROME2",
            aspect=self.aspect or image.aspect,
        )
        return made if made.windows or made.voi_luts else replace(made, windows=(self._identity(spec),))

    def _identity(self, spec: PixelSpec) -> Window:
        """The whole range of what comes out of the Modality LUT: a state without VOI LUT shows all of it (N.2.2)."""
        if self.modality_lut is not None:
            low, high = 0.0, float((1 << self.modality_lut.bits) - 1)
        else:
            low, high = sorted(value * self.slope + self.intercept for value in stored_range(spec))
        return Window((low + high) / 2, max(high - low, 1e-6), "", "LINEAR_EXACT")

    def params(self, asked: RenderParams) -> RenderParams:
        """The caller's parameters combined with the state's rotation, flip and displayed area (a crop replaces
        that)."""
        # A flip between two turns changes the direction of the second.
        rotate = self.rotate - asked.rotate if self.flip else self.rotate + asked.rotate
        flip = self.flip != asked.flip_horizontal
        return replace(asked, rotate=rotate % 360, flip_horizontal=flip, crop=asked.crop or self.area)

    def without_geometry(self) -> "Presentation":
        """The same grey levels, overlays and graphics, for a caller who turns and cuts the image."""
        return replace(self, rotate=0, flip=False, area=None)

    def overlays(self, own: list[Plane], spec: PixelSpec) -> list[Plane]:
        """The overlays to draw. own: those of the image, of which only the activated ones are seen (C.11.7). The state's
        own ones are seen too, but for the one that is a shutter."""
        activated = {
            group for group in GROUPS if (group, _OVERLAY_LAYER) in self.ds and (group, _OVERLAY_DATA) not in self.ds
        }
        covering = self.ds.get("ShutterOverlayGroup")
        brought = [plane for plane in planes(self.ds, 1, None, spec) if plane.group != covering]
        return [plane for plane in own if plane.group in activated] + brought


def refers_to(ds: Dataset, sop_instance_uid: str) -> bool:
    """Whether the state is about this image (C.11.11)."""
    return sop_instance_uid in {uid for uid, _frames in references(ds)}


def references(ds: Dataset) -> Iterator[tuple[str, list[int]]]:
    """The images a state is about, in its order: SOP Instance UID and frame numbers (empty: all)."""
    for series in ds.get("ReferencedSeriesSequence") or ():
        for item in series.get("ReferencedImageSequence") or ():
            yield str(item.get("ReferencedSOPInstanceUID") or ""), _frames(item)


def read(ds: Dataset, sop_instance_uid: str, spec: PixelSpec, frame: int = 1) -> Presentation:
    """The state as it applies to frame `frame` (from 1) of an image. Raises DoesNotApply."""
    if str(ds.get("SOPClassUID")) not in SUPPORTED:
        raise DoesNotApply("This type of presentation state is not supported.")
    if not refers_to(ds, sop_instance_uid):
        raise DoesNotApply("The presentation state does not refer to this image.")
    voi = next(_applying(ds.get("SoftcopyVOILUTSequence"), sop_instance_uid, frame), Dataset())
    modality_lut = next(luts_of(ds.get("ModalityLUTSequence"), spec.signed, False), None)
    slope, intercept = _real(ds.get("RescaleSlope"), 1.0) or 1.0, _real(ds.get("RescaleIntercept"), 0.0)
    signed = spec.signed or (modality_lut is None and intercept < 0)
    shape = str(ds.get("PresentationLUTShape") or "IDENTITY").strip().upper()
    rotate = int(_real(ds.get("ImageRotation"), 0.0)) % 360
    flip = str(ds.get("ImageHorizontalFlip") or "N").strip().upper() == "Y"
    shown = next(_applying(ds.get("DisplayedAreaSelectionSequence"), sop_instance_uid, frame), None)
    area = _area(shown) if shown is not None else None
    whole = area or Crop(0.0, 0.0, float(spec.rows), float(spec.columns))
    seen = graphics.DisplayedArea(whole, rotate // 90 % 4, flip)
    annotations = list(_applying(ds.get("GraphicAnnotationSequence"), sop_instance_uid, frame))
    return Presentation(
        ds=ds,
        modality_lut=modality_lut,
        slope=slope,
        intercept=intercept,
        window=next(windows_of(voi, spec), None),
        voi_lut=next(luts_of(voi.get("VOILUTSequence"), signed, False), None),
        presentation_lut=next(luts_of(ds.get("PresentationLUTSequence"), False, False), None),
        inverted=shape == "INVERSE",
        rotate=rotate - rotate % 90,
        flip=flip,
        area=area,
        aspect=_aspect(shown) if shown is not None else None,
        marks=tuple(graphics.read_graphics(ds, annotations, seen)),
    )


def _applying(items: Any, sop_instance_uid: str, frame: int) -> Iterator[Dataset]:
    """The items of a sequence that are about this frame: those without a list of images are about all (C.11.8)."""
    for item in items or ():
        listed = item.get("ReferencedImageSequence") or ()
        frames = [_frames(one) for one in listed if str(one.get("ReferencedSOPInstanceUID")) == sop_instance_uid]
        if not listed or any(not some or frame in some for some in frames):
            yield item


def _frames(item: Dataset) -> list[int]:
    value = item.get("ReferencedFrameNumber")
    values = value if isinstance(value, Iterable) and not isinstance(value, str) else [value]
    return [int(_real(one, 0.0)) for one in values if one not in (None, "")]


def _real(value: Any, default: float) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return default


def _area(item: Dataset) -> Crop | None:
    """From the corners as displayed, counted from 1, both included, in the image before it is turned (C.10.4)."""
    corners = (item.get("DisplayedAreaTopLeftHandCorner"), item.get("DisplayedAreaBottomRightHandCorner"))
    try:
        (x1, y1), (x2, y2) = ((float(v) for v in corner) for corner in corners)
    except (TypeError, ValueError):
        return None
    left, right, top, bottom = min(x1, x2) - 1, max(x1, x2), min(y1, y2) - 1, max(y1, y2)
    return Crop(top, left, bottom - top, right - left)


def _aspect(item: Dataset) -> float | None:
    """Presentation Pixel Spacing, else Presentation Pixel Aspect Ratio: row by column."""
    for keyword in ("PresentationPixelSpacing", "PresentationPixelAspectRatio"):
        values: Sequence[Any] = item.get(keyword) or ()
        try:
            row, column = (float(v) for v in values)
        except (TypeError, ValueError):
            continue
        if row > 0 and column > 0 and 0.01 <= row / column <= 100:
            return row / column
    return None
