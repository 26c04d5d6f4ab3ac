"""The frames of a series for the viewer, each in a form that the browser shows with the right values."""

import struct
from collections.abc import Callable, Iterator, Sequence

from app.archive import Archive
from app.archive.errors import NoFrame
from app.archive.frames import Located
from app.archive.models import Instance
from app.dicom import uids
from app.imaging import PixelSpec, browser
from app.imaging.browser import Form
from app.imaging.errors import ImagingError
from app.kit.errors import NotFound
from app.viewing.frames import Frames
from app.viewing.manifest import kind_of

_HEAD = struct.Struct("<IIII")
_GREY_DEPTHS = (8, 16)
SpecOf = Callable[[Instance], PixelSpec | None]


def viewer_frame(frames: Frames, n: int, spec_of: SpecOf) -> tuple[Form, int, Iterator[bytes]]:
    """Frame n (from 1) as the viewer gets it: its form, its length in bytes, and the bytes.

    As stored where the browser is proven to read it rightly (`imaging.browser`), else decoded here.
    spec_of: called only where the index is not sufficient. Raises NoFrame, ImagingError."""
    one = frames.instance
    if _plain_grey(one):
        return _as_stored(frames, n)
    spec = spec_of(one)
    if spec is None:
        raise NoFrame("The pixel data of this object cannot be read.")
    mislabelled = (
        spec.native and spec.colour and frames.size(n) not in (None, spec.frame_bytes)
    )  # 4:2:2 under another name
    if not mislabelled and browser.decodes(spec, None if spec.native else frames.frame_ends(n)):
        return _as_stored(frames, n)
    form, data = browser.decoded(frames.read_frame(n), spec)
    return form, len(data), iter((data,))


def _plain_grey(one: Instance) -> bool:
    """Native little endian words: most of all images, for which no header has to be read."""
    return (
        one.transfer_syntax_uid in (uids.IMPLICIT_LE, uids.EXPLICIT_LE)
        and one.samples == 1
        and one.bits_allocated in _GREY_DEPTHS
    )


def _as_stored(frames: Frames, n: int) -> tuple[Form, int, Iterator[bytes]]:
    size = frames.size(n)
    if size is not None:
        return Form.STORED, size, frames.read_pieces(n)
    data = frames.read_frame(n)
    return Form.STORED, len(data), iter((data,))


def series_stream(
    archive: Archive, located: Sequence[Located], spec_of: SpecOf, start: int = 0, only: str = ""
) -> Iterator[bytes]:
    """Every frame of a series in display order as a stream: per frame 16 bytes, little endian (uint32 place of the
    instance in the list, uint32 frame number from 1, uint32 length, uint32 `Form`), then its bytes. Frames that cannot be
    read are left out. start: the frame (from 0, over all images) to begin with; those before it come at the end.
    only: the frames of that SOP instance alone.

    Raises Damaged or NotFound where the files of all that could be sent changed or are gone."""
    fault: NotFound | None = None
    sent = False
    for place, numbers in _runs(located, start, only):
        try:
            opened = Frames(archive, located[place])
        except NotFound as missing:
            fault = missing
            continue
        with opened as frames:
            for n in range(numbers.start, min(numbers.stop, frames.stored_frames + 1)):
                try:
                    form, size, pieces = viewer_frame(frames, n, spec_of)
                except (NoFrame, ImagingError):
                    continue
                sent = True
                yield _HEAD.pack(place, n, size, form)
                yield from pieces
    if fault is not None and not sent:
        raise fault


def _runs(located: Sequence[Located], start: int, only: str) -> list[tuple[int, range]]:
    """(place of an image, its frame numbers) from frame `start` on, then those before it. An entry for each image, never
    for each frame: a header of a few bytes may state millions of frames."""
    images = [
        (place, max(one.instance.number_of_frames, 1))
        for place, one in enumerate(located)
        if kind_of(one.instance) == "image" and only in ("", one.instance.sop_instance_uid)
    ]
    skipped = start % max(1, sum(count for _, count in images))
    later: list[tuple[int, range]] = []
    earlier: list[tuple[int, range]] = []
    for place, count in images:
        split = min(skipped, count)
        skipped -= split
        earlier.append((place, range(1, split + 1)))
        later.append((place, range(split + 1, count + 1)))
    return [(place, numbers) for place, numbers in later + earlier if numbers]
