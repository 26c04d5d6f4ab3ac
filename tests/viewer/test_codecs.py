"""One file of each transfer syntax, decoded in the browser and laid beside what the server draws of it."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest

from tests.viewer.screen import Screen, picture

pytestmark = pytest.mark.browser
Put = Callable[[str], pydicom.Dataset | None]

FILES = [
    "codecs/bigendian_mr.dcm",
    "codecs/implicit_mr.dcm",
    "codecs/deflated_sc.dcm",
    "codecs/deflated_image_frame_seg.dcm",
    "codecs/htj2k_lossless_rgb.dcm",
    "codecs/htj2k_rgb.dcm",
    "codecs/j2k_jp2_boxes_inside.dcm",
    "codecs/j2k_lossless_pixelrep_mismatch.dcm",
    "codecs/j2k_lossy_rgb.dcm",
    "codecs/j2k_toshiba_siz_pixrep0.dcm",
    "codecs/jpeg-baseline_gray8.dcm",
    "codecs/jpeg-baseline_rgb_app14.dcm",
    "codecs/jpeg-baseline_ybr_full_422.dcm",
    "codecs/jpeg-extended_12bit_nm.dcm",
    "codecs/jpeg-lossless-p14_mr_12bit.dcm",
    "codecs/jpeg-lossless-sv1_rgb.dcm",
    "codecs/jpeg-ls_lossless_mr.dcm",
    "codecs/jpeg-ls_near_16bit.dcm",
    "codecs/jpeg-ls_near_8bit.dcm",
    "codecs/jpeg-ls_near_rgb_line.dcm",
    "codecs/rle_mr_16bit.dcm",
    "codecs/rle_rgb_16bit_2frames.dcm",
    "codecs/rle_rgb_32bit.dcm",
    "pixel/mr_12bit_signed_highbits.dcm",
    "modality/us_cine_10frames_palette_rle.dcm",
]


@pytest.mark.parametrize("name", FILES)
def test_the_browser_shows_what_the_server_draws(screen: Screen, put_alone: Put, name: str) -> None:
    ds = put_alone(name)
    assert ds is not None
    with screen.live.client() as client:
        manifest = client.get(f"/api/v1/studies/{ds.StudyInstanceUID}/manifest").json()
        series = next(one for one in manifest["series"] if one["series_instance_uid"] == ds.SeriesInstanceUID)
        first = next(one for one in series["instances"] if one["kind"] == "image")
        answer = client.get(f"/api/v1/instances/{first['sop_instance_uid']}/frames/1/rendered")
        assert answer.status_code == 200, answer.text
        wanted = picture(answer.content).astype(float)
    assert screen.open(ds.StudyInstanceUID, ds.SeriesInstanceUID) == "loaded"
    # Palettes alone are drawn by the server: they stand in the header, which the stream does not carry.
    assert ("Server-rendered" in screen.notice()) == (ds.PhotometricInterpretation == "PALETTE COLOR"), screen.notice()
    seen = screen.shown(*wanted.shape[:2]).astype(float)
    # An odd size cannot lie on whole pixels and is smoothed by half of one.
    least = 0.97 if wanted.shape[0] % 2 == wanted.shape[1] % 2 == 0 else 0.9
    assert np.corrcoef(seen.ravel(), wanted.ravel())[0, 1] > least
    assert abs(seen.mean() - wanted.mean()) < 5


def test_every_real_image_of_the_collection_shows_something_or_says_why(
    screen: Screen, put_alone: Put, shared_data: Path
) -> None:
    """No blank box without a word (VIEW-2): all modalities and pixel kinds."""
    with (shared_data / "MANIFEST.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["file"].startswith(("modality/", "pixel/"))]
    silent = []
    for row in rows:
        ds = put_alone(row["file"])
        if ds is None:
            continue  # not in the archive, so there is nothing to show
        state = screen.open(ds.StudyInstanceUID, ds.SeriesInstanceUID)
        screen.faults.clear()
        said = screen.notice() or screen.page.locator(".cell-object:not([hidden])").count()
        empty = "pixel/mr_decimal_rescale.dcm"  # holds nothing but zeros
        if state not in ("loaded", "failed") or (not said and np.ptp(screen.canvas()) < 8 and row["file"] != empty):
            silent.append((row["file"], state))
    assert silent == []
