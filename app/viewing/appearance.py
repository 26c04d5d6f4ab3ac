"""How frames look, as plain data for the viewer: the same `Appearance` that thumbnails, rendered pictures and paper use."""

import base64
from typing import Any

import numpy as np

from app.imaging import Appearance, PixelSpec, Window
from app.imaging.display import Lut
from app.imaging.errors import ImagingError
from app.imaging.geometry import Spacing
from app.imaging.regions import Region
from app.viewing.json_header import JsonHeader


def frame_appearances(
    header: JsonHeader, transfer_syntax_uid: str, frames: int
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """(what all frames have in common, for each frame what differs from it); the list is empty when nothing differs.

    It ends with the last frame that has a functional group of its own, however many frames there are: the parts behind
    it look like the first part. None marks a name that a frame does not have. Empty where the header describes no image
    that could be drawn."""
    try:
        spec = PixelSpec.from_dataset(header, transfer_syntax_uid)
    except ImagingError:
        return {}, []
    groups = len(header.get("PerFrameFunctionalGroupsSequence") or ())
    count = min(frames, groups + 1) if groups else 1  # frames without a group of their own all look alike
    every = [_manifest_entry(header, spec, n) for n in range(1, count + 1)]
    if groups and groups < frames:
        shared = every.pop()
    else:
        shared = {name: value for name, value in every[0].items() if all(one.get(name) == value for one in every)}
    own = [{name: one.get(name) for name in one.keys() | shared if one.get(name) != shared.get(name)} for one in every]
    return shared, own if any(own) else []


def _manifest_entry(header: JsonHeader, spec: PixelSpec, frame: int) -> dict[str, Any]:
    appearance = Appearance.of(header, spec, frame)
    grey = not spec.colour and spec.photometric != "PALETTE COLOR"
    partial = grey and (not appearance.display.windows or bool(header.get("ModalityLUTSequence")))
    floats = {"floats": True} if spec.kind != "int" else {}
    return {**as_data(appearance, partial), **floats}


def as_data(appearance: Appearance, partial: bool = False) -> dict[str, Any]:
    """Names of the manifest; what is not there or usual is left out.

    partial: the tables of the frame, or a window computed from its pixels, are in its description."""
    display = appearance.display
    optional = {
        "padding": list(display.padding) if display.padding else None,
        "spacing": _spacing(appearance.spacing) if appearance.spacing else None,
        "regions": [_region(one) for one in appearance.regions],
        "letters": list(appearance.letters) if appearance.letters else None,
        "laterality": appearance.laterality,
        "view": appearance.view,
        "partial": partial,
    }
    return {
        "slope": display.slope,
        "intercept": display.intercept,
        "inverted": display.inverted,
        "aspect": display.aspect,
        "windows": [window_data(one) for one in display.windows],
        **{name: value for name, value in optional.items() if value},
    }


def description(appearance: Appearance, window: Window | None) -> dict[str, Any]:
    """One frame with everything it needs: window is the one it opens with, None where its first VOI LUT is used."""
    display = appearance.display
    lut = display.voi_luts[0] if window is None and display.voi_luts else None
    tables = {"modality_lut": display.modality_lut, "voi_lut": lut}
    return {
        **as_data(appearance),
        "window": window_data(window) if window else None,
        **{name: _table(one) for name, one in tables.items() if one is not None},
    }


def window_data(window: Window) -> dict[str, Any]:
    """{"center", "width", "function", "explanation"}; an empty explanation is left out."""
    named = {"explanation": window.explanation} if window.explanation else {}
    return {"center": window.center, "width": window.width, "function": window.function, **named}


def _table(lut: Lut) -> dict[str, Any]:
    """entries: base64 of uint16 little endian; first: the input value of the first; bits: of the full output range."""
    packed = base64.b64encode(np.ascontiguousarray(lut.data, "<u2").tobytes()).decode()
    return {"first": lut.first, "bits": lut.bits, "entries": packed, "explanation": lut.explanation}


def _spacing(spacing: Spacing) -> dict[str, Any]:
    return {"row": spacing.row, "column": spacing.column, "plane": spacing.plane, "source": spacing.source}


def _region(region: Region) -> dict[str, Any]:
    """bounds: first and last column and row, from 0; delta and unit: across, down."""
    return {
        "bounds": [region.x0, region.y0, region.x1, region.y1],
        "delta": [region.delta_x, region.delta_y],
        "unit": [region.unit_x, region.unit_y],
    }
