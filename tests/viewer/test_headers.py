"""The viewer shows every synthetic header as the server renders it: one study, one window, one image after the other."""

import base64
import io
import zipfile
from collections.abc import Iterator

import numpy as np
import pytest
from playwright.sync_api import Playwright
from pydicom.dataset import Dataset

from tests.support.live import Live
from tests.viewer.headers import BLOCK, SIDE, encoded, headers
from tests.viewer.screen import NO_WEBGL, Screen, picture, window

pytestmark = pytest.mark.browser
LEVELS = 4.0  # grey levels: the table of the graphics card is as fine as an eighth of the steepest step of a VOI LUT
# The middle of the image with its overlays, as base64 of RGBA.
_SHOWN = """([width, height]) => {
  const cell = document.querySelector('.cell[data-cell="0"]');
  const [image, overlay] = ['.cell-canvas canvas', '.cell-overlay'].map(one => cell.querySelector(one));
  const made = new OffscreenCanvas(width, height), context = made.getContext('2d');
  const left = (image.width - width) / 2, top = (image.height - height) / 2;
  for (const one of [image, overlay]) context.drawImage(one, left, top, width, height, 0, 0, width, height);
  const data = context.getImageData(0, 0, width, height).data;
  let text = '';
  for (let at = 0; at < data.length; at += 4) text += String.fromCharCode(data[at]);
  return btoa(text);
}"""
_READY = """([n, overlays]) => {
  const cell = document.querySelector('.cell[data-cell="0"]');
  return cell.ariaBusy !== 'true' && cell.querySelector('[data-text=br]').textContent.includes(`${n} of `)
    && (!overlays || cell.querySelector('.cell-overlay').dataset.overlays === 'drawn');
}"""


@pytest.fixture(scope="module")
def made() -> list[Dataset]:
    return list(headers())


@pytest.fixture(scope="module")
def stored(station: Live, made: list[Dataset]) -> Iterator[dict[str, np.ndarray]]:
    """What `/rendered` shows of each, by SOP Instance UID."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for ds in made:
            archive.writestr(f"{ds.InstanceNumber}.dcm", encoded(ds))
    with station.client() as client:
        answer = client.post("/api/v1/imports", content=packed.getvalue(), headers={"Content-Type": "application/zip"})
        assert {one["status"] for one in answer.json()["results"]} == {"stored"}, answer.text
        yield {
            str(ds.SOPInstanceUID): picture(
                client.get(f"/api/v1/instances/{ds.SOPInstanceUID}/frames/1/rendered").content
            )[:, :, 0]
            for ds in made
        }


def blocks(image: np.ndarray) -> np.ndarray:
    """The value in the middle of each block."""
    at = np.arange(SIDE // BLOCK) * BLOCK + BLOCK // 2
    return image[np.ix_(at, at)].astype(float)


def differences(screen: Screen, made: list[Dataset], rendered: dict[str, np.ndarray]) -> list[str]:
    """Steps through the series at zoom 1; which images look another way than `rendered` says."""
    page, found = screen.page, []
    assert screen.open(made[0].StudyInstanceUID) == "loaded"
    screen.act("one-to-one")
    for n, ds in enumerate(made, 1):
        if n > 1:
            page.keyboard.press("ArrowDown")
        page.wait_for_function(_READY, arg=[n, 0x60003000 in ds], timeout=20_000)
        if "Zoom 100 %" not in screen.text("bl"):  # Cornerstone fits an image of another type than the one before
            page.evaluate("document.querySelector('#viewer-root [data-action=one-to-one]').click()")
        page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        shown = np.frombuffer(base64.b64decode(page.evaluate(_SHOWN, [SIDE, SIDE])), np.uint8).reshape(SIDE, SIDE)
        apart = np.abs(blocks(shown) - blocks(rendered[str(ds.SOPInstanceUID)]))
        if apart.max() > LEVELS:
            found.append(f"{n}: {(apart > LEVELS).sum()} blocks by up to {apart.max():.0f}: {ds.ImageComments}")
    return found


def test_every_header_looks_as_the_server_renders_it(
    screen: Screen, made: list[Dataset], stored: dict[str, np.ndarray]
) -> None:
    assert all(np.ptp(image) > 100 for image in stored.values()), "a picture without contrast compares nothing"
    assert differences(screen, made, stored) == []


def test_without_webgl_they_look_the_same(
    playwright: Playwright, station: Live, made: list[Dataset], stored: dict[str, np.ndarray]
) -> None:
    with window(playwright, station, *NO_WEBGL) as plain:
        assert differences(plain, made, stored) == []
