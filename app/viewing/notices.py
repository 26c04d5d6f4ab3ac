"""Notices beside the picture of a frame: it is not all there, or not shown as its header asks. Blocking."""

from typing import Any

from pydicom.dataset import Dataset

from app.archive import Archive
from app.archive.errors import NoFrame
from app.archive.frames import Located, native_layout
from app.archive.models import Instance
from app.dicom import syntaxes
from app.dicom.frames import BadFrames
from app.imaging import colour, partial, rle
from app.kit.errors import NotFound
from app.kit.phrases import Phrase, phrase
from app.viewing.frames import Frames

INCOMPLETE = phrase("The file contains only a part of this frame; the missing part is shown black.")
COARSE = phrase("The file contains only a part of this frame; a part is missing or coarse.")
NO_PROFILE = phrase("The ICC profile is damaged; the colors are shown without it.")


def of_frame(archive: Archive, located: Located, header: Dataset, n: int) -> list[str]:
    """The notices of frame n (from 1), sentences for people. Nothing is decoded; empty for a frame that is not there."""
    found = []
    try:
        with Frames(archive, located) as frames:
            found.append(_missing(frames, n))
    except (NoFrame, NotFound):
        return []
    if colour.has_broken_profile(header):
        found.append(NO_PROFILE)
    return [text for text in found if text]


def _missing(frames: Frames, n: int) -> str:
    if frames.missing_bytes(n):
        return INCOMPLETE
    one = frames.instance
    if one.pixel_bytes != -1:
        return ""
    if one.transfer_syntax_uid == syntaxes.RLE:
        return COARSE if frames.is_truncated(n) or _short_runs(frames, n) else ""
    cut = one.transfer_syntax_uid in syntaxes.CODESTREAMS - syntaxes.JPEG_XL and partial.is_cut(
        frames.frame_ends(n).tail
    )
    return COARSE if cut or frames.is_truncated(n) else ""


def _short_runs(frames: Frames, n: int) -> bool:
    """Whether the last segment of an RLE frame has fewer bytes than pixels: a cut frame ends in it or before it."""
    one = frames.instance
    pixels = (one.rows or 0) * (one.columns or 0)
    if one.bits_allocated == 1:
        pixels = -(-pixels // 8)
    frame = b"".join(frames.read_pieces(n))
    start = rle.last_segment(frame[:64])
    return len(rle.unpack(frame[start:], pixels)) < pixels


def in_index(instance: Instance) -> list[tuple[int, Phrase]]:
    """The notices that follow from the index alone: (frame from 1, sentence). The last frame is the truncated one, and
    carries the notice when Number of Frames is not the number of stored frames."""
    count = instance.number_of_frames
    if count < 1 or not instance.pixel_bytes:
        return []
    frame_counts = [
        (count, warning) for warning in instance.warnings or () if warning.startswith("Number of Frames says")
    ]
    if instance.pixel_bytes == -1:
        cut: Any = any("ends early" in warning for warning in instance.warnings or ())
        return [(count, COARSE), *frame_counts] if cut else frame_counts
    try:
        missing = native_layout(instance).span(count)[3]
    except BadFrames:
        return frame_counts
    return [(count, INCOMPLETE), *frame_counts] if missing else frame_counts
