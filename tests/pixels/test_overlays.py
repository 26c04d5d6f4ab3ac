"""Overlay planes (PS3.3 C.9.2), as pictures show them and as the viewer gets them to draw itself."""

import base64
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset

from app.imaging import PixelSpec, decode, overlays
from tests.archive.make import ct
from tests.pixels.conftest import CASES, Seen

SIDE = 64


def _unpacked(plane: dict[str, Any]) -> np.ndarray[Any, Any]:
    bits = np.unpackbits(np.frombuffer(base64.b64decode(plane["bits"]), np.uint8), bitorder="little")
    return bits[: plane["rows"] * plane["columns"]].reshape(plane["rows"], plane["columns"])


def _image(rows: int = SIDE, columns: int = SIDE, frames: int = 1, words: Any = None, **more: Any) -> Dataset:
    if words is None:
        words = np.zeros((frames, rows, columns), np.uint16)
    return ct(
        pixels=words.astype("<u2").tobytes(), Rows=rows, Columns=columns, NumberOfFrames=frames, WindowCenter=2048,
        WindowWidth=4096, **more,
    )  # fmt: skip


def _add(ds: Dataset, bits: np.ndarray[Any, Any], group: int = 0x6000, origin: list[int] | None = None) -> Dataset:
    ds.add_new((group, 0x0010), "US", bits.shape[-2])
    ds.add_new((group, 0x0011), "US", bits.shape[-1])
    ds.add_new((group, 0x0040), "CS", "G")
    ds.add_new((group, 0x0050), "SS", origin or [1, 1])
    ds.add_new((group, 0x0100), "US", 1)
    ds.add_new((group, 0x0102), "US", 0)
    data = np.packbits(bits.reshape(-1), bitorder="little").tobytes()
    ds.add_new((group, 0x3000), "OW", data + b"\0" * (len(data) % 2))
    return ds


def _pattern(rows: int, columns: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return (np.random.default_rng(seed).random((rows, columns)) < 0.3).astype(np.uint8)


def test_h01_a_plane_of_a_large_image_is_drawn_everywhere(seen: Seen) -> None:
    one = seen.put(CASES / "H01" / "1000.dcm")
    (plane,) = seen.planes(one)
    bits = _unpacked(plane).astype(bool)
    assert bits.shape == (1000, 1000)
    assert bits.any()
    for way, picture in seen.everywhere(one).items():
        grey = picture if picture.ndim == 2 else picture[..., 0]
        exact = way in ("rendered", "wado-uri", "api")
        assert grey[bits].min() >= (255 if exact else 180), way


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99"])
def test_h01_so_is_one_of_more_than_256_kib(seen: Seen, syntax: str) -> None:
    """1500 x 1500 bits are 281,250 bytes: beyond what is kept of a header beside the file."""
    bits = _pattern(1500, 1500)
    ds = _add(_image(1500, 1500, words=np.zeros((1, 1500, 1500), np.uint16)), bits)
    ds.file_meta.TransferSyntaxUID = syntax
    one = seen.put(ds)
    (plane,) = seen.planes(one)
    assert np.array_equal(_unpacked(plane), bits)
    assert np.array_equal(seen.rendered(one), bits * 255)
    printed = seen.printed(one)
    assert (printed if printed.ndim == 2 else printed[..., 0])[bits == 1].min() > 180


def test_h02_the_manifest_says_that_there_are_planes_to_fetch(seen: Seen) -> None:
    one = seen.put(CASES / "H02" / "x.dcm")
    manifest = seen.get(f"/api/v1/studies/{one.study_instance_uid}/manifest").json()
    assert manifest["series"][0]["instances"][0]["overlays"] is True
    (plane,) = seen.planes(one)
    assert (plane["group"], plane["type"], plane["row"], plane["column"]) == ("6000", "G", 0, 0)
    assert (seen.rendered(one)[_unpacked(plane) == 1] == 255).all()


@pytest.mark.parametrize(("name", "drawn"), [("bit0", False), ("bit4", False), ("bit12", True)])
def test_h32_a_bit_of_the_stored_value_is_no_overlay(seen: Seen, name: str, drawn: bool) -> None:
    one = seen.put(CASES / "H32" / f"{name}.dcm")
    assert len(seen.planes(one)) == drawn
    words = np.frombuffer((CASES / "H32" / f"{name}.dcm").read_bytes()[-8192:], "<u2").reshape(64, 64)
    grey = np.rint(np.clip(((words & 4095) - 2047.5) / 4095 + 0.5, 0, 1) * 255)
    wanted = np.where(words >> 12 & 1, 255, grey) if drawn else grey
    assert np.abs(seen.rendered(one) - wanted).max() <= 1


@pytest.mark.parametrize(("stored", "high"), [(8, 7), (8, 11), (8, 15), (12, 11), (12, 15), (15, 14), (15, 15)])
def test_bits_outside_the_stored_ones_are_overlays_on_either_side(seen: Seen, stored: int, high: int) -> None:
    bits = _pattern(SIDE, SIDE)
    for position in range(16):
        inside = high + 1 - stored <= position <= high
        ds = _image(words=bits[None].astype(np.uint16) << position, BitsStored=stored, HighBit=high)
        ds.add_new(0x60000100, "US", 16)
        ds.add_new(0x60000102, "US", position)
        found = [] if inside else [bits.tolist()]
        if position in (0, 12, 15):
            assert [_unpacked(plane).tolist() for plane in seen.planes(seen.put(ds))] == found
        words = decode(ds.PixelData, PixelSpec.from_dataset(ds)).words
        assert [plane.bits.tolist() for plane in overlays.planes(ds, 1, words)] == found


def test_data_that_is_too_short_goes_on_with_nothing(seen: Seen) -> None:
    bits = np.ones((SIDE, SIDE), np.uint8)
    ds = _add(_image(), bits)
    ds[0x60003000].value = ds[0x60003000].value[:100]
    wanted = np.arange(SIDE * SIDE).reshape(SIDE, SIDE) < 800
    one = seen.put(ds)
    assert np.array_equal(_unpacked(seen.planes(one)[0]) == 1, wanted)
    assert np.array_equal(seen.rendered(one) == 255, wanted)


def test_a_plane_without_number_of_frames_belongs_to_every_frame(seen: Seen) -> None:
    bits = _pattern(SIDE, SIDE)
    one = seen.put(_add(_image(frames=3), bits))
    for frame in (1, 2, 3):
        assert np.array_equal(seen.rendered(one, frame) == 255, bits == 1), frame
        assert np.array_equal(_unpacked(seen.planes(one, frame)[0]), bits)


def test_planes_with_a_number_of_frames_belong_to_those_from_their_origin_on(seen: Seen) -> None:
    bits = np.stack([_pattern(SIDE, SIDE, n) for n in range(2)])
    ds = _add(_image(frames=4), bits)
    ds.add_new(0x60000015, "IS", 2)
    ds.add_new(0x60000051, "US", 2)
    one = seen.put(ds)
    assert [len(seen.planes(one, frame)) for frame in (1, 2, 3, 4)] == [0, 1, 1, 0]
    assert np.array_equal(seen.rendered(one, 3) == 255, bits[1] == 1)


def test_big_endian_words_are_turned(seen: Seen) -> None:
    bits = _pattern(SIDE, SIDE)
    ds = _add(_image(), bits)
    ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.2"
    for value in (ds[0x60003000], ds["PixelData"]):
        value.value = np.frombuffer(value.value, "<u2").astype(">u2").tobytes()
    one = seen.put(ds)
    assert np.array_equal(_unpacked(seen.planes(one)[0]), bits)


def test_planes_that_reach_beyond_the_image_are_cut(seen: Seen) -> None:
    bits = _pattern(SIDE, SIDE)
    one = seen.put(_add(_image(), bits, group=0x6002, origin=[-9, 21]))
    (plane,) = seen.planes(one)
    assert (plane["group"], plane["row"], plane["column"]) == ("6002", -10, 20)
    wanted = np.zeros((SIDE, SIDE), bool)
    wanted[:54, 20:] = bits[10:, :44]
    assert np.array_equal(seen.rendered(one) == 255, wanted)


def test_nothing_is_asked_for_where_nothing_is(seen: Seen) -> None:
    one = seen.put(_image())
    assert seen.planes(one) == []
    manifest = seen.get(f"/api/v1/studies/{one.study_instance_uid}/manifest").json()
    assert "overlays" not in manifest["series"][0]["instances"][0]
    address = f"/api/v1/instances/{one.sop_instance_uid}/frames/2/overlays"
    assert seen.web.admin.get(address).status_code == 404
