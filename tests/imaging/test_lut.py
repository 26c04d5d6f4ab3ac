"""The grey chain against pydicom's, at most one grey level apart, and against the standard's own formulas."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

from app.imaging import (
    Display,
    PixelSpec,
    RenderParams,
    Window,
    computed_window,
    decode_frame,
    default_window,
    lut,
    render,
)
from app.imaging.display import Lut
from tests.imaging.support import load, stored_frame
from tests.support.greys import grey


def theirs(values: np.ndarray, ds: Dataset) -> np.ndarray:
    """pydicom's chain scaled to 0..255 by the range its output can have."""
    units = apply_modality_lut(values, ds)
    with np.errstate(over="ignore"):
        out = np.asarray(apply_voi_lut(units, ds, prefer_lut=False), np.float64)
    if ds.get("WindowWidth"):
        low, high = output_range(ds)
    else:
        low, high = 0, (1 << ds.VOILUTSequence[0].LUTDescriptor[2]) - 1
    grey = (out - low) / (high - low) * 255
    return 255 - grey if ds.PhotometricInterpretation == "MONOCHROME1" else grey


def output_range(ds: Dataset) -> tuple[float, float]:
    """The range pydicom's apply_windowing gives (its documentation): of the modality LUT's output."""
    if ds.get("ModalityLUTSequence"):
        return 0, 2 ** ds.ModalityLUTSequence[0].LUTDescriptor[2] - 1
    low, high = (
        (-(2 ** (ds.BitsStored - 1)), 2 ** (ds.BitsStored - 1) - 1)
        if ds.PixelRepresentation
        else (0, 2**ds.BitsStored - 1)
    )
    slope, intercept = float(ds.get("RescaleSlope", 1)), float(ds.get("RescaleIntercept", 0))
    return low * slope + intercept, high * slope + intercept


WITH_CHAIN = [
    "pixel/sc_modality_lut_mlut18.dcm",
    "pixel/sc_voi_lut_vlut04.dcm",
    "pixel/mr_12bit_signed_highbits.dcm",
    "pixel/mr_12bit_unsigned.dcm",
    "modality/cr_rg1_mono1_15bit_j2k.dcm",
    "modality/mg_gh133_12bit_voilut_jpeg-lossless.dcm",
    "codecs/wg04/ct1/ct1_uncompressed.dcm",
]


@pytest.mark.parametrize("name", WITH_CHAIN)
def test_the_chain_agrees_with_pydicom(shared_data: Path, name: str) -> None:
    ds, spec = load(shared_data / name)
    values = decode_frame(stored_frame(ds, spec), spec)
    has_window, has_lut = bool(ds.get("WindowWidth")), bool(ds.get("VOILUTSequence"))
    if not has_window and not has_lut:
        ds.WindowCenter, ds.WindowWidth = 1000, 1500
    ours = render(values, ds, RenderParams(overlays=False, square_pixels=False))
    assert np.abs(ours - theirs(values, ds)).max() <= 1.01
    assert ours.std() > 5


@settings(max_examples=200, deadline=None)
@given(
    center=st.floats(-3000, 3000),
    width=st.floats(1.5, 5000),
    slope=st.floats(0.01, 20),
    intercept=st.floats(-2000, 2000),
    function=st.sampled_from(lut.FUNCTIONS),
    signed=st.booleans(),
)
def test_any_window_agrees_with_pydicom(
    center: float, width: float, slope: float, intercept: float, function: str, signed: bool
) -> None:
    ds = Dataset()
    ds.Rows, ds.Columns, ds.BitsAllocated, ds.BitsStored, ds.HighBit = 1, 4096, 16, 12, 11
    ds.PixelRepresentation, ds.PhotometricInterpretation, ds.SamplesPerPixel = int(signed), "MONOCHROME2", 1
    ds.WindowCenter, ds.WindowWidth = f"{center:.6g}", f"{width:.6g}"
    ds.RescaleSlope, ds.RescaleIntercept, ds.VOILUTFunction = f"{slope:.6g}", f"{intercept:.6g}", function
    values = np.arange(4096, dtype=np.int32).reshape(1, -1)
    values = (values - 2048).astype(np.int16) if signed else values.astype(np.uint16)
    ours = render(values, ds)
    assert np.abs(ours - theirs(values, ds)).max() <= 1.01


def test_linear_reaches_black_and_white_where_the_standard_says() -> None:
    """PS3.3 C.11.2.1.2.1, note: centre 2048 and width 4096 map 0 to 4095 to the full range."""
    values = np.array([-1, 0, 1, 2047, 4094, 4095, 4096], np.float32)
    out = lut.apply_window(values, 2048, 4096)
    assert out[0] == out[1] == 0
    assert out[5] == out[6] == 1
    assert 0 < out[2] < 0.001
    step = lut.apply_window(np.array([99.0, 99.5, 100.0], np.float32), 100, 1)
    assert step.tolist() == [0, 0, 1]


@settings(max_examples=100, deadline=None)
@given(
    first=st.integers(-200, 200),
    data=st.lists(st.integers(0, 65535), min_size=1, max_size=300),
    value=st.integers(-1000, 1000),
)
def test_a_table_is_clamped_at_both_ends(first: int, data: list[int], value: int) -> None:
    table = Lut(first, np.array(data, np.uint16), 16)
    expected = data[0] if value < first else data[-1] if value >= first + len(data) else data[value - first]
    assert lut.map_values(np.array([value]), table)[0] == expected


@settings(max_examples=100, deadline=None)
@given(bits=st.integers(1, 16), signed=st.booleans(), seed=st.integers(0, 2**32 - 1), window=st.booleans())
def test_the_table_gives_what_computing_each_pixel_gives(bits: int, signed: bool, seed: int, window: bool) -> None:
    spec = PixelSpec(8, 8, bits_stored=bits, high_bit=bits - 1, signed=signed)
    low, high = lut.stored_range(spec)
    values = np.random.default_rng(seed).integers(low, high + 1, (8, 8)).astype(np.int16 if signed else np.uint16)
    display = Display(slope=0.5, intercept=-100, windows=(Window(40, 400),) if window else ())
    ds = Dataset()
    ds.Rows, ds.Columns = 8, 8
    ds.RescaleSlope, ds.RescaleIntercept = 0.5, -100
    if window:
        ds.WindowCenter, ds.WindowWidth = 40, 400
    by_table = render(values, ds, spec=spec)
    chosen = default_window(values, spec, display)
    assert chosen is not None
    units = lut.apply_modality_lut(values, display)
    each = lut.apply_presentation_lut(lut.apply_window(units, chosen.center, chosen.width, chosen.function), False)
    assert np.array_equal(by_table, each)
    wide = render(values.astype(np.int64), ds, spec=spec)
    assert np.array_equal(by_table, wide)


def test_an_image_without_a_window_gets_one_that_shows_it() -> None:
    values = np.random.default_rng(3).normal(1000, 50, (200, 200)).astype(np.uint16)
    values[:20] = 63536  # a collimator edge marked as padding must not count
    ds = grey(values, PixelPaddingValue=63536)
    spec = PixelSpec.from_dataset(ds)
    window = computed_window(values, spec, Display.from_dataset(ds, spec))
    assert 950 < window.center < 1050
    assert 150 < window.width < 400
    assert render(values, ds)[20:].std() > 30


@pytest.mark.parametrize(
    ("value", "kind", "shown"),
    [
        (1000, np.uint16, 128),
        (-50, np.int16, 128),
        (200, np.uint8, 128),
        (-2000, np.int16, 0),  # padding
        (0, np.uint16, 0),
        (-32768, np.int16, 0),
        (65535, np.uint16, 128),
    ],
)
def test_one_value_everywhere_is_the_middle_grey_and_nothing_is_black(value: int, kind: type, shown: int) -> None:
    values: np.ndarray = np.full((20, 20), value, kind)
    for slope in (1, 0.25):
        picture = render(
            values,
            grey(values, RescaleSlope=slope, RescaleIntercept=-3, **{"PixelPaddingValue": -2000} if value < 0 else {}),
        )
        assert picture.min() == picture.max() and abs(int(picture[0, 0]) - shown) <= 1


def test_a_padding_value_written_with_the_other_sign_is_understood() -> None:
    values = np.full((50, 50), 100, np.int16)
    values[:10] = -2000
    values[10:20] = 500
    ds = grey(values)
    ds.add_new("PixelPaddingValue", "US", 65536 - 2000)
    spec = PixelSpec.from_dataset(ds)
    assert Display.from_dataset(ds, spec).padding == (-2000, -2000)


def test_an_eight_bit_capture_is_shown_as_it_is() -> None:
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert np.array_equal(render(values, grey(values)), values)


@pytest.mark.parametrize(
    ("photometric", "shape", "invert", "lowest"),
    [
        ("MONOCHROME2", None, False, 0),
        ("MONOCHROME1", None, False, 255),
        ("MONOCHROME1", "INVERSE", False, 255),
        ("MONOCHROME2", "INVERSE", False, 255),
        ("MONOCHROME2", "IDENTITY", True, 255),
        ("MONOCHROME1", "INVERSE", True, 0),
    ],
)
def test_polarity(photometric: str, shape: str | None, invert: bool, lowest: int) -> None:
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    ds = grey(values, PhotometricInterpretation=photometric)
    if shape:
        ds.PresentationLUTShape = shape
    picture = render(values, ds, RenderParams(invert=invert))
    assert picture[0, 0] == lowest
    assert picture[-1, -1] == 255 - lowest


def test_the_window_as_seen_wins_over_tags_and_luts(shared_data: Path) -> None:
    ds, spec = load(shared_data / "pixel/sc_voi_lut_vlut04.dcm")
    values = decode_frame(stored_frame(ds, spec), spec)
    display = Display.from_dataset(ds, spec)
    assert display.voi_luts
    assert default_window(values, spec, display) is None
    by_lut = render(values, ds)
    seen = render(values, ds, RenderParams(window=(float(values.mean()), float(values.std()) * 2)))
    assert np.abs(by_lut.astype(int) - seen).max() > 20


def test_a_window_of_nonsense_is_passed_over() -> None:
    values = np.arange(400, dtype=np.uint16).reshape(20, 20)
    ds = grey(values, WindowCenter=["0", "200"], WindowWidth=["0", "400"])
    spec = PixelSpec.from_dataset(ds)
    assert Display.from_dataset(ds, spec).windows == (Window(200, 400),)


def test_each_frame_of_an_enhanced_object_has_its_own_chain() -> None:
    values = np.arange(400, dtype=np.uint16).reshape(20, 20)
    ds = grey(values, NumberOfFrames=2)
    frames = []
    for slope, center in ((1, 100), (2, 400)):
        frame, transformation, voi = Dataset(), Dataset(), Dataset()
        transformation.RescaleSlope, transformation.RescaleIntercept = slope, 0
        voi.WindowCenter, voi.WindowWidth = center, 200
        frame.PixelValueTransformationSequence, frame.FrameVOILUTSequence = [transformation], [voi]
        frames.append(frame)
    ds.PerFrameFunctionalGroupsSequence = frames
    spec = PixelSpec.from_dataset(ds)
    first, second = (Display.from_dataset(ds, spec, n) for n in (1, 2))
    assert (first.slope, first.windows[0].center) == (1, 100)
    assert (second.slope, second.windows[0].center) == (2, 400)
    assert not np.array_equal(render(values, ds, number=1), render(values, ds, number=2))


def test_shared_functional_groups_count_where_the_frame_says_nothing(shared_data: Path) -> None:
    ds = dcmread(shared_data / "enhanced/ect_2frames_rle_bot.dcm")
    spec = PixelSpec.from_dataset(ds)
    assert Display.from_dataset(ds, spec, 2).windows or "FrameVOILUTSequence" not in str(ds)


def test_tables_without_entries_are_passed_over(shared_data: Path) -> None:
    """This file has both LUT sequences with empty items, and empty window attributes."""
    ds, spec = load(shared_data / "pixel/sc_flowers_16bit_rle_mlut_voilut_overlay.dcm")
    display = Display.from_dataset(ds, spec)
    assert display.modality_lut is None
    assert display.voi_luts == display.windows == ()
    assert render(decode_frame(stored_frame(ds, spec), spec), ds).std() > 20
