"""Crop, turn, flip, scale; orientation letters and spacings; files; previews."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom import Dataset

from app.imaging import (
    Crop,
    RenderParams,
    encode,
    encode_animation,
    preview,
    preview_jpeg,
    render,
    render_frame,
    transform,
)
from app.imaging.geometry import (
    DETECTOR,
    MAGNIFIED,
    SCANNED,
    ULTRASOUND,
    letters_of,
    orientation_letters,
    pixel_spacing_mm,
)
from app.imaging.params import MAX_GROWN
from app.kit.errors import Invalid
from tests.imaging.support import load, stored_frame
from tests.support.greys import grey

PICTURE = np.arange(12, dtype=np.uint8).reshape(3, 4)


def test_turning_is_clockwise_and_comes_before_flipping() -> None:
    assert np.array_equal(transform.apply(PICTURE, RenderParams(rotate=90)), np.rot90(PICTURE, -1))
    assert np.array_equal(transform.apply(PICTURE, RenderParams(rotate=-90)), np.rot90(PICTURE, 1))
    both = transform.apply(PICTURE, RenderParams(rotate=90, flip_horizontal=True))
    assert np.array_equal(both, np.rot90(PICTURE, -1)[:, ::-1])
    assert np.array_equal(transform.apply(PICTURE, RenderParams(flip_vertical=True)), PICTURE[::-1])


@settings(max_examples=60, deadline=None)
@given(st.floats(-20, 20), st.floats(-20, 20), st.floats(0.6, 30), st.floats(0.6, 30))
def test_a_crop_has_its_size_and_black_outside(row: float, column: float, rows: float, columns: float) -> None:
    image = np.full((9, 11), 200, np.uint8)
    out = transform.crop(image, Crop(row, column, rows, columns))
    assert out.shape == (max(1, round(rows)), max(1, round(columns)))
    top, left = round(row), round(column)
    inside = max(0, min(top + out.shape[0], 9) - max(top, 0)) * max(0, min(left + out.shape[1], 11) - max(left, 0))
    assert (out == 200).sum() == inside
    assert (out == 0).sum() == out.size - inside


def test_zoom_two_shows_the_middle_half() -> None:
    image = np.arange(64, dtype=np.uint8).reshape(8, 8)
    assert np.array_equal(transform.apply(image, RenderParams(zoom=2)), image[2:6, 2:6])
    assert np.array_equal(transform.apply(image, RenderParams(zoom=2, pan=(2, -2))), image[4:8, 0:4])


def test_averaging_on_the_way_down_loses_no_line() -> None:
    image = np.zeros((64, 64), np.uint8)
    image[:, 17] = 255
    small = transform.resize(image, (16, 16))
    assert small[:, 4].min() >= 60
    assert np.array_equal(transform.resize(np.kron(PICTURE, np.ones((2, 2), np.uint8)), (3, 4)), PICTURE)


def test_nearest_keeps_exact_values_on_the_way_up() -> None:
    out = transform.apply(PICTURE, RenderParams(size=(9, 12), resample="nearest"))
    assert np.array_equal(out, np.kron(PICTURE, np.ones((3, 3), np.uint8)))


def test_pixels_that_are_not_square_become_so(shared_data: Path) -> None:
    ds, spec = load(shared_data / "pixel/us_rgb_planar0_aspect4-3.dcm")
    picture = render_frame(stored_frame(ds, spec), ds)
    height, width = ds.PixelAspectRatio
    assert picture.shape[0] / picture.shape[1] == pytest.approx(spec.rows * height / (spec.columns * width), rel=0.02)
    turned = render_frame(stored_frame(ds, spec), ds, RenderParams(rotate=90))
    assert turned.shape[1] / turned.shape[0] == pytest.approx(picture.shape[0] / picture.shape[1], rel=0.02)


def test_a_size_is_a_box_to_fit_into() -> None:
    image = np.zeros((100, 50), np.uint8)
    assert transform.apply(image, RenderParams(size=(200, 200))).shape == (200, 100)
    assert transform.apply(image, RenderParams(size=(200, 200), upscale=False)).shape == (100, 50)
    assert transform.apply(image, RenderParams(size=(30, 40), exact=True)).shape == (30, 40)


def test_an_image_grows_to_a_bounded_number_of_pixels_and_keeps_its_shape() -> None:
    rows, columns = transform.apply(np.zeros((100, 50), np.uint8), RenderParams(size=(8192, 8192))).shape
    assert rows == pytest.approx(2 * columns, rel=0.001) and rows * columns == pytest.approx(MAX_GROWN, rel=0.001)
    large = np.zeros((4200, 4200), np.uint8)  # has more by itself: it neither grows nor shrinks
    assert transform.apply(large, RenderParams(size=(8000, 8000))).shape == large.shape
    assert transform.apply(large, RenderParams(size=(2100, 8000))).shape == (2100, 2100)


@pytest.mark.parametrize(
    "wrong",
    [
        {"window": (1.0, 0.0)},
        {"window": (float("nan"), 1.0)},
        {"size": (0, 5)},
        {"size": (1, 99999)},
        {"zoom": 0.0},
        {"crop": Crop(0, 0, 0, 5)},
        {"crop": Crop(0, 0, float("nan"), 5)},
        {"crop": Crop(0, 0, 1e9, 5)},
        {"rotate": float("nan")},
    ],
)
def test_parameters_of_nonsense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(Invalid):
        RenderParams(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("orientation", "letters"),
    [
        ([1, 0, 0, 0, 1, 0], ("R", "L", "A", "P")),
        ([0, 1, 0, 0, 0, -1], ("A", "P", "H", "F")),
        ([1, 0, 0, 0, 0, -1], ("R", "L", "H", "F")),
        ([-1, 0, 0, 0, -1, 0], ("L", "R", "P", "A")),
        ([0.8, 0.6, 0, 0, 0, -1], ("RA", "LP", "H", "F")),
    ],
)
def test_letters_of_the_edges(orientation: list[float], letters: tuple[str, ...]) -> None:
    assert orientation_letters(orientation) == letters


def test_letters_from_patient_orientation_and_none_from_nonsense() -> None:
    assert orientation_letters(None, ["L", "F"]) == ("R", "L", "H", "F")
    assert orientation_letters(None, ["PL", "F"]) == ("AR", "PL", "H", "F")
    assert orientation_letters(None) is None
    assert orientation_letters(["x"] * 6) is None
    assert orientation_letters(None, ["?", "F"]) is None


def test_letters_of_animals_are_their_own() -> None:
    """PS3.3 C.7.6.1.1.1, Anatomical Orientation Type QUADRUPED."""
    assert orientation_letters(None, ["LE", "V"], True) == ("RT", "LE", "D", "V")
    assert orientation_letters(None, ["DLE", "CD"], True) == ("VRT", "DLE", "CR", "CD")
    assert orientation_letters(None, ["PR", "PA"], True) == ("DI", "PR", "D", "PA")
    assert orientation_letters(None, ["X", "V"], True) is None
    assert orientation_letters([1, 0, 0, 0, 1, 0], None, True) == ("RT", "LE", "V", "D")
    ds = Dataset()
    ds.PatientOrientation, ds.AnatomicalOrientationType = ["RT", "LE"], "QUADRUPED"
    assert letters_of(ds) == ("LE", "RT", "RT", "LE")


def header(**attributes: object) -> Dataset:
    ds = Dataset()
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def region(delta: float, x0: int, x1: int) -> Dataset:
    return header(
        PhysicalUnitsXDirection=3,
        PhysicalUnitsYDirection=3,
        PhysicalDeltaX=delta,
        PhysicalDeltaY=-delta,
        RegionLocationMinX0=x0,
        RegionLocationMaxX1=x1,
        RegionLocationMinY0=0,
        RegionLocationMaxY1=99,
    )


def test_spacing_comes_from_the_right_attribute() -> None:
    assert pixel_spacing_mm(header(PixelSpacing=[0.5, 0.4])) == (0.5, 0.4, "PixelSpacing")
    detector = pixel_spacing_mm(header(ImagerPixelSpacing=[0.2, 0.2]))
    assert detector == (0.2, 0.2, DETECTOR)
    assert not detector.in_patient
    magnified = pixel_spacing_mm(header(ImagerPixelSpacing=[0.2, 0.2], EstimatedRadiographicMagnificationFactor="1.25"))
    assert magnified is not None
    assert magnified[:2] == pytest.approx((0.16, 0.16))
    assert magnified.source == MAGNIFIED
    distances = header(ImagerPixelSpacing=[0.2, 0.2], DistanceSourceToDetector="1000", DistanceSourceToPatient="800")
    by_distance = pixel_spacing_mm(distances)
    assert by_distance is not None
    assert by_distance[:2] == pytest.approx((0.16, 0.16))
    assert pixel_spacing_mm(header(NominalScannedPixelSpacing=[0.1, 0.1])) == (0.1, 0.1, SCANNED)
    assert pixel_spacing_mm(header()) is None
    assert pixel_spacing_mm(header(PixelSpacing=[0, 0.4])) is None


def test_pixel_spacing_that_only_repeats_the_detector_is_not_the_patient() -> None:
    """PS3.3 10.7.1.3: equal to Imager Pixel Spacing and without a calibration type."""
    same = header(PixelSpacing=[0.2, 0.2], ImagerPixelSpacing=[0.2, 0.2])
    assert pixel_spacing_mm(same) == (0.2, 0.2, DETECTOR)
    same.PixelSpacingCalibrationType = "FIDUCIAL"
    assert pixel_spacing_mm(same) == (0.2, 0.2, "PixelSpacing")


def test_ultrasound_regions_agree_or_are_asked_one_by_one() -> None:
    ds = header(SequenceOfUltrasoundRegions=[region(0.02, 0, 49), region(0.02, 50, 99)])
    assert pixel_spacing_mm(ds) == (0.2, 0.2, ULTRASOUND)
    ds.SequenceOfUltrasoundRegions[1].PhysicalDeltaX = 0.05
    ds.SequenceOfUltrasoundRegions[1].PhysicalDeltaY = 0.05
    assert pixel_spacing_mm(ds) is None
    assert pixel_spacing_mm(ds, at=(10, 60)) == (0.5, 0.5, ULTRASOUND)


@pytest.mark.parametrize("fmt", ["jpeg", "png", "tiff", "gif"])
@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 3)])
def test_files_of_every_kind_hold_the_picture(fmt: str, shape: tuple[int, ...]) -> None:
    y, x = np.mgrid[0:20, 0:30]
    image = np.broadcast_to((y * 4 + x * 3)[(...,) + (None,) * (len(shape) - 2)], shape).astype(np.uint8)
    with Image.open(io.BytesIO(encode(image, fmt, 95))) as opened:  # type: ignore[arg-type]
        again = np.asarray(opened.convert("RGB" if len(shape) == 3 else "L")).astype(int)
        assert opened.format == fmt.upper()
    assert np.abs(again - image).max() <= (0 if fmt in ("png", "tiff") else 12)


def test_resolution_stands_in_the_file() -> None:
    with Image.open(io.BytesIO(encode(np.zeros((8, 8), np.uint8), "png", dpi=300))) as opened:
        assert opened.info["dpi"][0] == pytest.approx(300, abs=0.1)


def test_a_cine_loop_has_all_its_frames() -> None:
    frames = [np.full((8, 8), level, np.uint8) for level in (0, 100, 200)]
    with Image.open(io.BytesIO(encode_animation(frames, 40))) as opened:
        assert opened.n_frames == 3  # type: ignore[attr-defined]


def test_an_unknown_kind_of_file_is_refused() -> None:
    with pytest.raises(Invalid):
        encode(np.zeros((2, 2), np.uint8), "exe")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name", ["modality/cr_rg3_mono1_10bit_j2k-lossless.dcm", "modality/op_ophthalmic_8bit_jpeg-lossless.dcm"]
)
def test_a_preview_looks_as_the_picture_does(shared_data: Path, name: str) -> None:
    ds, spec = load(shared_data / name)
    frame = stored_frame(ds, spec)
    quick = preview(frame, ds, 128)
    careful = render_frame(frame, ds, RenderParams(size=(128, 128)))
    assert quick.shape == careful.shape
    assert np.abs(quick.astype(int) - careful).mean() < 6
    with Image.open(io.BytesIO(preview_jpeg(frame, ds, 128))) as opened:
        assert max(opened.size) == 128


def test_colour_jpeg_is_scaled_while_it_is_decoded(shared_data: Path) -> None:
    ds, spec = load(shared_data / "modality/us_cine_30frames_jpeg_ybr422.dcm")
    frame = stored_frame(ds, spec)
    quick, careful = preview(frame, ds, 64), render_frame(frame, ds, RenderParams(size=(64, 64)))
    assert quick.shape == careful.shape
    assert np.abs(quick.astype(int) - careful).mean() < 6


def test_a_colour_map_colours_grey() -> None:
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    hot = render(values, grey(values), RenderParams(colormap="HOT_IRON"))
    assert hot.shape == (16, 16, 3)
    assert hot[-1, -1].tolist() == [255, 255, 255]
    with pytest.raises(Invalid):
        render(values, grey(values), RenderParams(colormap="nothing"))
