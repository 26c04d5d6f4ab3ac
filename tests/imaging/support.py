"""Frames out of files for the tests, by pydicom: a second opinion on where frames lie."""

from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.encaps import generate_frames

from app.imaging import NotAnImage, PixelSpec, align_bits
from app.imaging.spec import has_pixels

KEYWORDS = {"int": "PixelData", "float32": "FloatPixelData", "float64": "DoubleFloatPixelData"}


def frame_span(spec: PixelSpec, number: int) -> tuple[int, int, int]:
    """(offset, length, first bit) of native frame `number` (from 1) without any padding between frames: those of 1-bit
    pixels need not begin on a byte (PS3.5 8.1.1)."""
    start = (number - 1) * spec.frame_bits
    end = start + spec.frame_bits
    if spec.swapped and end % 16:
        end += 8  # the last byte stands in the other half of its word
    return start // 8, (end + 7) // 8 - start // 8, start % 8


def stored_frame(ds: Dataset, spec: PixelSpec, number: int = 1) -> bytes:
    """Frame `number` (from 1) as it stands in the file, 1-bit frames moved to a byte."""
    if not has_pixels(ds):
        raise NotAnImage("The object has no pixel data.")
    data = getattr(ds, KEYWORDS[spec.kind])
    if spec.native:
        offset, length, bit = frame_span(spec, number)
        piece = data[offset : offset + length]
        return align_bits(piece, bit, spec.frame_bits) if bit else piece
    extended = None
    if "ExtendedOffsetTable" in ds:
        extended = (ds.ExtendedOffsetTable, ds.ExtendedOffsetTableLengths)
    frames = generate_frames(data, number_of_frames=spec.frames, extended_offsets=extended)
    for index, frame in enumerate(frames, 1):
        if index == number:
            return frame
    raise AssertionError(f"there is no frame {number}")


def load(path: Path) -> tuple[Dataset, PixelSpec]:
    ds = dcmread(path, force=True)
    return ds, PixelSpec.from_dataset(ds)
