"""Cases from outside: overlays, lengths in their plane and region, letters, short frames, presets on their keys."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from tests.support.live import Live
from tests.viewer.conftest import send
from tests.viewer.screen import Screen

pytestmark = pytest.mark.browser
CASES = Path(__file__).parent.parent / "cases"
OpenCase = Callable[[str], Dataset]


@pytest.fixture
def open_case(screen: Screen, station: Live) -> OpenCase:
    """Shows a case file alone, in a study of its own, at zoom 1."""

    def show(name: str) -> Dataset:
        ds = pydicom.dcmread(CASES / name)
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID = generate_uid(), generate_uid(), generate_uid()
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        buffer = BytesIO()
        ds.save_as(buffer)
        assert send(station, buffer.getvalue())["status"] == "stored"
        assert screen.open(ds.StudyInstanceUID) == "loaded"
        screen.act("one-to-one")
        return ds

    return show


def measured(screen: Screen, start: tuple[float, float], end: tuple[float, float]) -> str:
    """What a line says that is drawn between two pixels (column, row) of an image of 256 x 256 at zoom 1."""
    x, y = screen.middle()
    screen.key("l")
    screen.drag((x - 128 + start[0], y - 128 + start[1]), (x - 128 + end[0], y - 128 + end[1]))
    return " ".join(screen.page.locator(".viewer-mark .what").last.inner_text().split())


@pytest.mark.parametrize(
    ("n", "words", "corner"),
    [
        (1, "5.0 mm", ""),
        (2, "5.0 mm", ""),
        (3, "10.0 mm at the detector", "mm at the detector"),
        (4, "5.0 mm", ""),
        (5, "5.0 mm", ""),
        (6, "20.0 mm on the film", "mm on the film"),
    ],
)
def test_a_length_on_a_projection_says_where_its_millimetres_are(
    screen: Screen, open_case: OpenCase, n: int, words: str, corner: str
) -> None:
    open_case(f"H12/{n}.dcm")
    assert measured(screen, (50, 100), (150, 100)) == words
    assert screen.text("bl").split("\n")[2:] == ([corner] if corner else [])


def test_lengths_in_ultrasound_have_the_scale_and_units_of_their_region(screen: Screen, open_case: OpenCase) -> None:
    open_case("H13/1.dcm")
    assert measured(screen, (50, 100), (150, 100)) == "50.0 mm"
    open_case("H13/2.dcm")
    assert measured(screen, (10, 100), (110, 100)) == "50.0 mm"
    assert measured(screen, (140, 50), (240, 50)) == "20.0 mm"
    assert measured(screen, (80, 150), (180, 150)) == "100.0 px", "across two regions"
    open_case("H13/3.dcm")
    assert measured(screen, (50, 60), (150, 60)) == "50.0 mm"
    assert measured(screen, (50, 180), (150, 200)) == "1 s, 10 cm/s"


def test_letters_of_patient_orientation_turn_with_the_image(screen: Screen, open_case: OpenCase) -> None:
    open_case("H14/x.dcm")
    assert screen.page.locator(".cell-letter").all_text_contents() == ["HL", "FR", "P", "A"]  # top, bottom, left, right
    assert "R MLO" in screen.text("tr")
    screen.act("rotate-right")
    assert screen.page.locator(".cell-letter").all_text_contents() == ["P", "A", "FR", "HL"]
    screen.act("flip-horizontal")
    assert screen.page.locator(".cell-letter").all_text_contents() == ["P", "A", "HL", "FR"]


def overlay(screen: Screen) -> np.ndarray:
    """Where the overlay layer is drawn, at the middle of the cell: 256 x 256."""
    assert screen.soon(lambda: screen.page.locator(".cell-overlay[data-overlays=drawn]").count())
    found = screen.page.evaluate(
        """() => {
        const layer = document.querySelector('.cell-overlay'), side = 256;
        const data = layer.getContext('2d').getImageData((layer.width - side) / 2, (layer.height - side) / 2, side, side).data;
        return Array.from({ length: side * side }, (_, at) => (data[at * 4 + 3] > 127 ? 1 : 0));
        }"""
    )
    return np.array(found, np.uint8).reshape(256, 256)


def test_overlays_lie_on_their_pixels_and_follow_the_image(screen: Screen, open_case: OpenCase) -> None:
    ds = open_case("H02/x.dcm")
    bits = np.unpackbits(np.frombuffer(ds[0x6000, 0x3000].value, np.uint8), bitorder="little").reshape(256, 256)
    assert bits.any() and np.array_equal(overlay(screen), bits)
    for action, wanted in (
        ("rotate-right", np.rot90(bits, -1)),
        ("flip-horizontal", np.fliplr(np.rot90(bits, -1))),
    ):
        screen.act(action)
        assert np.array_equal(overlay(screen), wanted), action
    screen.key("g")
    assert not screen.page.locator(".cell-overlay").is_visible()
    screen.act("overlays")
    assert screen.page.locator(".cell-overlay").is_visible()


def test_warnings_of_the_import_stand_above_the_attributes(screen: Screen, station: Live) -> None:
    data = (CASES / "H16/single.dcm").read_bytes()
    assert send(station, data)["status"] in ("stored", "duplicate")
    uid = pydicom.dcmread(BytesIO(data)).SOPInstanceUID
    words = screen.page.request.get(f"/viewer/metadata?instance={uid}").text()
    assert "Warnings" in words and "<li>" in words


def test_frames_that_are_not_there_are_said_on_the_last_that_is(screen: Screen, open_case: OpenCase) -> None:
    open_case("H16/multi.dcm")
    assert screen.notice() == ""
    screen.key("End")
    assert screen.soon(lambda: "only a part of this frame" in screen.notice())
    assert "Number of Frames says 5, the pixel data holds 4." in screen.notice()
    assert screen.canvas().max() > 50


def test_window_keys_keep_their_meaning_in_every_study(screen: Screen, open_case: OpenCase, put: Callable) -> None:
    ct = put("modality/ct_brain_explicit.dcm")
    screen.open(ct.StudyInstanceUID)
    opened = screen.window()
    screen.key("3")
    assert screen.window() == (-600, 1500)
    screen.key("5")
    assert screen.window() == (40, 80)
    screen.key("1")
    assert screen.window() == opened
    keys = screen.page.locator("#viewer-presets kbd:not([hidden])").all_text_contents()
    assert keys == ["1", "2", "3", "4", "5", "6", "7", "8"]
    open_case("H12/3.dcm")
    opened = screen.window()
    screen.key("3")
    assert screen.window() == opened, "no window of CT in an image of another modality"
    screen.key("?")
    words = screen.page.locator("#viewer-help").inner_text()
    assert "Default window" in words and "lung" in words
