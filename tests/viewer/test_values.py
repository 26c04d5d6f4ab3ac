"""Every codec and bit depth decoded in the browser, value by value beside the server's: the proof of the allow list in
`app.imaging.browser`."""

import hashlib
import struct
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest

from app.imaging import ImagingError, browser, decode_frame
from app.imaging.browser import Form
from app.imaging.native import Samples
from tests.imaging.support import load, stored_frame
from tests.support import encoded
from tests.support.live import Live
from tests.viewer.screen import Screen

pytestmark = pytest.mark.browser

# Cornerstone hands each image that comes into a viewport to the viewport's element. What is kept of one is the checksum of
# its values as floats: ten million of them need not travel.
_CATCH = """
window.seen = {};
document.addEventListener('CORNERSTONE_STACK_NEW_IMAGE', async ({ detail: { image } }) => {
  const digest = await crypto.subtle.digest('SHA-256', Float32Array.from(image.getPixelData()));
  window.seen[image.imageId] = Array.from(new Uint8Array(digest), byte => byte.toString(16).padStart(2, '0')).join('');
}, true);
"""
_STEP = """async count => {
  for (let n = 1; n < count; n++) {
    const before = Object.keys(window.seen).length;
    document.body.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowDown', bubbles: true }));
    const ends = performance.now() + 5000;
    while (Object.keys(window.seen).length === before) {
      if (performance.now() > ends) return n;
      await new Promise(done => setTimeout(done, 2));
    }
  }
  return count;
}"""


@pytest.fixture(scope="module")
def caught(screen: Screen) -> Screen:
    """A window that keeps the values of each image it shows."""
    screen.page.add_init_script(_CATCH)
    return screen


def shown(screen: Screen, uid: str, frame: int = 1) -> str:
    """The checksum of the values of an image seen since the page was opened."""
    name = f"filmroom:{uid}/{frame}"
    screen.page.wait_for_function("name => name in window.seen", arg=name)
    return str(screen.page.evaluate("name => window.seen[name]", name))


def checksum(values: Samples) -> str:
    return hashlib.sha256(values.astype("<f4").tobytes()).hexdigest()


def forms_of(live: Live, series: str) -> list[Form]:
    """In which form each image of a series is sent."""
    with live.client() as client:
        stream = client.get(f"/api/v1/series/{series}/frames").content
    forms, at = [], 0
    while at < len(stream):
        _, _, length, form = struct.unpack_from("<IIII", stream, at)
        forms.append(Form(form))
        at += 16 + length
    return forms


def _decodable(one: encoded.Encoded) -> bool:
    try:
        encoded.server_values(one)
    except ImagingError:
        return False
    return True


def test_every_codec_and_depth_has_the_values_of_the_server(caught: Screen) -> None:
    series = encoded.Series()
    every = [one for one in encoded.every(series) if _decodable(one)]
    with caught.live.client() as client:
        answer = client.post(
            "/api/v1/imports", content=encoded.zipped(every), headers={"Content-Type": "application/zip"}
        )
        assert {result["status"] for result in answer.json()["results"]} == {"stored"}, answer.text
    assert caught.open(series.study) == "loaded"
    assert caught.page.evaluate(_STEP, len(every)) == len(every), caught.notice()
    wanted = {one.name: encoded.server_values(one) if one.values is None else one.values for one in every}
    assert len(wanted) == len(every)
    seen = caught.page.evaluate("window.seen")
    wrong = [
        one.name for one in every if seen[f"filmroom:{one.dataset.SOPInstanceUID}/1"] != checksum(wanted[one.name])
    ]
    assert wrong == []
    # Most is decoded by the browser: a list that allows nothing would be right, and slow.
    sent = defaultdict(set)
    for one, form in zip(every, forms_of(caught.live, series.uid), strict=True):
        sent[one.dataset.file_meta.TransferSyntaxUID].add(form)
    as_stored = {uid for uid, forms in sent.items() if Form.STORED in forms}
    lossy = {encoded.syntaxes.JPEG_EXTENDED, encoded.syntaxes.HTJ2K, *encoded.RETIRED_EXTENDED}
    never = {encoded.syntaxes.EXPLICIT_BE, *lossy}
    assert as_stored == {*encoded.COMPRESSED, *encoded.NATIVE} - never


@pytest.mark.parametrize(
    "name",
    [
        "modality/op_ophthalmic_8bit_jpeg-lossless.dcm",  # a baseline JPEG under lossless
        "codecs/jpeg-baseline_no_color_transform.dcm",  # RGB without a marker that says so
        "codecs/jpeg-extended_12bit_nm.dcm",
        "modality/mg_digitised_mg1_jpeg-extended-12bit.dcm",
    ],
)
def test_what_the_browser_decodes_wrongly_comes_decoded(
    caught: Screen, put_alone: Callable[[str], pydicom.Dataset | None], shared_data: Path, name: str
) -> None:
    _, spec = load(shared_data / name)
    ds = put_alone(name)
    assert ds is not None
    wanted = decode_frame(stored_frame(ds, spec), spec).astype(np.float32)
    wanted = wanted * float(ds.get("RescaleSlope", 1)) + float(ds.get("RescaleIntercept", 0))
    assert caught.open(ds.StudyInstanceUID, ds.SeriesInstanceUID) == "loaded"
    assert shown(caught, ds.SOPInstanceUID) == checksum(wanted)
    assert caught.notice() == ""


def test_frames_of_one_object_are_judged_one_by_one(caught: Screen) -> None:
    """A lossless object one of whose frames is a lossy JPEG: that frame alone comes decoded."""
    series = encoded.Series()
    grey = encoded.samples(8, False)
    right, wrong = (
        encoded.COMPRESSED[uid][0](grey, 8)
        for uid in (encoded.syntaxes.JPEG_LOSSLESS_SV1, encoded.syntaxes.JPEG_BASELINE)
    )
    one = series.make("mixed", encoded.syntaxes.JPEG_LOSSLESS_SV1, right, bits=8, NumberOfFrames=3)
    one.dataset.PixelData = encoded.encapsulate([right, wrong, right])
    with caught.live.client() as client:
        sent = client.post(
            "/api/v1/imports", content=encoded.part10(one.dataset), headers={"Content-Type": "application/dicom"}
        )
        assert sent.json()["results"][0]["status"] == "stored", sent.text
        second = client.get(f"/api/v1/instances/{one.dataset.SOPInstanceUID}/frames/2", params={"form": "viewer"})
    assert forms_of(caught.live, series.uid) == [Form.STORED, Form.INTEGERS, Form.STORED]
    assert second.headers["x-frame-form"] == "1"
    spec = browser.PixelSpec.from_dataset(one.dataset)
    assert second.content == decode_frame(wrong, spec).tobytes()
    assert caught.open(series.study) == "loaded"
    assert caught.page.evaluate(_STEP, 3) == 3
    for n, stream in enumerate((right, wrong, right), 1):
        assert shown(caught, one.dataset.SOPInstanceUID, n) == checksum(decode_frame(stream, spec)), n
