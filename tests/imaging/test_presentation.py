"""Presentation states: grey levels and turns as DCMTK's dcmp2pgm draws them, graphics by where they must lie."""

import itertools
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset, dcmread

from app.imaging import Crop, DoesNotApply, PixelSpec, RenderParams, presentation, render_frame
from app.imaging.presentation import PSEUDO_COLOR
from tests.archive.make import part10
from tests.support.presentation_states import COLUMNS, ROWS, make_graphic, make_image, make_state, refer_to, voi_window


def _lut(entries: int, first: int, bits: int, values: Any) -> Dataset:
    item = Dataset()
    item.LUTDescriptor = [entries, first, bits]
    item["LUTDescriptor"].VR = "US"
    item.add_new("LUTData", "US", [int(v) for v in values])
    return item


def _voi(lut: Dataset) -> list[Dataset]:
    item = Dataset()
    item.VOILUTSequence = [lut]
    return [item]


def _drawn(image: Dataset, state: Dataset, params: RenderParams | None = None, frame: int = 1) -> np.ndarray[Any, Any]:
    spec = PixelSpec.from_dataset(image)
    read = presentation.read(state, image.SOPInstanceUID, spec, frame)
    return render_frame(image.PixelData, image, params or RenderParams(), 1, spec, read)


def _dcmtk(image: Dataset, state: Dataset, folder: Path) -> np.ndarray[Any, Any]:
    (folder / "i.dcm").write_bytes(part10(image))
    (folder / "p.dcm").write_bytes(part10(state))
    made = folder / "o.pgm"
    command = ["dcmp2pgm", "-p", str(folder / "p.dcm"), str(folder / "i.dcm"), str(made)]
    subprocess.run(command, check=True, timeout=30, capture_output=True)
    return np.asarray(Image.open(made))


_MODALITY: dict[str, dict[str, Any]] = {
    "none": {},
    "rescale": {"RescaleSlope": 2, "RescaleIntercept": -1024, "RescaleType": "HU"},
    "table": {"ModalityLUTSequence": [_lut(4096, 0, 12, np.arange(4096)[::-1])]},
}
_VOI: dict[str, dict[str, Any]] = {
    "none": {},
    "window": {"SoftcopyVOILUTSequence": voi_window(1200, 900)},
    "table": {"SoftcopyVOILUTSequence": _voi(_lut(2048, 512, 8, np.minimum(np.arange(2048) // 4, 255)))},
}
_SHAPE: dict[str, dict[str, Any]] = {
    "identity": {},
    "inverse": {"PresentationLUTShape": "INVERSE"},
    "table": {"PresentationLUTSequence": [_lut(256, 0, 8, (np.arange(256) / 255) ** 2 * 255)]},
}


@pytest.mark.peer
@pytest.mark.parametrize("photometric", ["MONOCHROME2", "MONOCHROME1"])
@pytest.mark.parametrize(
    ("modality", "voi", "shape"), itertools.product(_MODALITY, _VOI, _SHAPE), ids=lambda value: str(value)
)
def test_grey_levels_are_those_of_dcmtk(tmp_path: Path, photometric: str, modality: str, voi: str, shape: str) -> None:
    image = make_image(PhotometricInterpretation=photometric, WindowCenter=100, WindowWidth=50, RescaleSlope=3)
    state = make_state(image, **_MODALITY[modality], **_VOI[voi], **_SHAPE[shape])
    if shape == "table":
        del state.PresentationLUTShape
    ours, theirs = _drawn(image, state), _dcmtk(image, state, tmp_path)
    # A table's entries are 2 grey levels apart at most, and DCMTK rounds to an entry in its own way.
    assert np.abs(ours.astype(int) - theirs.astype(int)).max() <= (2 if shape == "table" else 1)
    assert ours.max() > ours.min()


@pytest.mark.peer
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("flip", ["N", "Y"])
def test_turns_and_flips_are_those_of_dcmtk(tmp_path: Path, rotation: int, flip: str) -> None:
    image = make_image()
    state = make_state(image, ImageRotation=rotation, ImageHorizontalFlip=flip)
    ours, theirs = _drawn(image, state), _dcmtk(image, state, tmp_path)
    assert ours.shape == theirs.shape
    assert np.abs(ours.astype(int) - theirs.astype(int)).max() <= 1


@pytest.mark.peer
def test_public_states_are_drawn_as_dcmtk_draws_them(tmp_path: Path, shared_data: Path) -> None:
    image, state = dcmread(shared_data / "pr/lut_image.dcm"), dcmread(shared_data / "pr/lut_gsps.dcm")
    assert np.array_equal(_drawn(image, state), _dcmtk(image, state, tmp_path))


def test_only_activated_overlays_of_image_and_state_are_drawn(shared_data: Path) -> None:
    """Six lines of text: two in the pixels, two in the image, two in the state; and none without activation."""
    image, state = dcmread(shared_data / "pr/overlay_image.dcm"), dcmread(shared_data / "pr/overlay_gsps.dcm")
    whole = _drawn(image, state)
    rows = [slice(top, top + 14) for top in (134, 177, 219, 261, 303, 346)]
    assert all((whole[row, 100:390] == 255).sum() > 300 for row in rows)
    for group in (0x6000, 0x6004):
        del state[group, 0x1001]
    fewer = _drawn(image, state)
    assert [bool((fewer[row, 100:390] == 255).sum() > 300) for row in rows] == [False, True, False, True, True, True]


def test_what_a_state_leaves_out_is_not_taken_from_the_image() -> None:
    """PS3.4 N.2.1: no Modality LUT in the state is the identity, also for an image with a rescale and a window."""
    image = make_image(RescaleSlope=1, RescaleIntercept=-1024, WindowCenter=40, WindowWidth=400)
    plain = make_image()
    assert np.array_equal(_drawn(image, make_state(image)), _drawn(plain, make_state(plain)))


@pytest.mark.parametrize(("first", "second"), [([1, 1], [COLUMNS, ROWS]), ([5, 3], [20, 14]), ([20, 14], [5, 3])])
def test_the_displayed_area_is_cut_out(first: list[int], second: list[int]) -> None:
    """Corners count from 1, both included; after a half turn the top left one has the larger numbers (C.10.4)."""
    image = make_image()
    state, plain = make_state(image), _drawn(image, make_state(image))
    [area] = state.DisplayedAreaSelectionSequence
    area.DisplayedAreaTopLeftHandCorner, area.DisplayedAreaBottomRightHandCorner = first, second
    (x1, x2), (y1, y2) = sorted((first[0], second[0])), sorted((first[1], second[1]))
    assert np.array_equal(_drawn(image, state), plain[y1 - 1 : y2, x1 - 1 : x2])


def test_a_window_of_one_frame_holds_for_that_frame_only() -> None:
    image = make_image()
    [bright], [dark] = voi_window(200, 100), voi_window(3000, 100)
    bright.ReferencedImageSequence, dark.ReferencedImageSequence = [refer_to(image, 1)], [refer_to(image, 2)]
    state = make_state(image, SoftcopyVOILUTSequence=[bright, dark])
    assert _drawn(image, state, frame=1).mean() > _drawn(image, state, frame=2).mean() + 50


def test_the_shutter_covers_what_lies_outside() -> None:
    image = make_image()
    state = make_state(image, ShutterShape="RECTANGULAR", ShutterLeftVerticalEdge=11, ShutterRightVerticalEdge=30)
    state.ShutterUpperHorizontalEdge, state.ShutterLowerHorizontalEdge = 6, 20
    state.ShutterPresentationValue = 0xFFFF
    made, plain = _drawn(image, state), _drawn(image, make_state(image))
    inside = (slice(5, 20), slice(10, 30))
    assert np.array_equal(made[inside], plain[inside])
    made[inside] = 255
    assert (made == 255).all()


def test_a_circle_and_a_polygon_are_combined() -> None:
    image = make_image()
    state = make_state(image, ShutterShape=["CIRCULAR", "POLYGONAL"], CenterOfCircularShutter=[12, 20])
    state.RadiusOfCircularShutter, state.VerticesOfThePolygonalShutter = 8, [1, 1, 1, 20, 24, 20, 24, 1]
    state.ShutterPresentationValue = 0
    made = _drawn(image, state)
    assert made[11, 14] > 0 and made[11, 25] == 0 and made[2, 3] == 0


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("flip", ["N", "Y"])
def test_graphics_turn_with_the_image(rotation: int, flip: str) -> None:
    """A filled square over stored columns 10 to 14 and rows 4 to 8 lies where those pixels went."""
    image = make_image()
    image.PixelData = bytes(ROWS * COLUMNS * 2)
    corners = [10.0, 4.0, 14.0, 4.0, 14.0, 8.0, 10.0, 8.0, 10.0, 4.0]
    state = make_state(image, ImageRotation=rotation, ImageHorizontalFlip=flip)
    state.GraphicAnnotationSequence = [make_graphic("POLYLINE", corners, filled="Y")]
    expected = np.zeros((ROWS, COLUMNS), np.uint8)
    expected[4:8, 10:14] = 255
    expected = np.rot90(expected, -rotation // 90)
    expected = expected[:, ::-1] if flip == "Y" else expected
    made = _drawn(image, state)
    inner = expected.astype(bool)
    assert made.shape == expected.shape and (made[inner] == 255).all()
    assert np.count_nonzero(made) <= 36, "and nowhere else, but for its edge"


@pytest.mark.parametrize("rotation", [0, 90])
def test_display_units_are_fractions_of_what_is_seen(rotation: int) -> None:
    image = make_image()
    image.PixelData = bytes(ROWS * COLUMNS * 2)
    state = make_state(image, ImageRotation=rotation)
    square = [0.5, 0.5, 1.0, 0.5, 1.0, 1.0, 0.5, 1.0, 0.5, 0.5]
    state.GraphicAnnotationSequence = [make_graphic("POLYLINE", square, units="DISPLAY", filled="Y")]
    made = _drawn(image, state)
    rows, columns = made.shape
    assert (made[rows // 2 + 1 :, columns // 2 + 1 :] == 255).all()
    assert (made[: rows // 2 - 1] == 0).all() and (made[:, : columns // 2 - 1] == 0).all()


@pytest.mark.parametrize(
    ("kind", "data", "on"),
    [
        ("POINT", [20, 12], [(12, 20), (12, 18)]),
        ("CIRCLE", [20, 12, 28, 12], [(12, 28), (4, 20), (12, 12), (20, 20)]),
        ("ELLIPSE", [8, 12, 32, 12, 20, 6, 20, 18], [(12, 8), (12, 32), (6, 20), (18, 20)]),
        ("INTERPOLATED", [4, 12, 20, 4, 36, 12], [(12, 4), (4, 20), (12, 36)]),
    ],
)
def test_every_kind_of_graphic_is_drawn_where_it_says(kind: str, data: list[float], on: list[tuple[int, int]]) -> None:
    image = make_image()
    image.PixelData = bytes(ROWS * COLUMNS * 2)
    made = _drawn(image, make_state(image, GraphicAnnotationSequence=[make_graphic(kind, data)]))
    for row, column in on:
        assert made[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2].max() == 255, (kind, row, column)
    assert np.count_nonzero(made) < made.size / 3


def test_texts_are_drawn_in_their_box_and_stay_upright() -> None:
    image = make_image()
    image.Rows, image.Columns, image.PixelData = 200, 300, bytes(200 * 300 * 2)
    text = Dataset()
    text.UnformattedTextValue, text.BoundingBoxAnnotationUnits = "Nodule 8 mm", "PIXEL"
    text.BoundingBoxTopLeftHandCorner, text.BoundingBoxBottomRightHandCorner = [50.0, 20.0], [200.0, 40.0]
    text.BoundingBoxTextHorizontalJustification = "LEFT"
    item = Dataset()
    item.GraphicLayer, item.TextObjectSequence = "A", [text]
    state = make_state(image, GraphicAnnotationSequence=[item])
    [area] = state.DisplayedAreaSelectionSequence
    area.DisplayedAreaBottomRightHandCorner = [300, 200]
    upright = np.argwhere(_drawn(image, state))
    assert upright[:, 0].min() >= 15 and upright[:, 0].max() <= 45 and upright[:, 1].min() >= 48
    state.ImageRotation = 180
    turned = np.argwhere(_drawn(image, state))
    height = [np.ptp(where[:, 0]) for where in (upright, turned)]
    assert abs(int(height[0]) - int(height[1])) <= 1, "as high as before: not turned by 90 degrees"
    assert turned[:, 0].min() >= 150


def test_pseudo_colour_maps_grey_levels_to_the_states_palette() -> None:
    image = make_image()
    state = make_state(image, PSEUDO_COLOR)
    del state.PresentationLUTShape
    for name, values in (("Red", np.arange(256)), ("Green", np.zeros(256)), ("Blue", np.arange(256)[::-1])):
        setattr(state, f"{name}PaletteColorLookupTableDescriptor", [256, 0, 16])
        state[f"{name}PaletteColorLookupTableDescriptor"].VR = "US"
        setattr(state, f"{name}PaletteColorLookupTableData", (values * 257).astype("<u2").tobytes())
    made, grey = _drawn(image, state), _drawn(image, make_state(image))
    assert made.shape == (*grey.shape, 3)
    assert np.abs(made[..., 0].astype(int) - grey).max() <= 1
    assert (made[..., 1] == 0).all()


def test_a_state_that_is_about_another_image_is_refused() -> None:
    image = make_image()
    other = make_image()
    other.SOPInstanceUID = "1.2.9.2"
    with pytest.raises(DoesNotApply, match="does not refer to this image"):
        _drawn(other, make_state(image))
    with pytest.raises(DoesNotApply, match="type of presentation state"):
        _drawn(image, make_state(image, "1.2.840.10008.5.1.4.1.1.11.4"))


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("ImageRotation", 45), ("RescaleSlope", 0), ("ShutterShape", "RECTANGULAR"), ("ShutterShape", "HEXAGON"),
        ("PresentationLUTShape", "SIDEWAYS"),
        ("GraphicAnnotationSequence", [make_graphic("POLYLINE", [1.0])]),
        ("GraphicAnnotationSequence", [make_graphic("SPIRAL", [1.0, 2.0, 3.0, 4.0])]),
        ("GraphicAnnotationSequence", [make_graphic("CIRCLE", [float("nan"), 1.0, 2.0, float("inf")])]),
        ("DisplayedAreaSelectionSequence", [Dataset()]), ("SoftcopyVOILUTSequence", [Dataset()]),
    ],
)  # fmt: skip
def test_nonsense_in_a_state_costs_no_picture(keyword: str, value: Any) -> None:
    image = make_image()
    made = _drawn(image, make_state(image, **{keyword: value}))
    assert made.shape == (ROWS, COLUMNS) and made.max() > made.min()


def test_a_crop_of_the_caller_replaces_the_displayed_area() -> None:
    image = make_image()
    state = make_state(image, ImageRotation=90)
    made = _drawn(image, state, RenderParams(crop=Crop(2, 4, 6, 8)))
    assert np.array_equal(made, np.rot90(_drawn(image, make_state(image))[2:8, 4:12], -1))
