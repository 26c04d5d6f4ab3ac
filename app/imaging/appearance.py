"""Display attributes of one frame from its header: viewer, thumbnail, rendered picture and paper read it from here.

Grey levels (PS3.4 N.2), pixel sizes and what they are sizes of (PS3.3 10.7), ultrasound regions (C.8.5.5), letters at
the edges and laterality (C.7.6.1.1.1)."""

from dataclasses import dataclass
from typing import Self

from app.imaging import cost
from app.imaging.decode import decode_frame, memory_needed
from app.imaging.display import Display, Window
from app.imaging.geometry import Letters, Spacing, laterality_of, letters_of, pixel_spacing_mm
from app.imaging.header import ImageHeader
from app.imaging.regions import Region, regions
from app.imaging.spec import PixelSpec
from app.imaging.window import computed_window


@dataclass(frozen=True, slots=True)
class Appearance:
    """display: from stored values to grey levels; spacing: None where lengths are pixels; letters: of the stored frame,
    before it is turned; laterality: R, L, B, U or empty; view: View Position, such as MLO."""

    display: Display
    spacing: Spacing | None
    regions: tuple[Region, ...]
    letters: Letters | None
    laterality: str
    view: str

    @classmethod
    def of(cls, ds: ImageHeader, spec: PixelSpec, frame: int = 1, big_endian: bool = False) -> Self:
        """Frame `frame` (from 1) of the object with this header. Nonsense in it is left out, never fatal."""
        return cls(
            display=Display.from_dataset(ds, spec, frame, big_endian),
            spacing=pixel_spacing_mm(ds, frame),
            regions=regions(ds),
            letters=letters_of(ds, frame),
            laterality=laterality_of(ds, frame),
            view=str(ds.get("ViewPosition") or "").strip(),
        )


def opening_window(frame: bytes, spec: PixelSpec, display: Display) -> Window | None:
    """The window a frame opens with; None for a VOI LUT of the header and for colours.

    The frame (as stored) is decoded only where the header names no window. Raises ImagingError when it cannot be."""
    if spec.colour or spec.photometric == "PALETTE COLOR":
        return None
    if display.windows:
        return display.windows[0]
    if display.voi_luts:
        return None
    with cost.ROOM.of(memory_needed(frame, spec)):
        return computed_window(decode_frame(frame, spec), spec, display)
