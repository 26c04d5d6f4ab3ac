"""The overlay planes of one frame as plain data, for a viewer that draws them itself. Blocking."""

import base64
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from app.archive import Archive
from app.archive.errors import NoFrame
from app.archive.frames import Located
from app.imaging import cost, overlays
from app.imaging.decode import decode, memory_needed
from app.imaging.errors import ImagingError
from app.imaging.native import Samples
from app.kit.errors import NotFound
from app.viewing.frames import Frames, spec_of


def frame_planes(archive: Archive, located: Located, header: Dataset, n: int) -> list[dict[str, Any]]:
    """Every plane that belongs to frame n (from 1), in the order of groups: what it is, where it lies, its bits as
    base64. A frame is decoded only for overlays inside its pixels. Raises NotFound for a frame that is not there."""
    if not 1 <= n <= max(located.instance.number_of_frames, 1):
        raise NotFound("The object does not contain this frame.")
    words = _words(archive, located, header, n) if overlays.in_pixels(header) else None
    spec = spec_of(header, located.instance)
    return [_described(plane) for plane in overlays.planes(header, n, words, spec)]


def _words(archive: Archive, located: Located, header: Dataset, n: int) -> Samples | None:
    spec = spec_of(header, located.instance)
    if spec is None:
        return None
    try:
        with Frames(archive, located) as frames:
            stored = frames.read_frame(n)
        with cost.ROOM.of(memory_needed(stored, spec)):
            return decode(stored, spec).words
    except (ImagingError, NoFrame):
        return None  # the viewer shows for the frame itself that it cannot be drawn


def _described(plane: overlays.Plane) -> dict[str, Any]:
    rows, columns = plane.bits.shape
    packed = np.packbits(plane.bits.reshape(-1), bitorder="little").tobytes()
    return {
        "group": f"{plane.group:04X}",
        "type": "R" if plane.roi else "G",
        "label": plane.label,
        "description": plane.description,
        "rows": rows,
        "columns": columns,
        "row": plane.row,
        "column": plane.column,
        "bits": base64.b64encode(packed).decode("ascii"),
    }
