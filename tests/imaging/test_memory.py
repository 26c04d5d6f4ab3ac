"""What a picture may cost in memory, and what is done with frames that would cost more."""

import io
import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset

from app.dicom import syntaxes
from app.imaging import (
    CannotDecode,
    FrameTooLarge,
    RenderParams,
    codestream,
    cost,
    decode_frame,
    jpegxl,
    preview,
    render_frame,
)
from app.imaging.browser import decoded
from app.imaging.decode import memory_needed, possible_halvings, required_halvings
from app.imaging.spec import PixelSpec
from app.imaging.transcode import described_frame, transcode_frame


def _waves(rows: int, columns: int, top: int) -> np.ndarray:
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    return (top / 2 + top / 2.2 * np.sin(x / 37) * np.cos(y / 29)).astype(np.int32)


def _header(array: np.ndarray, bits: int, uid: str, signed: bool = False) -> Dataset:
    ds = Dataset()
    ds.Rows, ds.Columns = array.shape[:2]
    ds.SamplesPerPixel = 1 if array.ndim == 2 else 3
    ds.PhotometricInterpretation = "MONOCHROME2" if array.ndim == 2 else "RGB"
    if array.ndim == 3:
        ds.PlanarConfiguration = 0
    ds.BitsAllocated = 8 if bits <= 8 else 16
    ds.BitsStored, ds.HighBit, ds.PixelRepresentation = bits, bits - 1, int(signed)
    ds.file_meta = Dataset()
    ds.file_meta.TransferSyntaxUID = uid
    return ds


J2K_KINDS = {
    "grey 8": (np.uint8, 250, 8, 0),
    "grey 12": (np.uint16, 4000, 12, 0),
    "grey 16": (np.uint16, 65000, 16, 0),
    "signed 12": (np.int16, 4000, 12, 2000),
    "signed 16": (np.int16, 65000, 16, 32500),
}


@pytest.mark.parametrize("kind", J2K_KINDS)
@pytest.mark.parametrize("shape", [(512, 512), (513, 511), (777, 1003)])
def test_jpeg_2000_at_half_a_quarter_and_an_eighth_has_the_values_of_the_whole(
    kind: str, shape: tuple[int, int]
) -> None:
    dtype, top, bits, lowered = J2K_KINDS[kind]
    array = (_waves(*shape, top) - lowered).astype(dtype)
    frame = bytes(imagecodecs.jpeg2k_encode(array, codecformat="J2K", reversible=True, bitspersample=bits))
    spec = PixelSpec.from_dataset(_header(array, bits, syntaxes.J2K_LOSSLESS, lowered > 0))
    for times in (1, 2, 3):
        part = decode_frame(frame, spec, halved=times)
        assert part.shape == tuple(-(-side >> times) for side in shape)
        whole = array[:: 1 << times, :: 1 << times]
        assert np.abs(part.astype(int) - whole).mean() < 0.02 * top


def test_colour_jpeg_2000_can_be_halved_too() -> None:
    array = np.stack([_waves(401, 303, 250), _waves(401, 303, 120), _waves(401, 303, 60)], axis=2).astype(np.uint8)
    frame = bytes(imagecodecs.jpeg2k_encode(array, codecformat="J2K", reversible=True))
    spec = PixelSpec.from_dataset(_header(array, 8, syntaxes.J2K_LOSSLESS))
    part = decode_frame(frame, spec, halved=2)
    assert part.shape == (101, 76, 3)
    assert np.abs(part.astype(int) - array[::4, ::4]).mean() < 5


def test_a_palette_is_never_halved() -> None:
    """No colour lies between two others."""
    array = _waves(512, 512, 250).astype(np.uint8)
    frame = bytes(imagecodecs.jpeg2k_encode(array, codecformat="J2K", reversible=True))
    ds = _header(array, 8, syntaxes.J2K_LOSSLESS)
    assert possible_halvings(frame, PixelSpec.from_dataset(ds), 64) == 3
    ds.PhotometricInterpretation = "PALETTE COLOR"
    assert possible_halvings(frame, PixelSpec.from_dataset(ds), 64) == 0


@pytest.fixture
def scarce(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two megabytes for a picture: what is said of large images is then true of small ones."""
    monkeypatch.setattr(cost, "FREE", 2 << 20)


@pytest.mark.usefixtures("scarce")
def test_what_costs_too_much_is_refused_or_drawn_at_a_part_of_its_resolution() -> None:
    array = _waves(1000, 800, 4000).astype(np.uint16)
    frame = bytes(imagecodecs.jpeg2k_encode(array, codecformat="J2K", reversible=True, bitspersample=12))
    ds = _header(array, 12, syntaxes.J2K_LOSSLESS)
    spec = PixelSpec.from_dataset(ds)
    with pytest.raises(FrameTooLarge, match="1000 pixels requires 6 MB"):
        render_frame(frame, ds)
    with pytest.raises(FrameTooLarge):
        transcode_frame(frame, spec, syntaxes.EXPLICIT_LE)
    assert required_halvings(frame, spec) == 1
    assert render_frame(frame, ds, RenderParams(size=(400, 400), upscale=False)).shape == (400, 320)
    assert preview(frame, ds, 256).shape == (256, 205)
    with pytest.raises(FrameTooLarge):  # half of it would not be enough for this
        render_frame(frame, ds, RenderParams(size=(900, 900), upscale=False))
    coarse = render_frame(frame, ds, RenderParams(coarse=True))
    assert coarse.shape == (500, 400)
    fine = (array[::2, ::2].astype(float) - array.min()) / np.ptp(array) * 255
    assert np.abs(coarse.astype(float) - fine).mean() < 4


@pytest.mark.usefixtures("scarce")
@pytest.mark.parametrize("uid", [syntaxes.JPEG_LS, syntaxes.RLE, syntaxes.EXPLICIT_LE])
def test_others_are_refused_with_what_to_do(uid: str) -> None:
    array = _waves(1000, 800, 4000).astype(np.uint16)
    ds = _header(array, 16, syntaxes.EXPLICIT_LE)
    native = array.tobytes()
    frame = native[:50_000] if uid == syntaxes.EXPLICIT_LE else transcode_small(native, ds, uid)
    ds.file_meta.TransferSyntaxUID = uid
    with pytest.raises(FrameTooLarge) as refused:
        render_frame(frame, ds)
    assert refused.value.hint and refused.value.status == 413


def transcode_small(native: bytes, ds: Dataset, uid: str) -> bytes:
    with pytest.MonkeyPatch.context() as plenty:
        plenty.setattr(cost, "FREE", 160 << 20)
        return transcode_frame(native, PixelSpec.from_dataset(ds), uid)


def test_large_files_may_cost_more() -> None:
    assert cost.memory_limit(1000) == cost.memory_limit(10 << 20) == cost.FREE
    assert cost.memory_limit(60 << 20) == cost.FREE + 16 * (50 << 20)


@pytest.mark.parametrize(("progressive", "several"), [(False, False), (True, True)])
def test_jpegs_that_hold_all_coefficients_are_known(progressive: bool, several: bool) -> None:
    out = io.BytesIO()
    Image.fromarray(_waves(64, 64, 250).astype(np.uint8)).save(out, "jpeg", progressive=progressive)
    assert codestream.read(out.getvalue()).several_scans is several


def test_large_pictures_wait_for_each_other_small_ones_do_not() -> None:
    budget = cost._Room(100)
    inside: list[str] = []
    entered, leave = threading.Event(), threading.Event()

    def large(name: str) -> None:
        with budget.of(1000):  # more than there is: alone
            inside.append(name)
            entered.set()
            leave.wait(30)

    first = threading.Thread(target=large, args=("first",))
    first.start()
    assert entered.wait(30)
    second = threading.Thread(target=large, args=("second",))
    second.start()
    second.join(0.2)
    assert inside == ["first"]
    leave.set()
    first.join(30)
    second.join(30)
    assert inside == ["first", "second"]
    with budget.of(40), budget.of(60):
        pass


PEAKS = """
import pickle, sys
from tests.imaging.test_memory import drawn
small, large = pickle.load(sys.stdin.buffer)
drawn(*small)
open("/proc/self/clear_refs", "w").write("5")
def read(name):
    return int(next(line for line in open("/proc/self/status") if line.startswith(name)).split()[1]) << 10
before = read("VmRSS")
drawn(*large)
print(read("VmHWM") - before)
"""


def made(kind: str, side: int) -> tuple[bytes, Dataset, PixelSpec]:
    grey = _waves(side, side, 250).astype(np.uint8)
    if kind == "rgb":
        array = np.stack([grey, grey[::-1], grey[:, ::-1]], axis=2)
        ds = _header(array, 8, syntaxes.JPEG_BASELINE)
        ds.PhotometricInterpretation = "YBR_FULL_422"
        return bytes(imagecodecs.jpeg8_encode(array, level=80)), ds, PixelSpec.from_dataset(ds)
    wide = _waves(side, side, 60000).astype(np.uint16)
    if kind == "jxl":
        ds = _header(wide, 16, "1.2.840.10008.1.2.4.112")
        return bytes(imagecodecs.jpegxl_encode(wide, effort=3, distance=1.0)), ds, PixelSpec.from_dataset(ds)
    uid = {"j2k": syntaxes.J2K_LOSSLESS, "jls": syntaxes.JPEG_LS, "rle": syntaxes.RLE}[kind]
    ds = _header(wide, 16, syntaxes.EXPLICIT_LE)
    frame = transcode_frame(wide.tobytes(), PixelSpec.from_dataset(ds), uid)
    ds.file_meta.TransferSyntaxUID = uid
    return frame, ds, PixelSpec.from_dataset(ds)


def drawn(frame: bytes, ds: Dataset, way: str) -> None:
    if way == "viewer":
        decoded(frame, PixelSpec.from_dataset(ds))
    elif way == "described":
        described_frame(frame, PixelSpec.from_dataset(ds))
    else:
        render_frame(frame, ds, RenderParams(window=(100, 300), rotate=90))


@pytest.mark.parametrize(
    ("kind", "way"),
    [
        ("j2k", ""),
        ("jls", ""),
        ("rle", ""),
        ("rgb", ""),
        ("jxl", ""),
        ("rgb", "viewer"),
        ("rgb", "described"),
        ("jls", "viewer"),
    ],
)
def test_a_picture_takes_no_more_memory_than_was_reckoned(kind: str, way: str) -> None:
    """In a process of its own: the peak over what it held before."""
    root = Path(__file__).parents[2]
    frame, ds, spec = made(kind, 2000)
    done = subprocess.run(
        [sys.executable, "-c", PEAKS],
        input=pickle.dumps([(*made(kind, 64)[:2], way), (frame, ds, way)]),
        capture_output=True,
        timeout=120,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        check=True,
    )
    reckoned = max(
        memory_needed(frame, spec), cost.encoding_cost(spec, syntaxes.EXPLICIT_LE) if way == "described" else 0
    )
    assert reckoned / 3 < int(done.stdout) < reckoned * 1.1 + (4 << 20)


def test_jpeg_xl_of_several_frames_is_decoded_in_a_process_with_so_much_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A frame that only others refer to may have any size; the size of the picture says nothing of it."""
    noise = np.clip(np.random.default_rng(0).normal(2000, 400, (128, 128)), 0, 4095).astype(np.uint16)
    frame = bytes(imagecodecs.jpegxl_encode(noise, distance=3, effort=7, bitspersample=12))
    assert codestream.read(frame).compound
    spec = PixelSpec.from_dataset(_header(noise, 12, "1.2.840.10008.1.2.4.112"))
    assert np.array_equal(decode_frame(frame, spec), imagecodecs.jpegxl_decode(frame))
    monkeypatch.setattr(jpegxl, "_TABLES", 0)
    with pytest.raises(CannotDecode, match="libjxl failed"):
        jpegxl.decode_apart(frame, noise.shape, 12, 1000)
