"""Frames that are not as long as the header says: by their length, as far as they go, and all of them."""

import struct
from io import BytesIO
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import generate_uid

from app.archive import IngestOutcome
from app.imaging import rle
from tests.archive.make import ct, part10
from tests.pixels.conftest import CASES, Seen, address

EXACT = ("rendered", "wado-uri", "api")


def _warning(seen: Seen, one: IngestOutcome, frame: int = 1) -> str:
    found: str = seen.get(f"/dicom-web{address(one)}/frames/{frame}/rendered", "image/png").headers.get("warning", "")
    return found


def _manifest(seen: Seen, one: IngestOutcome) -> dict[str, Any]:
    made = seen.get(f"/api/v1/studies/{one.study_instance_uid}/manifest").json()
    every = [entry for series in made["series"] for entry in series["instances"]]
    return next(entry for entry in every if entry["sop_instance_uid"] == one.sop_instance_uid)


def _native(seen: Seen, one: IngestOutcome, frame: int = 1) -> bytes:
    data: bytes = seen.get(f"/dicom-web{address(one)}/frames/{frame}", "application/octet-stream").content
    return data


def test_h03_samples_of_every_pixel_under_a_422_label(seen: Seen) -> None:
    one = seen.put(CASES / "H03" / "1.dcm")
    for way, picture in seen.everywhere(one).items():
        off = 2 if way in EXACT else 24
        assert np.abs(picture[:, :20].astype(int) - (200, 30, 30)).max() <= off, way
        assert np.abs(picture[:, -20:].astype(int) - (30, 30, 200)).max() <= off, way
    assert any("sampling of the pixel data" in warning for warning in one.warnings)


def test_h03_rgb_under_that_label_is_shown_by_the_label_without_stripes(seen: Seen) -> None:
    picture = seen.rendered(seen.put(CASES / "H03" / "2.dcm"))
    for half in (picture[:, :32], picture[:, 32:]):
        assert (half == half[0, 0]).all(), "no stripes"
    assert not np.array_equal(picture[0, 0], picture[0, -1])


def _ybr(frames: int, rows: int, columns: int, per_pixel: int, label: str, word: int = 8, planar: int = 0) -> Dataset:
    """Left half (200, 30, 30), right half (30, 30, 200) as YBR, 4:4:4 or 4:2:2."""
    scale = 1 if word == 8 else 257
    left, right = (np.rint(np.array(one) * scale) for one in ((81.1, 99.2, 212.8), (49.4, 213.0, 114.2)))
    plane = np.where((np.arange(columns) < columns // 2)[None, :, None], left, right) * np.ones((rows, 1, 1))
    if per_pixel == 3:
        stored = plane.transpose(2, 0, 1) if planar else plane
    else:
        wide = np.pad(plane, ((0, 0), (0, columns % 2), (0, 0)), mode="edge").reshape(rows, -1, 2, 3)
        stored = np.concatenate([wide[:, :, :, 0], wide[:, :, 0, 1:]], axis=2)
    data = stored.astype(f"<u{word // 8}").tobytes() * frames
    ds = ct(pixels=data + b"\0" * (len(data) % 2), Rows=rows, Columns=columns, NumberOfFrames=frames)
    ds.SamplesPerPixel, ds.PlanarConfiguration, ds.PhotometricInterpretation = 3, planar, label
    ds.BitsAllocated = ds.BitsStored = word
    ds.HighBit = word - 1
    ds["PixelData"].VR = "OB" if word == 8 else "OW"
    return ds


@pytest.mark.parametrize(
    ("frames", "columns", "per_pixel", "label", "word", "planar"),
    [
        (3, 16, 3, "YBR_FULL_422", 8, 0),
        (1, 17, 3, "YBR_FULL_422", 8, 0),
        (2, 17, 3, "YBR_FULL_422", 8, 0),
        (1, 16, 3, "YBR_FULL_422", 8, 1),
        (2, 16, 3, "YBR_FULL_422", 16, 0),
        (1, 16, 3, "YBR_FULL", 8, 1),
        (3, 16, 2, "YBR_FULL_422", 8, 0),
        (1, 17, 2, "YBR_FULL_422", 8, 0),
        (1, 16, 2, "YBR_FULL", 8, 0),
        (3, 16, 2, "YBR_FULL", 8, 0),
    ],
)
def test_the_length_of_the_frame_says_how_it_is_sampled(
    seen: Seen, frames: int, columns: int, per_pixel: int, label: str, word: int, planar: int
) -> None:
    one = seen.put(_ybr(frames, 9, columns, per_pixel, label, word, planar))
    assert _manifest(seen, one)["number_of_frames"] == frames
    for frame in range(1, frames + 1):
        picture = seen.rendered(one, frame).astype(int)
        assert np.abs(picture[:, :6] - (200, 30, 30)).max() <= 2
        assert np.abs(picture[:, -6:] - (30, 30, 200)).max() <= 2


def test_padding_behind_the_frame_is_no_pixel(seen: Seen) -> None:
    ds = _ybr(1, 8, 16, 3, "YBR_FULL_422")
    ds.PixelData += bytes(50)
    one = seen.put(ds)
    assert np.abs(seen.rendered(one)[:, :6].astype(int) - (200, 30, 30)).max() <= 2


def test_h16_a_single_frame_is_drawn_as_far_as_it_goes(seen: Seen) -> None:
    one = seen.put(CASES / "H16" / "single.dcm")
    there = np.frombuffer((CASES / "H16" / "single.dcm").read_bytes()[-7592:], "<u2")
    words = np.concatenate([there, np.zeros(4096 - len(there), "<u2")]).reshape(64, 64)
    wanted = np.rint(np.clip((words - 2047.5) / 4095 + 0.5, 0, 1) * 255)
    for way, picture in seen.everywhere(one).items():
        grey = picture if picture.ndim == 2 else picture[..., 0]
        assert np.abs(grey - wanted).max() <= (1 if way in EXACT else 40), way
    assert "only a part of this frame" in _warning(seen, one)
    assert _manifest(seen, one)["notices"][0]["frame"] == 1
    assert _native(seen, one) == words.astype("<u2").tobytes(), "a frame of full length, zeros at its end"
    made = seen.printer.make({"items": [{"sop_instance_uid": one.sop_instance_uid}], "layout": "1x1"}, "admin")
    assert "only a part of this frame" in seen.text(made)


def test_h16_of_several_frames_all_that_are_there(seen: Seen) -> None:
    one = seen.put(CASES / "H16" / "multi.dcm")
    assert _manifest(seen, one)["number_of_frames"] == 4
    assert [frame for frame in (1, 2, 3, 4) if _warning(seen, one, frame)] == [4]
    stored = (CASES / "H16" / "multi.dcm").read_bytes()[-14480:]
    assert [_native(seen, one, frame) for frame in (1, 2, 3)] == [stored[n : n + 4096] for n in (0, 4096, 8192)]
    assert _native(seen, one, 4) == stored[12288:] + bytes(20480 - 14480 - 4096)
    address_5 = f"/dicom-web{address(one)}/frames/5/rendered"
    for path in (address_5, f"/api/v1/instances/{one.sop_instance_uid}/frames/5/rendered"):
        refused = seen.web.admin.get(path, headers={"Accept": "image/png"})
        assert refused.status_code == 404
        assert refused.json()["detail"] == "Frame 5 does not exist: the pixel data contains 4 frames."
    notices = _manifest(seen, one)["notices"]
    assert [notice["frame"] for notice in notices] == [4, 4]
    assert notices[1]["text"] == "Number of Frames says 5, the pixel data holds 4."


@pytest.mark.parametrize("name", ["truncated_pixeldata_mr.dcm"])
def test_the_real_file_that_is_cut_off(seen: Seen, name: str, shared_data: Any) -> None:
    one = seen.put(shared_data / "odd" / name)
    picture = seen.rendered(one)
    assert picture.std() > 0
    assert "only a part of this frame" in _warning(seen, one)


@pytest.mark.parametrize("stated", ["1", "2", "3", "5", "0", "", "3.0", "many", "2000000000", None])
def test_all_native_frames_can_be_reached_whatever_number_is_stated(seen: Seen, stated: str | None) -> None:
    ds = ct(pixels=np.repeat(np.arange(1, 4, dtype="<u2") * 1000, 16).tobytes(), WindowCenter=2048, WindowWidth=4096)
    data = part10(_under_new_uids(ds))
    if stated is not None:
        value = stated.encode().ljust(len(stated) + len(stated) % 2)
        element = struct.pack("<HH2sH", 0x28, 0x08, b"IS", len(value)) + value
        at = data.index(struct.pack("<HH2s", 0x28, 0x10, b"US"))
        data = data[:at] + element + data[at:]
    one = seen.put(data)
    assert _manifest(seen, one)["number_of_frames"] == 3
    for frame in (1, 2, 3):
        assert np.frombuffer(_native(seen, one, frame), "<u2").tolist() == [frame * 1000] * 16
        assert abs(int(seen.rendered(one, frame)[0, 0]) - frame * 1000 / 4095 * 255) <= 1
    assert any("Number of Frames" in warning for warning in one.warnings) == (stated not in ("3", "3.0"))


def _under_new_uids(ds: Dataset) -> Dataset:
    ds.SOPInstanceUID, ds.StudyInstanceUID, ds.SeriesInstanceUID = (generate_uid() for _ in range(3))
    return ds


def _picture() -> np.ndarray[Any, Any]:
    rows, columns = np.mgrid[:64, :64]
    return (rows * 2 + columns + np.random.default_rng(0).integers(0, 9, (64, 64))).astype(np.uint8)


def _j2k(image: np.ndarray[Any, Any], tiled: bool = False) -> bytes:
    out, options = BytesIO(), {"tile_size": (32, 32)} if tiled else {}
    Image.fromarray(image).save(out, "JPEG2000", no_jp2=True, **options)
    return out.getvalue()


_CODED = {
    "1.2.840.10008.1.2.4.50": lambda image: imagecodecs.jpeg8_encode(image, level=95),
    "1.2.840.10008.1.2.4.70": lambda image: imagecodecs.jpeg8_encode(image, lossless=True),
    "1.2.840.10008.1.2.4.80": imagecodecs.jpegls_encode,
    "1.2.840.10008.1.2.4.90": _j2k,
    "1.2.840.10008.1.2.4.91": lambda image: _j2k(image, tiled=True),
}


@pytest.mark.parametrize("syntax", _CODED)
@pytest.mark.parametrize("how", ["the file ends", "the stream ends"])
def test_compressed_frames_are_drawn_as_far_as_they_go(seen: Seen, syntax: str, how: str) -> None:
    image = _picture()
    stream = bytes(_CODED[syntax](image))
    kept = stream if how == "the file ends" else stream[: len(stream) * 3 // 4]
    ds = ct(syntax=syntax, pixels=encapsulate([stream, kept]), Rows=64, Columns=64, NumberOfFrames=2)
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.WindowCenter, ds.WindowWidth = 8, 8, 7, 128, 256
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    data = part10(_under_new_uids(ds))
    one = seen.put(data[: len(data) - len(stream) // 4] if how == "the file ends" else data)
    assert _warning(seen, one, 1) == ""
    assert "only a part of this frame" in _warning(seen, one, 2)
    whole, part = seen.rendered(one, 1).astype(int), seen.rendered(one, 2).astype(int)
    assert np.abs(whole - image).max() <= 12
    assert np.abs(part[:16, :32] - image[:16, :32]).mean() < 12, "its beginning is there"
    if how == "the file ends":
        assert _manifest(seen, one)["notices"][0]["frame"] == 2


@pytest.mark.parametrize("how", ["the file ends", "the frame ends"])
def test_runs_that_end_early_are_drawn_too(seen: Seen, how: str) -> None:
    image = _picture()
    runs = rle.encode(image)
    runs = runs if how == "the file ends" else runs[:-2000]
    ds = ct(syntax="1.2.840.10008.1.2.5", pixels=encapsulate([runs]), Rows=64, Columns=64)
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.WindowCenter, ds.WindowWidth = 8, 8, 7, 128, 256
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    data = part10(_under_new_uids(ds))
    one = seen.put(data[:-2000] if how == "the file ends" else data)
    picture = seen.rendered(one)
    assert np.abs(picture[:20].astype(int) - image[:20]).max() <= 1
    assert "only a part of this frame" in _warning(seen, one)


def test_offsets_and_numbers_that_are_wrong_cost_no_compressed_frame(seen: Seen) -> None:
    images = [np.full((64, 64), 60 * n, np.uint8) for n in (1, 2, 3)]
    streams = [bytes(imagecodecs.jpegls_encode(image)) for image in images]
    for stated in (None, 1, 2, 3, 9):
        for table in (True, False):
            data = encapsulate(streams, has_bot=table)
            if table and stated == 9:
                data = data[:8] + struct.pack("<3I", 0, 7, 9) + data[20:]  # offsets that are none
            ds = ct(syntax="1.2.840.10008.1.2.4.80", pixels=data, Rows=64, Columns=64)
            ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.WindowCenter, ds.WindowWidth = 8, 8, 7, 128, 256
            ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
            if stated is not None:
                ds.NumberOfFrames = stated
            one = seen.put(ds)
            assert [int(seen.rendered(one, frame)[5, 5]) for frame in (1, 2, 3)] == [60, 120, 180], (stated, table)


def test_the_truncated_file_says_so_to_those_who_read_it_with_pydicom() -> None:
    """The case is what it claims: its pixel data says 20480 bytes and has 14480."""
    ds = dcmread(CASES / "H16" / "multi.dcm")
    assert ds.NumberOfFrames == 5
    assert len(ds.PixelData) == 14480
