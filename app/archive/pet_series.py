"""One window for a PET series whose headers name none. Rescale slopes differ from slice to slice (PS3.3 C.8.9.4), and a
window computed for each would show the same activity in different greys."""

import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

from pydicom.dataset import Dataset

from app.archive.errors import NoFrame
from app.archive.models import Instance
from app.imaging import Display, PixelSpec, Window, cost, decode_frame
from app.imaging.decode import memory_needed
from app.imaging.errors import ImagingError
from app.imaging.native import Samples
from app.imaging.window import pooled_window
from app.kit.errors import NotFound

_SLICES = 24  # decoded of a series, evenly spread
_KEPT = 64
_lock = threading.Lock()
_windows: OrderedDict[tuple[str, ...], Window | None] = OrderedDict()

ReadHeader = Callable[[Instance], Dataset]
ReadFrame = Callable[[Instance, int], bytes]


def needs_window(header: Dataset) -> bool:
    """A PET image without window and VOI LUT, in its functional groups too."""
    if str(header.get("Modality") or "").strip() != "PT":
        return False
    try:
        display = Display.from_dataset(header, PixelSpec.from_dataset(header))
    except ImagingError:
        return False
    return not display.windows and not display.voi_luts


def set_window(header: Dataset, window: Window) -> None:
    """Puts the window where every function that draws looks for it."""
    header.WindowCenter, header.WindowWidth, header.VOILUTFunction = window.center, window.width, window.function
    header.WindowCenterWidthExplanation = window.explanation


def series_window(images: Sequence[Instance], read_header: ReadHeader, read_frame: ReadFrame) -> Window | None:
    """The window of these images of one series, in units of activity; None where none of them can be decoded.

    Computed once for the same set of objects in each process."""
    key = tuple(one.sha256 for one in images)
    with _lock:
        if key in _windows:
            return _windows[key]
    found = pooled_window(_slices(images, read_header, read_frame))
    with _lock:
        _windows[key] = found
        while len(_windows) > _KEPT:
            _windows.popitem(last=False)
    return found


def _slices(
    images: Sequence[Instance], read_header: ReadHeader, read_frame: ReadFrame
) -> Iterator[tuple[Samples, Display]]:
    """Decoded frames, evenly over the series; those that cannot be read are left out."""
    ends = list(accumulate(max(one.number_of_frames, 1) for one in images))  # an entry for each image, never each frame
    count = ends[-1] if ends else 0
    step = max(1, -(-count // _SLICES))
    for at in range(step // 2, count, step):
        image = bisect_right(ends, at)
        one, n = images[image], at - (ends[image - 1] if image else 0) + 1
        try:
            header = read_header(one)
            spec = PixelSpec.from_dataset(header, one.transfer_syntax_uid)
            frame = read_frame(one, n)
            with cost.ROOM.of(memory_needed(frame, spec)):
                values = decode_frame(frame, spec)
            yield values, Display.from_dataset(header, spec, n)
        except (ImagingError, NoFrame, NotFound):
            continue
