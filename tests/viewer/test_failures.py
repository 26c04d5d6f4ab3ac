"""What cannot be shown is said, never a blank box (VIEW-2)."""

from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from playwright.sync_api import Route

from tests.support.live import Live
from tests.viewer.conftest import send
from tests.viewer.screen import Screen

pytestmark = pytest.mark.browser
Put = Callable[..., pydicom.Dataset]
FRAMES = "**/api/v1/series/*/frames*"
ONE = "**/api/v1/instances/*/frames/1?form=viewer"
RENDERED = "**/api/v1/instances/*/frames/1/rendered"


def refuse(route: Route) -> None:
    route.fulfill(status=500, body="")


def test_an_image_nobody_can_give_is_named_with_its_reason(screen: Screen, put: Put) -> None:
    ct = put("modality/ct_brain_explicit.dcm")
    for pattern in (FRAMES, ONE, RENDERED):
        screen.page.route(pattern, refuse)
    try:
        assert screen.open(ct.StudyInstanceUID) == "failed"
        screen.rest()
        assert "cannot be displayed" in screen.notice() and "500" in screen.notice()
    finally:
        screen.page.unroute_all()
        screen.faults.clear()


def test_a_broken_stream_is_made_good_frame_by_frame(screen: Screen, put: Put) -> None:
    ct = put("modality/ct_brain_explicit.dcm")
    screen.page.route(FRAMES, refuse)
    try:
        assert screen.open(ct.StudyInstanceUID) == "loaded"
        assert screen.notice() == ""
        assert screen.canvas().max() > 200
    finally:
        screen.page.unroute_all()
        screen.faults.clear()


def test_pixels_the_browser_gets_wrong_come_from_the_server_with_a_word(screen: Screen, put: Put) -> None:
    ct = put("modality/ct_brain_explicit.dcm")
    screen.page.route(FRAMES, refuse)
    screen.page.route(ONE, lambda route: route.fulfill(status=200, body=b"\0" * 100, headers={"X-Frame-Form": "0"}))
    try:
        screen.open(ct.StudyInstanceUID)
        assert "Server-rendered preview" in screen.notice()
        assert screen.canvas().max() > 200
    finally:
        screen.page.unroute_all()
        screen.faults.clear()


def test_a_study_that_is_gone_is_said(screen: Screen, put: Put) -> None:
    ct = put("modality/ct_brain_explicit.dcm")
    screen.page.route("**/manifest*", lambda route: route.fulfill(status=404, body="{}"))
    try:
        assert screen.open(ct.StudyInstanceUID) == "failed"
        assert "404" in screen.notice()
    finally:
        screen.page.unroute_all()
        screen.faults.clear()


def test_a_slice_that_cannot_be_drawn_never_shows_the_one_before(screen: Screen, station: Live) -> None:
    """Case H60: the last of three slices is damaged. Its place is empty and nothing can be measured on it."""
    folder = Path(__file__).parents[1] / "cases" / "H60"
    for path in sorted(folder.glob("*.dcm")):
        send(station, path.read_bytes())
    screen.open("2.25.868877465996930673941233125230982568")
    canvas = screen.page.locator(".cell-canvas").first
    assert canvas.evaluate("c => getComputedStyle(c).opacity") == "1"
    screen.key("End")
    assert screen.soon(lambda: "cannot be displayed" in screen.notice())
    assert "frame" in screen.notice() and "(4" not in screen.notice(), "the server's words, not its status"
    assert canvas.evaluate("c => getComputedStyle(c).opacity") == "0"
    screen.key("l")
    x, y = screen.middle()
    screen.drag((x - 60, y), (x + 60, y))
    assert screen.page.locator("[data-measurements] li").count() == 0
    screen.key("Home")
    assert screen.soon(lambda: "cannot be displayed" not in screen.notice())
    assert canvas.evaluate("c => getComputedStyle(c).opacity") == "1"
    screen.drag((x - 60, y), (x + 60, y))
    assert screen.page.locator("[data-measurements] li").count() == 1
    screen.faults.clear()
