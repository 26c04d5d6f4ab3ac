"""Frames and headers made to harm: always an answer, never a crash, a hang or a flood of memory."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset

from app.dicom import syntaxes
from app.imaging import CannotDecode, ImagingError, PixelSpec, codestream, decode, render_frame, rle
from tests.imaging.support import frame_span

VICTIMS = [
    "codecs/jpeg-baseline_ybr_full_422.dcm",
    "codecs/jpeg-extended_12bit_nm.dcm",
    "codecs/jpeg-lossless-sv1_rgb.dcm",
    "codecs/jpeg-ls_lossless_mr.dcm",
    "codecs/jpeg-ls_near_rgb_line.dcm",
    "codecs/j2k_lossy_rgb.dcm",
    "codecs/j2k_lossless_ybr_rct_text.dcm",
    "codecs/htj2k_lossless_rgb.dcm",
    "codecs/htj2k_rgb.dcm",
    "codecs/rle_mr_16bit.dcm",
    "codecs/rle_rgb_32bit.dcm",
    "codecs/deflated_image_frame_seg.dcm",
]


@pytest.mark.parametrize("name", VICTIMS)
def test_damaged_frames_end_in_a_picture_or_a_sentence(shared_data: Path, name: str) -> None:
    """In a process of its own: what is looked for here is the crash of a decoder."""
    rounds, seconds = ("400", "60") if os.environ.get("FILMROOM_FUZZ") else ("60", "6")
    root = Path(__file__).parents[2]
    (shared_data / name).stat()  # skipped where only the large set has it
    done = subprocess.run(
        [sys.executable, "-m", "tests.imaging.fuzz", str(shared_data / name), rounds, seconds],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert done.returncode == 0, done.stderr[-2000:]


@settings(max_examples=150, deadline=None)
@given(
    data=st.binary(min_size=1, max_size=400),
    uid=st.sampled_from(sorted(syntaxes.JPEG | syntaxes.J2K_ALL | {syntaxes.RLE})),
)
def test_noise_is_refused(data: bytes, uid: str) -> None:
    spec = PixelSpec(16, 16, bits_allocated=8, bits_stored=8, high_bit=7, transfer_syntax_uid=uid)
    with pytest.raises(ImagingError):
        decode(data, spec)


@pytest.mark.parametrize("boxes", [False, True])
def test_changed_jpeg_xl_headers_end_in_a_size_or_a_sentence(boxes: bool) -> None:
    y, x = np.mgrid[:48, :40]
    whole = bytes(imagecodecs.jpegxl_encode((x + y).astype(np.uint8), lossless=True, usecontainer=boxes))
    read = 0
    for at in range(2, 70 if boxes else 24):
        for value in range(0, 256, 5):
            changed = bytearray(whole)
            changed[at] = value
            with contextlib.suppress(CannotDecode):
                read += codestream.read(bytes(changed)).rows > 0
    for length in range(2, 40):
        with contextlib.suppress(CannotDecode):
            codestream.read(whole[:length])
    assert read > 100


@settings(max_examples=200, deadline=None)
@given(
    rows=st.one_of(st.none(), st.integers(0, 65535)),
    columns=st.one_of(st.none(), st.integers(0, 65535)),
    samples=st.integers(0, 65535),
    allocated=st.integers(0, 65535),
    stored=st.integers(0, 65535),
    high=st.integers(0, 65535),
    photometric=st.sampled_from(["", "RGB", "PALETTE COLOR", "YBR_FULL_422", "ARGB", "MONOCHROME1", "nonsense"]),
    frames=st.sampled_from([None, "", "0", "-1", "1", "2147483647"]),
    data=st.binary(max_size=300),
)
def test_headers_of_nonsense_never_crash(
    rows: int | None,
    columns: int | None,
    samples: int,
    allocated: int,
    stored: int,
    high: int,
    photometric: str,
    frames: str | None,
    data: bytes,
) -> None:
    ds = Dataset()
    ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.BitsAllocated = rows, columns, samples, allocated
    ds.BitsStored, ds.HighBit, ds.PhotometricInterpretation = stored, high, photometric
    ds.add_new("NumberOfFrames", "IS", frames)
    try:
        picture = render_frame(data, ds)
    except ImagingError as error:
        assert error.detail.endswith((".", "known"))
        return
    assert picture.dtype == np.uint8


def test_a_run_cannot_swell_past_its_frame() -> None:
    bomb = bytes([129, 0]) * 100_000  # each two bytes give 128
    assert len(rle.unpack(bomb, 1000)) == 1000


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from([1, 3]),
    st.sampled_from([1, 2, 4]),
    st.integers(0, 2**32 - 1),
)
def test_rle_gives_back_what_it_was_given(rows: int, columns: int, samples: int, width: int, seed: int) -> None:
    shape = (rows, columns) if samples == 1 else (rows, columns, samples)
    words = np.random.default_rng(seed).integers(0, 4, shape).astype(f"u{width}")
    spec = PixelSpec(
        rows,
        columns,
        samples=samples,
        photometric="RGB" if samples == 3 else "MONOCHROME2",
        bits_allocated=8 * width,
        bits_stored=8 * width,
        high_bit=8 * width - 1,
        transfer_syntax_uid=syntaxes.RLE,
    )
    warnings: list[str] = []
    assert np.array_equal(rle.decode(rle.encode(words), spec, warnings), words)
    assert warnings == []


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 33), st.integers(1, 33), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_packed_bits_are_found_wherever_a_frame_begins(rows: int, columns: int, frames: int, seed: int) -> None:
    bits = np.random.default_rng(seed).integers(0, 2, (frames, rows, columns)).astype(np.uint8)
    packed = np.packbits(bits.reshape(-1), bitorder="little").tobytes()
    spec = PixelSpec(rows, columns, bits_allocated=1, bits_stored=1, high_bit=0, frames=frames)
    for number in range(1, frames + 1):
        offset, length, bit = frame_span(spec, number)
        values = decode(packed[offset : offset + length], spec, bit).values
        assert np.array_equal(values, bits[number - 1])


def test_a_deep_header_does_not_stop_the_picture() -> None:
    """Functional groups that are missing, empty or too few."""
    ds = Dataset()
    ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation = 2, 2, 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    ds.PerFrameFunctionalGroupsSequence, ds.SharedFunctionalGroupsSequence = [Dataset()], []
    assert render_frame(b"\x00\x40\x80\xff", ds, number=7).shape == (2, 2)
