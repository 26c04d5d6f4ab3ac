"""Tools, layouts, marks and ways in and out."""

import json
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pydicom
import pytest
from playwright.sync_api import Playwright, expect

from tests.support.live import Live
from tests.viewer.screen import Screen, window

pytestmark = pytest.mark.browser
Put = Callable[..., pydicom.Dataset]
CT = "modality/ct_brain_explicit.dcm"


def entries(screen: Screen) -> list[str]:
    return [" ".join(words.split()) for words in screen.page.locator(".viewer-mark").all_inner_texts()]


def test_a_length_is_in_millimetres_of_the_tags(screen: Screen, put: Put) -> None:
    ct = put(CT)
    screen.open(ct.StudyInstanceUID)
    screen.act("one-to-one")
    x, y = screen.middle()
    screen.key("l")
    screen.drag((x - 50, y), (x + 50, y))
    spacing = float(ct.PixelSpacing[1])
    assert [words.split()[0] for words in entries(screen)] == [f"{100 * spacing:.1f}"]
    assert " mm " in entries(screen)[0]
    screen.shot("length")
    screen.page.locator("[data-delete]").click()
    assert entries(screen) == []


def test_a_length_is_in_pixels_without_spacing(screen: Screen, put: Put) -> None:
    us = put("modality/us_rgb.dcm")
    screen.open(us.StudyInstanceUID, us.SeriesInstanceUID)
    screen.act("one-to-one")
    x, y = screen.middle()
    screen.key("l")
    screen.drag((x - 40, y), (x + 40, y))
    assert entries(screen)[0].startswith("80.0 px")


def test_a_region_counts_the_pixels_under_it(screen: Screen, put: Put) -> None:
    ct = put(CT)
    screen.open(ct.StudyInstanceUID)
    screen.act("one-to-one")
    values = ct.pixel_array * float(ct.RescaleSlope) + float(ct.RescaleIntercept)
    x, y = screen.middle()
    screen.key("o")
    screen.drag((x - 30, y - 20), (x + 30, y + 20))
    words = entries(screen)[0].replace("−", "-").split()
    mean, deviation = float(words[1]), float(words[words.index("SD") + 1].rstrip("."))
    region = values[256 - 20 : 256 + 20, 256 - 30 : 256 + 30]
    assert "HU" in words
    assert abs(mean - region.mean()) < 3 and abs(deviation - region.std()) < 3, (mean, deviation, region.mean())


def test_cine_runs_at_the_speed_of_the_tags_and_shows_other_frames(screen: Screen, put: Put) -> None:
    us = put("modality/us_cine_30frames_jpeg_ybr422.dcm")
    assert screen.open(us.StudyInstanceUID, us.SeriesInstanceUID) == "loaded"
    first = screen.canvas()
    screen.key("c")
    places = set()

    def seen() -> bool:
        places.add(screen.text("br").split("\n")[0])
        return len(places) >= 4

    assert screen.soon(seen), places
    speed = screen.page.locator("[data-cine-words]").inner_text()
    size = screen.page.viewport_size
    screen.page.set_viewport_size({"width": 1280, "height": 800})
    for action in ("fullscreen", "help", "panel"):
        box = screen.page.locator(f'.viewer-tools [data-action="{action}"]').bounding_box()
        assert box and box["x"] + box["width"] <= 1280, action
    if size:
        screen.page.set_viewport_size(size)
    screen.key("c")
    wanted = us.get("RecommendedDisplayFrameRate") or us.get("CineRate") or 1000 / float(us.FrameTime)
    assert speed.startswith(str(round(float(wanted))))
    screen.key("End")
    assert np.abs(screen.canvas().astype(int) - first).mean() > 0.2
    still = screen.text("br")
    screen.page.wait_for_timeout(300)
    assert screen.text("br") == still


def test_the_panel_closes_when_the_window_becomes_narrow(screen: Screen, put: Put) -> None:
    ct = put("series/ct_chest_lidc0314/*.dcm")
    size = screen.page.viewport_size
    screen.page.set_viewport_size({"width": 1280, "height": 800})
    assert screen.open(ct.StudyInstanceUID) == "loaded"
    button = screen.page.locator('.viewer-tools [data-action="panel"]')
    expect(button).to_have_attribute("aria-pressed", "true")
    screen.page.set_viewport_size({"width": 900, "height": 800})
    expect(button).to_have_attribute("aria-pressed", "false")
    if size:
        screen.page.set_viewport_size(size)


def test_layouts_show_several_series_and_scroll_them_together(screen: Screen, put: Put) -> None:
    mr = put("series/mr_head_t1/*.dcm")
    ct = put("series/ct_chest_lidc0314/*.dcm")
    assert screen.open(ct.StudyInstanceUID) == "loaded"
    screen.act("layout:2x2")
    assert screen.page.locator(".cell").count() == 4
    assert screen.page.locator(".cell-empty:visible").count() == 3
    screen.page.locator('.cell[data-cell="1"]').click()
    screen.page.locator(f'.viewer-series[data-series="{ct.SeriesInstanceUID}"]').click()
    assert screen.soon(lambda: "1 of 32" in screen.text("br", 1))
    screen.rest()
    screen.act("sync")
    screen.key("PageDown")
    assert screen.soon(lambda: "11 of 32" in screen.text("br", 1) and "11 of 32" in screen.text("br", 0))
    screen.rest()
    assert np.ptp(screen.canvas(1)) > 100
    screen.shot("layout")
    screen.act("layout:1x1")
    assert screen.page.locator(".cell").count() == 1
    assert screen.open(mr.StudyInstanceUID) == "loaded"
    assert np.ptp(screen.canvas()) > 100


def test_what_is_seen_goes_to_the_composer(screen: Screen, put: Put) -> None:
    ct = put("series/ct_chest_lidc0314/*.dcm")
    screen.open(ct.StudyInstanceUID)
    screen.act("preset:3")
    screen.key("ArrowDown", "ArrowDown")
    center, width = screen.window()
    screen.page.locator('[data-action="print"]').click()
    screen.page.wait_for_url("**/print?**")
    query = parse_qs(urlsplit(screen.page.url).query)
    uid, frame, c, w = query["items"][0].split(":")
    assert query["study"] == [ct.StudyInstanceUID]
    assert (frame, float(c), float(w)) == ("1", center, width)
    with screen.live.client() as client:
        manifest = client.get(f"/api/v1/studies/{ct.StudyInstanceUID}/manifest").json()
    assert manifest["series"][0]["instances"][2]["sop_instance_uid"] == uid


def test_the_marks_come_in_order_and_the_page_is_left_clean(screen: Screen, put: Put) -> None:
    ct = put("series/ct_chest_lidc0314/*.dcm")
    screen.open(ct.StudyInstanceUID)
    marks = screen.marks()
    assert set(marks) == {"filmroom:preview", "filmroom:first-image", "filmroom:all-loaded"}
    assert marks["filmroom:preview"] <= marks["filmroom:first-image"] <= marks["filmroom:all-loaded"]
    assert screen.page.locator(".cell-preview").count() == 0
    screen.page.locator('a[href="/storage"]').first.click()
    screen.page.wait_for_url("**/storage*")
    assert screen.soon(lambda: screen.page.evaluate("document.body.dataset.viewer") is None)
    screen.page.go_back()
    assert screen.settled() == "loaded"
    assert np.ptp(screen.canvas()) > 100


def test_after_signing_out_the_way_back_shows_no_picture(playwright: Playwright, station: Live, put: Put) -> None:
    ct = put(CT)
    with window(playwright, station) as screen:  # signing out ends the session: not the one that other tests share
        screen.open(ct.StudyInstanceUID)
        assert screen.page.evaluate("[...document.images].some(one => one.naturalWidth > 0)")
        screen.page.evaluate("document.querySelector('form[action=\"/logout\"]').requestSubmit()")
        screen.page.wait_for_url("**/login")
        assert screen.page.evaluate("localStorage.length") == 0
        screen.page.go_back()
        screen.page.wait_for_url(lambda url: "/login?next=" in url)
        assert screen.page.locator("canvas").count() == 0
        assert not screen.page.evaluate("[...document.images].some(one => one.naturalWidth > 0)")
        assert str(ct.SOPInstanceUID) not in screen.page.content()


def test_the_page_brings_a_picture_before_any_script(screen: Screen, put: Put) -> None:
    ct = put(CT)
    answer = screen.page.request.get(f"/viewer?study={ct.StudyInstanceUID}")
    assert f'src="/api/v1/instances/{ct.SOPInstanceUID}/frames/1/preview' in answer.text()
    image = screen.page.request.get(f"/api/v1/instances/{ct.SOPInstanceUID}/frames/1/preview")
    assert image.headers["content-type"] == "image/jpeg"


def test_metadata_are_listed_and_found_by_name_keyword_and_number(screen: Screen, put: Put) -> None:
    ct = put(CT)
    screen.open(ct.StudyInstanceUID)
    screen.page.locator('[data-tab="metadata"]').click()
    screen.page.locator("[data-tag]").first.wait_for()
    assert str(ct.StudyInstanceUID) in screen.page.locator("[data-metadata]").inner_text()
    for wanted in ("Rescale Slope", "rescaleslope", "(0028,1053"):
        screen.page.locator("[data-tag-search]").fill(wanted)
        rows = [" ".join(words.split()) for words in screen.page.locator("[data-tag]:visible").all_inner_texts()]
        assert rows and all("Rescale Slope" in row for row in rows), (wanted, rows)
    screen.shot("metadata")


def test_text_of_an_arrow_is_asked_for_and_shown(screen: Screen, put: Put) -> None:
    ct = put(CT)
    screen.open(ct.StudyInstanceUID)
    x, y = screen.middle()
    screen.act("tool:arrow")
    screen.drag((x, y), (x + 60, y + 40))
    dialog = screen.page.locator("#viewer-text")
    dialog.wait_for(state="visible")
    screen.page.keyboard.type("Solid")
    screen.page.keyboard.press("Enter")
    dialog.wait_for(state="hidden")
    screen.rest()
    assert entries(screen)[0].startswith("Solid")
    assert "Solid" in json.dumps(screen.page.locator(".svg-layer text").all_text_contents())


def test_help_lists_the_keys_and_keeps_them_from_the_image(screen: Screen, put: Put) -> None:
    ct = put(CT)
    screen.open(ct.StudyInstanceUID)
    before = screen.window()
    screen.key("?")
    dialog = screen.page.locator("#viewer-help")
    assert dialog.is_visible() and "Ctrl+W" in dialog.inner_text()
    screen.key("2")
    screen.page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")
    assert screen.window() == before


def test_the_list_of_keys_opens_at_its_start(screen: Screen, put: Put) -> None:
    """Also where the window is too low for all of it; the button at its end has the focus."""
    assert screen.open(put("modality/ct_brain_explicit.dcm").StudyInstanceUID) == "loaded"
    size = screen.page.viewport_size
    screen.page.set_viewport_size({"width": 1280, "height": 480})
    try:
        screen.act("help")
        shown = screen.page.locator("#viewer-help").evaluate(
            "d => [d.open, d.scrollTop, d.scrollHeight > d.clientHeight]"
        )
        assert shown == [True, 0, True]
        screen.page.keyboard.press("Enter")
        assert not screen.page.locator("#viewer-help").evaluate("d => d.open")
    finally:
        if size:
            screen.page.set_viewport_size(size)


def test_delete_removes_the_selected_mark_and_undo_brings_it_back(screen: Screen, put: Put) -> None:
    ct = put(CT)
    screen.open(ct.StudyInstanceUID)
    x, y = screen.middle()
    screen.key("l")
    for up in (60, 120):
        screen.drag((x - 50, y - up), (x + 50, y - up))
    first, second = entries(screen)
    screen.page.locator(".viewer-mark [data-go]").nth(1).click()
    screen.key("Delete")
    assert entries(screen) == [first]
    screen.key("Control+z")
    assert sorted(entries(screen)) == sorted([first, second]), "what was deleted is there again"
    screen.key("Control+z")
    assert len(entries(screen)) == 1, "and the last one that was drawn is taken back"
    screen.key("Control+y")
    assert len(entries(screen)) == 2


def test_the_deletion_of_the_study_that_is_open_is_announced(screen: Screen, put: Put) -> None:
    ct = put(CT)
    screen.open(ct.StudyInstanceUID)
    with screen.live.client() as client:
        client.delete(f"/api/v1/studies/{ct.StudyInstanceUID}").raise_for_status()
    screen.page.locator(".toast.warn", has_text="This study was deleted").wait_for()
