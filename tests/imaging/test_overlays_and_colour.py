"""Overlays of both kinds, colour spaces, palettes, ICC."""

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ImageCms
from pydicom import Dataset, dcmread
from pydicom.pixels.processing import apply_color_lut, convert_color_space

from app.imaging import CannotDecode, RenderParams, colour, decode, decode_frame, overlays, render, render_frame
from app.imaging.palette import expand_segments
from tests.imaging.support import load, stored_frame
from tests.support.samples import some


@pytest.mark.parametrize(
    "name", ["us_palette_8bit", "us_palette_16bit_segmented", "us_palette_16bit_segmented_bigendian"]
)
def test_a_palette_gives_the_colours_pydicom_gives(shared_data: Path, name: str) -> None:
    ds, spec = load(shared_data / f"pixel/{name}.dcm")
    values = decode_frame(stored_frame(ds, spec), spec)
    ours = render(values, ds, RenderParams(icc=False, square_pixels=False))
    theirs = apply_color_lut(values, ds)
    theirs = theirs >> 8 if theirs.dtype == np.uint16 and theirs.max() > 255 else theirs
    assert ours.shape == (spec.rows, spec.columns, 3)
    assert np.abs(ours.astype(int) - theirs.astype(int)).max() <= 1


def test_a_broken_segmented_palette_is_refused() -> None:
    for words in ([1, 5, 9], [7, 1, 1], [2, 1, 0, 0]):
        with pytest.raises(CannotDecode):
            expand_segments(np.array(words, np.uint16), 16)


def test_segments_of_every_kind() -> None:
    """Discrete 1 2 3, a line of four steps to 11, then the first segment again (PS3.3 C.7.9.2)."""
    words = np.array([0, 3, 1, 2, 3, 1, 4, 11, 2, 1, 0, 0], np.uint16)
    assert expand_segments(words, 16).tolist() == [1, 2, 3, 5, 7, 9, 11, 1, 2, 3]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_ybr_full_agrees_with_pydicom(seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, 256, (7, 5, 3)).astype(np.uint8)
    ours = colour.to_rgb(values, "YBR_FULL", 8).astype(int)
    assert np.abs(ours - convert_color_space(values, "YBR_FULL", "RGB")).max() <= 1


def test_ybr_partial_spans_the_studio_range() -> None:
    black_white = np.array([[[16, 128, 128], [235, 128, 128]]], np.uint8)
    assert colour.to_rgb(black_white, "YBR_PARTIAL_422", 8).tolist() == [[[0, 0, 0], [255, 255, 255]]]


def test_422_and_444_of_the_same_picture_look_the_same(shared_data: Path) -> None:
    full, full_spec = load(shared_data / "pixel/sc_ybr_full.dcm")
    half, half_spec = load(shared_data / "pixel/sc_ybr_full_422.dcm")
    one = decode_frame(stored_frame(full, full_spec), full_spec).astype(int)
    two = decode_frame(stored_frame(half, half_spec), half_spec).astype(int)
    assert np.abs(one - two).mean() < 2


def test_planes_and_pixels_of_the_same_picture_are_the_same(shared_data: Path) -> None:
    by_pixel, one = load(shared_data / "pixel/us_rgb_planar0_aspect4-3.dcm")
    by_plane, two = load(shared_data / "pixel/us_rgb_planar1_aspect4-3.dcm")
    assert (one.planar, two.planar) == (0, 1)
    assert np.array_equal(
        decode_frame(stored_frame(by_pixel, one), one), decode_frame(stored_frame(by_plane, two), two)
    )


def test_sixteen_bit_colour_keeps_its_brightness(shared_data: Path) -> None:
    ds, spec = load(shared_data / "pixel/sc_rgb_16bit.dcm")
    values = decode_frame(stored_frame(ds, spec), spec)
    picture = render(values, ds)
    assert np.abs(picture - values / 65535 * 255).max() <= 1


def test_an_icc_profile_is_used_and_a_broken_one_does_not_matter() -> None:
    rgb = np.zeros((4, 4, 3), np.uint8)
    rgb[..., 0] = 200
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert np.abs(colour.to_srgb(rgb, lab).astype(int) - rgb).max() <= 2
    assert np.array_equal(colour.to_srgb(rgb, b"\0" * 500), rgb)
    assert np.array_equal(colour.to_srgb(rgb, None), rgb)


def _with_a_grey_black(level: float) -> bytes:
    """A profile of a device whose black is so bright: the curves of sRGB, from that level on."""
    raw = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    values = [int(65535 * (level + (1 - level) * (i / 255) ** 2.2)) for i in range(256)]
    curve = b"curv" + struct.pack(">II256H", 0, 256, *values)  # ICC.1:2022 10.6
    raw += bytes(-len(raw) % 4)
    for at in range(132, 132 + 12 * struct.unpack_from(">I", raw, 128)[0], 12):
        if raw[at : at + 4] in (b"rTRC", b"gTRC", b"bTRC"):
            struct.pack_into(">II", raw, at + 4, len(raw), len(curve))
    raw += curve + bytes(-len(curve) % 4)
    struct.pack_into(">I", raw, 0, len(raw))
    return bytes(raw)


def test_the_black_of_a_profile_is_black() -> None:
    """Black point compensation; without it the darkest values would be grey."""
    rgb = np.zeros((1, 3, 3), np.uint8)
    rgb[0, 1], rgb[0, 2] = 128, 255
    found = colour.to_srgb(rgb, _with_a_grey_black(0.08))[0, :, 0].astype(int)
    assert found[0] == 0 and found[2] == 255 and abs(found[1] - 128) < 4


def test_an_icc_profile_of_a_slide_changes_its_colours(shared_data: Path) -> None:
    for path in some(shared_data / "wsi", "*.dcm"):
        ds = dcmread(path)
        profile = colour.icc_profile(ds)
        if profile:
            rgb = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8)
            assert colour.to_srgb(rgb, profile).shape == rgb.shape
            return
    pytest.fail("no slide with a profile among the samples")


def test_an_overlay_is_drawn_where_the_header_says(shared_data: Path) -> None:
    ds, spec = load(shared_data / "pixel/mr_overlay_6000_icon_j2k.dcm")
    frame = stored_frame(ds, spec)
    (plane,) = overlays.planes(ds)
    assert np.array_equal(plane.bits, ds.overlay_array(0x6000))
    plain, drawn = (render_frame(frame, ds, RenderParams(overlays=on, square_pixels=False)) for on in (False, True))
    mask = np.zeros(plain.shape, bool)
    mask[plane.row : plane.row + plane.bits.shape[0], plane.column : plane.column + plane.bits.shape[1]] = plane.bits
    assert mask.any()
    assert (drawn[mask] == 255).all()
    assert np.array_equal(drawn[~mask], plain[~mask])


def test_an_overlay_inside_the_pixels_is_found_and_is_no_grey(shared_data: Path) -> None:
    ds, spec = load(shared_data / "made/embedded_overlay_bit15.dcm")
    frame = stored_frame(ds, spec)
    decoded = decode(frame, spec)
    (plane,) = overlays.planes(ds, 1, decoded.words)
    assert 0 < plane.bits.mean() < 0.5
    assert int(decoded.values.max()) < 1 << spec.bits_stored
    drawn, plain = render_frame(frame, ds), render_frame(frame, ds, RenderParams(overlays=False))
    assert (drawn[plane.bits.astype(bool)] == 255).all()
    assert np.array_equal(drawn[plane.bits == 0], plain[plane.bits == 0])


def overlay(rows: int, columns: int, origin: list[int], data: bytes, frames: int = 1) -> Dataset:
    ds = Dataset()
    ds.add_new(0x60000010, "US", rows)
    ds.add_new(0x60000011, "US", columns)
    ds.add_new(0x60000015, "IS", frames)
    ds.add_new(0x60000050, "SS", origin)
    ds.add_new(0x60003000, "OW", data)
    return ds


def test_overlays_partly_or_wholly_outside_are_cut() -> None:
    image = np.zeros((4, 4), np.uint8)
    ones = b"\xff" * 2
    assert overlays.draw_overlays(image, overlays.planes(overlay(4, 4, [-1, -1], ones))).sum() == 4 * 255
    assert overlays.draw_overlays(image, overlays.planes(overlay(4, 4, [4, 4], ones))).sum() == 255
    assert overlays.draw_overlays(image, overlays.planes(overlay(4, 4, [40, 40], ones))).sum() == 0


def test_a_lying_overlay_costs_only_itself() -> None:
    assert overlays.planes(overlay(60000, 60000, [1, 1], b"\xff\xff")) == []
    assert overlays.planes(overlay(4, 4, [1, 1], b"\xff"))[0].bits.tolist() == [[1] * 4, [1] * 4, [0] * 4, [0] * 4]


def test_frames_of_an_overlay_are_packed_without_padding() -> None:
    bits = np.random.default_rng(1).integers(0, 2, (3, 3, 3)).astype(np.uint8)
    ds = overlay(3, 3, [1, 1], np.packbits(bits.reshape(-1), bitorder="little").tobytes(), frames=3)
    for number in (1, 2, 3):
        (plane,) = overlays.planes(ds, number)
        assert np.array_equal(plane.bits, bits[number - 1])
    assert overlays.planes(ds, 4) == []


def test_supplemental_colours_lie_over_grey(shared_data: Path) -> None:
    ds, spec = load(shared_data / "enhanced/ect_perfusion_2frames_palette.dcm")
    picture = render_frame(stored_frame(ds, spec), ds)
    if ds.get("PixelPresentation") in ("COLOR", "MIXED"):
        assert picture.ndim == 3
        assert (picture[..., 0] != picture[..., 2]).any()
    else:
        assert picture.ndim == 2 or spec.photometric == "PALETTE COLOR"


def test_retired_four_sample_pictures_are_still_shown() -> None:
    """ARGB and CMYK left the standard in 2001; archives outlive it."""
    argb = np.array([[[0, 10, 20, 30], [255, 1, 2, 3]]], np.uint8)
    assert colour.to_rgb(argb, "ARGB", 8).tolist() == [[[10, 20, 30], [1, 2, 3]]]
    cmyk = np.array([[[0, 0, 0, 0], [255, 0, 0, 0], [0, 0, 0, 255]]], np.uint8)
    assert colour.to_rgb(cmyk, "CMYK", 8).tolist() == [[[255, 255, 255], [0, 255, 255], [0, 0, 0]]]
    with pytest.raises(CannotDecode):
        colour.to_rgb(argb, "nonsense", 8)
