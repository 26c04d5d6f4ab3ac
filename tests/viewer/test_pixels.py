"""What the canvas really shows, grey level by grey level: IMAGE_RENDERED also fires over a black canvas (DESIGN 3.1)."""

from collections.abc import Callable

import numpy as np
import pydicom
import pytest

from tests.viewer.screen import Screen

pytestmark = pytest.mark.browser
Put = Callable[..., pydicom.Dataset]
CT = "modality/ct_brain_explicit.dcm"


def linear(values: np.ndarray, center: float, width: float) -> np.ndarray:
    """VOI LUT Function LINEAR to 8 bits (PS3.3 C.11.2.1.2.1)."""
    return np.clip(((values - (center - 0.5)) / (width - 1) + 0.5) * 255, 0, 255)


def hounsfield(ct: pydicom.Dataset) -> np.ndarray:
    return ct.pixel_array * float(ct.RescaleSlope) + float(ct.RescaleIntercept)


def assert_same(seen: np.ndarray, wanted: np.ndarray, levels: float = 2.0) -> None:
    """Every pixel within `levels` grey levels of what was predicted."""
    assert seen.shape[:2] == wanted.shape[:2]
    apart = np.abs(seen.astype(float) - (wanted[..., None] if wanted.ndim == 2 else wanted))
    assert apart.max() <= levels, f"{(apart > levels).mean():.2%} of the pixels are off, the worst by {apart.max():.0f}"


def test_a_ct_opens_with_the_window_of_its_tags(screen: Screen, put: Put) -> None:
    ct = put(CT)
    assert screen.open(ct.StudyInstanceUID) == "loaded"
    center, width = screen.window()
    assert (center, width) == (float(pydicom.multival.MultiValue(float, [ct.WindowCenter])[0]), float(ct.WindowWidth))
    assert_same(screen.shown(ct.Rows, ct.Columns), linear(hounsfield(ct), center, width))
    screen.shot("ct")


def test_presets_and_the_mouse_change_the_pixels_as_the_numbers_say(screen: Screen, put: Put) -> None:
    ct = put(CT)
    screen.open(ct.StudyInstanceUID)
    seen = set()
    for action in ("preset:2", "preset:3", "preset:4"):
        screen.act(action)
        seen.add(screen.window())
        assert_same(screen.shown(ct.Rows, ct.Columns), linear(hounsfield(ct), *screen.window()))
    assert len(seen) == 3
    assert (-600.0, 1500.0) in seen
    x, y = screen.middle()
    screen.key("w")
    before = screen.window()
    screen.drag((x, y), (x + 40, y + 25))
    after = screen.window()
    assert after[0] != before[0] and after[1] != before[1]
    # The corner rounds to a tenth at most, half a level of a window this wide.
    assert_same(screen.shown(ct.Rows, ct.Columns), linear(hounsfield(ct), *after))


def test_turns_flips_and_inversion_move_every_pixel_where_it_belongs(screen: Screen, put: Put) -> None:
    ct = put(CT)
    screen.open(ct.StudyInstanceUID)
    upright = linear(hounsfield(ct), *screen.window())
    for action, wanted, letters in (
        ("rotate-right", np.rot90(upright, -1), "RLPA"),
        ("rotate-left", upright, "APRL"),
        ("flip-horizontal", np.fliplr(upright), "APLR"),
        ("flip-horizontal", upright, "APRL"),
        ("flip-vertical", np.flipud(upright), "PARL"),
        ("flip-vertical", upright, "APRL"),
        ("invert", 255 - upright, "APRL"),
    ):
        screen.act(action)
        assert_same(screen.shown(ct.Rows, ct.Columns), wanted)
        assert screen.letters() == letters, action
    screen.key("r", "f", "Escape")
    assert_same(screen.shown(ct.Rows, ct.Columns), upright)


def test_scrolling_shows_the_next_slice_in_the_same_window(screen: Screen, put: Put) -> None:
    put("series/ct_chest_lidc0314/*.dcm")
    slices = [put(f"series/ct_chest_lidc0314/{n:03}.dcm") for n in range(1, 33)]
    slices.sort(key=lambda one: int(one.InstanceNumber))
    assert screen.open(slices[0].StudyInstanceUID) == "loaded"
    screen.act("preset:3")
    for keys, at in (
        (("ArrowDown", "ArrowDown"), 2),
        (("ArrowUp",), 1),
        (("PageDown",), 11),
        (("End",), 31),
        (("Home",), 0),
    ):
        screen.key(*keys)
        assert f"{at + 1} of 32" in screen.text("br")
        assert_same(screen.shown(512, 512), linear(hounsfield(slices[at]), *screen.window()))
    x, y = screen.middle()
    screen.page.mouse.move(x, y)
    screen.page.mouse.wheel(0, 120)
    assert screen.soon(lambda: "2 of 32" in screen.text("br"))


def test_monochrome1_is_shown_white_for_low_values(screen: Screen, put: Put) -> None:
    dog = put("modality/dx_dog_mono1_8bit.dcm")
    assert dog.PhotometricInterpretation == "MONOCHROME1"
    assert screen.open(dog.StudyInstanceUID) == "loaded"
    values = dog.pixel_array * float(dog.get("RescaleSlope", 1)) + float(dog.get("RescaleIntercept", 0))
    seen = screen.shown(dog.Rows, dog.Columns)[:, :, 0].astype(float)
    # An odd size cannot lie on whole pixels: the picture as a whole must match, falling where the values rise.
    wanted = 255 - linear(values, *screen.window())
    assert np.corrcoef(seen.ravel(), wanted.ravel())[0, 1] > 0.98
    assert abs(seen.mean() - wanted.mean()) < 4
    screen.shot("monochrome1")


@pytest.mark.parametrize("name", ["modality/us_rgb.dcm", "codecs/bigendian_us_rgb_planar1.dcm"])
def test_colour_is_shown_as_stored(screen: Screen, put: Put, name: str) -> None:
    us = put(name)
    assert screen.open(us.StudyInstanceUID, us.SeriesInstanceUID) == "loaded"
    assert_same(screen.shown(us.Rows, us.Columns), us.pixel_array.astype(float))
    assert "W" not in screen.text("bl")


def test_without_webgl_the_same_pixels_come(plain_screen: Screen, put: Put) -> None:
    ct, us = put(CT), put("modality/us_rgb.dcm")
    assert plain_screen.page.evaluate("document.createElement('canvas').getContext('webgl2')") is None
    assert plain_screen.open(ct.StudyInstanceUID) == "loaded"
    assert_same(plain_screen.shown(ct.Rows, ct.Columns), linear(hounsfield(ct), *plain_screen.window()))
    plain_screen.act("preset:3")
    assert_same(plain_screen.shown(ct.Rows, ct.Columns), linear(hounsfield(ct), *plain_screen.window()))
    plain_screen.shot("ct-without-webgl")
    assert plain_screen.open(us.StudyInstanceUID) == "loaded"
    assert_same(plain_screen.shown(us.Rows, us.Columns), us.pixel_array.astype(float))
