"""The composer in a real browser against a real Filmroom: pictures, dragging, keyboard, printing, in all themes."""

import glob
import os
import re
import subprocess
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import page as validator
import pikepdf
import pydicom
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from tests.archive.make import ct_bytes
from tests.support import slowed
from tests.support.live import PASSWORD, ROOT, Live

pytestmark = [pytest.mark.browser, pytest.mark.peer]
AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
SHOTS = ROOT / "build" / "printing"


@pytest.fixture(scope="module")
def study(live: Live, shared_data: Path) -> tuple[str, list[str]]:
    """A chest CT sent by DCMTK: Study Instance UID, SOP Instance UIDs in display order."""
    files = sorted(glob.glob(str(shared_data / "series" / "ct_chest_lidc0314" / "*.dcm")))
    subprocess.run(["storescu", "-aec", "FILMROOM", "127.0.0.1", str(live.dicom_port), *files], check=True, timeout=60)
    headers = [pydicom.dcmread(f, stop_before_pixels=True) for f in files]
    headers.sort(key=lambda ds: int(ds.InstanceNumber))
    return str(headers[0].StudyInstanceUID), [str(ds.SOPInstanceUID) for ds in headers]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = "/usr/bin/chromium"
    if not os.path.exists(program):
        pytest.skip("Chromium is missing: install Debian's package chromium.")
    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu-sandbox", "--disable-background-networking"]
        opened = playwright.chromium.launch(executable_path=program, args=options)
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Browser, live: Live) -> Iterator[Page]:
    context = browser.new_context(base_url=live.url, viewport={"width": 1440, "height": 900}, color_scheme="dark")
    assert context.request.post("/api/v1/sessions", data={"user": "admin", "password": PASSWORD}).status == 201
    opened = slowed.page(context.new_page())
    faults: list[str] = []
    opened.on("pageerror", lambda fault: faults.append(str(fault)))
    yield opened
    context.close()
    assert faults == []


def _open(page: Page, query: str) -> None:
    page.goto(f"/print?{query}")
    page.wait_for_selector('[data-composer="ready"]')
    _drawn(page)


def _drawn(page: Page) -> None:
    page.wait_for_selector('#composer-root[data-drawn="yes"]')
    page.wait_for_load_state("networkidle")


def _cells(page: Page) -> list[bool]:
    """Which cells of the page shown hold an image."""
    return page.eval_on_selector_all(  # type: ignore[no-any-return]
        ".composer-paper [data-cell]", "cells => cells.map(cell => cell.querySelector('image') !== null)"
    )


def _numbers(page: Page) -> list[str]:
    """The image numbers printed in the corners of the page shown."""
    return page.eval_on_selector_all(  # type: ignore[no-any-return]
        ".composer-paper [data-cell]",
        "cells => cells.map(c => [...c.querySelectorAll('text')].map(t => t.textContent).find(t => t.includes('·'))?.split(' ')[0] ?? '')",
    )


def _axe(page: Page) -> list[tuple[str, list[str]]]:
    page.evaluate(AXE.read_text("utf-8"))
    found: dict[str, Any] = page.evaluate("axe.run()")
    return [(v["id"], [n["html"][:120] for n in v["nodes"]][:3]) for v in found["violations"]]


def _drag(page: Page, start: str, end: str) -> None:
    a, b = page.locator(start).first.bounding_box(), page.locator(end).first.bounding_box()
    assert a and b
    page.mouse.move(a["x"] + a["width"] / 2, a["y"] + a["height"] / 2)
    page.mouse.down()
    page.mouse.move(b["x"] + b["width"] / 2, b["y"] + b["height"] / 2, steps=6)
    page.mouse.up()
    _drawn(page)


def _shot(page: Page, name: str) -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}.png")


def _four(study: tuple[str, list[str]]) -> str:
    uid, images = study
    return f"study={uid}&items=" + ",".join(
        f"{one}:1:{w}" for one, w in zip(images, ("40:400", "", "-600:1500", ""), strict=False)
    )


def test_four_images_are_seen_printed_and_the_file_is_pdf_a(
    page: Page, live: Live, study: tuple[str, list[str]]
) -> None:
    _open(page, _four(study))
    assert _cells(page) == [True] * 4
    expect(page.locator(".composer-print button")).to_contain_text("Create PDF, 1 page")
    page.click(".composer-print button")
    page.wait_for_selector(".toast.ok", timeout=60_000)
    with live.client() as client:
        made = client.get("/api/v1/prints").json()["items"][0]
        data = client.get(made["pdf"]).content
    assert made["pages"] == 1 and validator.is_pdf_compliant_bytes(data, profile="3b")
    page.goto("/prints")
    expect(page.locator(".queue-list > li").first).to_contain_text("Done")


def test_opening_shows_a_busy_page_that_cannot_be_printed_yet_and_back_returns(
    page: Page, study: tuple[str, list[str]]
) -> None:
    held: list[Route] = []
    page.route("**/api/v1/prints/preview*", lambda route: held.append(route))
    page.goto("/storage?q=&period=all")
    page.evaluate("address => { location.href = address; }", f"/print?{_four(study)}")
    stage, button = page.locator("[data-stage]"), page.locator('.composer-print [type="submit"]')
    expect(stage).to_have_attribute("aria-busy", "true")
    expect(button).to_be_disabled()
    page.keyboard.press("Control+p")
    expect(page.locator("[data-state]")).to_be_empty()
    page.unroute("**/api/v1/prints/preview*")  # lets the held requests go on
    _drawn(page)
    expect(button).to_be_enabled()
    assert stage.get_attribute("aria-busy") is None
    page.get_by_role("link", name="Back", exact=True).click()
    page.wait_for_url("**/storage?q=&period=all")


def test_a_refused_print_keeps_page_and_password_and_the_next_one_is_as_chosen(page: Page, live: Live) -> None:
    """A refusal is answered in the form; nothing is sent to the page's own address, where a password would be read."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    files = [
        ("files", ("a.dcm", ct_bytes("1.2.77.1.1", "1.2.77", "1.2.77.1", InstanceNumber=1, PixelSpacing=[0.5, 0.5]))),
        ("files", ("b.dcm", ct_bytes("1.2.77.1.2", "1.2.77", "1.2.77.1", InstanceNumber=2))),
    ]
    with live.client() as client:
        assert client.post("/api/v1/imports", files=files).status_code == 200
    _open(page, "study=1.2.77&items=1.2.77.1.1:1,1.2.77.1.2:1")
    address = page.url
    page.fill('[name="password"]', "Zebra-Crossing-99")
    page.fill('[name="margin_mm"]', "15")
    page.click('label:has([name="scaling"][value="actual"])')
    page.click(".composer-print button")
    expect(page.locator('.field:has([name="scaling"]) .error')).to_contain_text("its pixel size is unknown")
    assert page.url == address and page.input_value('[name="password"]') == "Zebra-Crossing-99"
    page.click('label:has([name="scaling"][value="fill"])')
    _drawn(page)
    assert _cells(page) == [True, True]
    with page.expect_response(lambda r: r.url.endswith("/api/v1/prints/batch") and r.status == 202) as accepted:
        page.keyboard.press("Control+p")
    page.wait_for_selector(".toast.ok", timeout=60_000)
    (made,) = accepted.value.json()["items"]
    assert (made["options"]["scaling"], made["options"]["margin_mm"], made["images"]) == ("fill", 15, 2)
    with live.client() as client:
        data = client.get(f"/api/v1/prints/{made['id']}/pdf").content
    with pytest.raises(pikepdf.PasswordError):
        pikepdf.open(BytesIO(data))
    with pikepdf.open(BytesIO(data), password="Zebra-Crossing-99") as pdf:
        assert len(pdf.pages) == 1
    assert page.url == address
    assert not [url for url in asked if "password" in url or "Zebra" in url]


def test_what_the_preview_shows_is_what_is_printed(page: Page, live: Live, study: tuple[str, list[str]]) -> None:
    """The page on the screen and the page of the file, laid over each other."""
    _open(page, _four(study))
    page.click('[data-do="margins"]')
    shown = np.asarray(Image.open(BytesIO(page.locator(".composer-paper").screenshot())).convert("L"), float)
    page.click(".composer-print button")
    page.wait_for_selector(".toast.ok", timeout=60_000)
    with live.client() as client:
        data = client.get(client.get("/api/v1/prints").json()["items"][0]["pdf"]).content
    raster = subprocess.run(["pdftoppm", "-r", "100", "-gray", "-"], input=data, capture_output=True, check=True).stdout
    printed = np.asarray(Image.open(BytesIO(raster)).resize(shown.shape[::-1], Image.Resampling.BOX), float)
    assert np.abs(shown - printed).mean() < 8, "preview and paper differ"
    assert np.corrcoef(shown.ravel(), printed.ravel())[0, 1] > 0.97


def test_dragging_fills_swaps_and_delete_empties(page: Page, study: tuple[str, list[str]]) -> None:
    _open(page, _four(study))
    before = _numbers(page)
    _drag(page, '.composer-paper [data-cell="0"]', '.composer-paper [data-cell="3"]')
    assert _numbers(page) == [before[3], before[1], before[2], before[0]]
    page.locator('.composer-paper [data-cell="1"]').click()
    page.keyboard.press("Delete")
    _drawn(page)
    assert _cells(page) == [True, False, True, True]
    page.locator(".composer-thumb").nth(9).click()
    page.locator(".composer-thumb").nth(10).click()
    assert page.locator(".composer-thumb .order").all_text_contents() == ["1", "2"]
    _drag(page, '.composer-thumb[data-index="9"]', '.composer-paper [data-cell="1"]')
    assert _cells(page) == [True] * 4 and len(set(_numbers(page))) == 4
    page.keyboard.press("Control+z")
    _drawn(page)
    assert _cells(page) == [True, False, True, True]


def test_the_keyboard_alone_is_enough(page: Page, study: tuple[str, list[str]]) -> None:
    _open(page, f"study={study[0]}&items={study[1][0]}:1")
    page.locator('input[name="layout"][value="2x2"]').focus()
    page.keyboard.press("Space")
    _drawn(page)
    page.locator(".composer-thumb").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    page.keyboard.press("Shift+ArrowDown")
    assert page.locator('.composer-thumb[aria-selected="true"]').count() == 3
    page.keyboard.press("Enter")
    _drawn(page)
    assert _cells(page) == [True] * 4
    first = _numbers(page)
    page.locator('.composer-paper [data-cell="0"] .cell-edge').focus()
    page.keyboard.press("Shift+ArrowRight")
    _drawn(page)
    assert _numbers(page) == [first[1], first[0], *first[2:]]


def _looks(page: Page, selector: str) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(page.locator(selector).first.screenshot())).convert("L"), float)


def _differ(one: np.ndarray, other: np.ndarray) -> float:
    """Mean difference of blocks of 6 x 6, at the shift of up to four pixels where it is least: the outline of a chosen
    cell is taken into its picture, and noise that lies half a pixel aside does not count."""
    rows, columns = ((min(one.shape[n], other.shape[n]) - 16) // 6 for n in (0, 1))

    def blocks(image: np.ndarray, y: int, x: int) -> np.ndarray:
        part = image[y : y + rows * 6, x : x + columns * 6]
        return np.asarray(part.reshape(rows, 6, columns, 6).mean((1, 3)))

    fixed = blocks(one, 6, 6)
    return min(float(np.abs(fixed - blocks(other, y, x)).mean()) for y in range(2, 11) for x in range(2, 11))


def _edit_shows(page: Page, part: str) -> None:
    """The editor has fetched the picture as it is set now."""
    expect(page.locator(".composer-edit")).to_have_attribute("data-shown", re.compile(part), timeout=30_000)


def test_a_double_click_edits_window_zoom_and_crop_in_place(page: Page, study: tuple[str, list[str]]) -> None:
    """What was seen while editing is what the page and so the paper show; one step takes it back."""
    _open(page, _four(study))
    page.locator('.composer-options input[name="texts"], .composer-options select[name="texts"]').select_option("none")
    for name in ("ruler", "letters"):
        page.locator(f'.composer-options input[name="{name}"]').uncheck()
    _drawn(page)
    before = _looks(page, '.composer-paper [data-cell="0"]')
    page.locator('.composer-paper [data-cell="0"]').dblclick()
    edit = page.locator(".composer-edit")
    expect(edit).to_be_focused(timeout=30_000)
    _edit_shows(page, "window=40%2C400")
    box = edit.bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    for _ in range(6):
        page.mouse.wheel(0, -100)
    page.mouse.down()
    page.mouse.move(x + 100, y - 40, steps=4)  # wider, and a lower centre
    page.mouse.up()
    expect(page.locator('[data-edit="width"]')).to_have_value("600")
    expect(page.locator('[data-edit="center"]')).to_have_value("-40")
    expect(page.locator("[data-edit-zoom]")).to_have_text("231 %")
    page.locator('[name="edit-drag"][value="move"]').check(force=True)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y + 30, steps=4)
    page.mouse.up()
    _edit_shows(page, "window=-40%2C600")
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / "composer-edit.png")
    faults = _axe(page)
    assert faults == [], faults
    edited = _looks(page, ".composer-edit")
    page.locator('[data-edit-do="done"]').click()
    expect(edit).to_have_count(0)
    _drawn(page)
    after = _looks(page, '.composer-paper [data-cell="0"]')
    assert _differ(edited, after) < 5, "the page shows what was edited"
    assert _differ(before, after) > 20
    page.keyboard.press("Control+z")
    _drawn(page)
    assert _differ(_looks(page, '.composer-paper [data-cell="0"]'), before) < 2


def test_the_keyboard_edits_in_place_too_and_escape_gives_up(page: Page, study: tuple[str, list[str]]) -> None:
    _open(page, _four(study))
    sent: list[dict[str, Any]] = []
    page.on("request", lambda r: sent.append(r.post_data_json) if r.url.endswith("page=1&pages=8") else None)
    cell = page.locator('.composer-paper [data-cell="1"] .cell-edge')
    cell.focus()
    page.keyboard.press("Enter")
    edit = page.locator(".composer-edit")
    expect(edit).to_be_focused(timeout=30_000)
    for key in ("+", "+", "ArrowRight", "Shift+ArrowRight", "r", "f", "i"):
        page.keyboard.press(key)
    page.keyboard.press("Escape")
    expect(edit).to_have_count(0)
    expect(cell).to_be_focused()
    assert sent == [], "nothing was kept"
    page.keyboard.press("Enter")
    expect(edit).to_be_focused(timeout=30_000)
    for key in ("r", "+", "+", "+", "ArrowDown", "i"):
        page.keyboard.press(key)
    page.locator('[data-edit="width"]').fill("321")
    page.keyboard.press("Enter")
    _drawn(page)
    expect(page.locator('.composer-paper [data-cell="1"] .cell-edge')).to_be_focused()
    kept = sent[-1]["items"][1]
    assert (kept["rotate"], kept["invert"], kept["window"][1]) == (90, True, 321)
    left, top, right, bottom = kept["crop"]
    assert 0 <= left < right <= 1 and 0 <= top < bottom < 1.0001 and right - left < 1 and top + bottom > 1


@pytest.fixture(scope="module")
def other(live: Live, shared_data: Path) -> str:
    """A second patient's study: one radiograph."""
    path = shared_data / "modality" / "cr_rg2_mono2_10bit_jpeg-lossless.dcm"
    with live.client() as client:
        assert client.post("/api/v1/imports", files=[("files", (path.name, path.read_bytes()))]).status_code == 200
    return str(pydicom.dcmread(path, stop_before_pixels=True).StudyInstanceUID)


def test_several_studies_print_together_but_patients_never_mix_silently(
    page: Page, live: Live, study: tuple[str, list[str]], other: str
) -> None:
    page.goto("/storage")
    for uid in (study[0], other):
        page.locator(f'tr[data-study="{uid}"] input.box').click()
    page.click('#selection [data-act="print"]')
    question = page.locator("dialog:modal")
    expect(question).to_contain_text("2 patients")
    page.keyboard.press("Escape")  # the safe answer
    expect(question).to_have_count(0)
    assert page.url.endswith("/storage")
    page.click('#selection [data-act="print"]')
    question.get_by_role("button", name="Arrange").click()
    page.wait_for_selector('[data-composer="ready"]')
    _drawn(page)
    expect(page.locator("[data-pages] li")).to_have_count(3)  # a CT of 32 images at 4x4, and the radiograph alone
    expect(page.locator("#composer-series optgroup")).to_have_count(2)
    expect(page.locator("[data-separate]")).to_contain_text("2 prints")
    expect(page.locator("[data-separate]")).not_to_contain_text("Not printed")
    with live.client() as client:
        before = client.get("/api/v1/prints").json()["total"]
    page.click(".composer-print button")
    expect(page.locator(".toast.ok")).to_have_count(2, timeout=60_000)
    with live.client() as client:
        made = client.get("/api/v1/prints").json()
    assert made["total"] == before + 2
    assert [(one["pages"], one["patients"]) for one in made["items"][:2]] in ([(1, 1), (2, 1)], [(2, 1), (1, 1)])
    # Put beside each other by hand: asked before it is printed, and said in the preview.
    page.select_option(
        "#composer-series", label=page.locator("#composer-series optgroup").nth(1).locator("option").inner_text()
    )
    page.locator(".composer-thumb").first.click()
    _drag(page, ".composer-thumb", '.composer-paper [data-cell="3"]')
    expect(page.locator("[data-note]")).to_contain_text("Page 1 contains images of 2 patients")
    page.click(".composer-print button")
    expect(question).to_contain_text("Different patients on one page?")
    question.get_by_role("button", name="Back to the pages").click()
    expect(question).to_have_count(0)
    with live.client() as client:
        assert client.get("/api/v1/prints").json()["total"] == made["total"], "nothing was ordered"


def _two_patients(live: Live) -> str:
    """Only the image of the first patient has a pixel spacing. Returns the query of the composer."""
    made = {
        uid: ct_bytes(f"{uid}.1.1", uid, f"{uid}.1", PatientID=patient, PatientName=patient, **more)
        for uid, patient, more in (
            ("1.2.61", "First^Ann", {"PixelSpacing": [0.5, 0.5]}),
            ("1.2.62", "Second^Bob", {}),
        )
    }
    with live.client() as client:
        files = [("files", (f"{uid}.dcm", data)) for uid, data in made.items()]
        assert client.post("/api/v1/imports", files=files).status_code == 200
    return "study=1.2.61&study=1.2.62"


def _total(live: Live) -> int:
    with live.client() as client:
        return int(client.get("/api/v1/prints").json()["total"])


def test_a_refused_print_of_one_patient_orders_none_and_the_retry_orders_each_once(page: Page, live: Live) -> None:
    _open(page, _two_patients(live))
    before = _total(live)
    page.click('label:has([name="layout"][value="2x3"])')
    _drawn(page)
    page.click('label:has([name="scaling"][value="actual"])')
    _drawn(page)
    # The preview follows the chosen layout, and says for whom it cannot be drawn.
    expect(page.locator("[data-note]")).to_contain_text("Second, Bob · Second^Bob: Image 1 cannot be printed")
    page.click('label:has([name="layout"][value="1x2"])')
    _drawn(page)
    assert len(_cells(page)) == 2
    page.locator('[data-page-button="2"]').click()
    _drawn(page)
    assert len(_cells(page)) == 2
    page.click(".composer-print button")
    refusal = page.locator('.field:has([name="scaling"]) .error')
    expect(refusal).to_contain_text("Second, Bob · Second^Bob: Image 1 cannot be printed")
    assert "First" not in refusal.inner_text()
    expect(page.locator("[data-state]")).to_contain_text("Nothing was printed: 1 of 2 prints")
    _shot(page, "refused-of-two")
    assert _total(live) == before
    page.click('label:has([name="scaling"][value="fit"])')
    _drawn(page)
    page.dblclick(".composer-print button")
    done = page.locator(".toast.ok")
    expect(done).to_have_count(2, timeout=60_000)
    assert sorted(text.split(":")[0] for text in done.locator(".what").all_text_contents()) == [
        "First, Ann · First^Ann",
        "Second, Bob · Second^Bob",
    ]
    assert _total(live) == before + 2


def test_a_print_whose_answer_was_lost_is_not_ordered_twice(page: Page, live: Live) -> None:
    """Also after the page was loaded again."""
    query = _two_patients(live)
    before = _total(live)

    def lose(route: Route) -> None:
        route.fetch()
        route.abort()

    page.route("**/api/v1/prints/batch", lose)
    _open(page, query)
    page.click(".composer-print button")
    expect(page.locator(".toast.bad")).to_contain_text("Not printed")
    assert _total(live) == before + 2, "the server has accepted it"
    page.unroute("**/api/v1/prints/batch")
    _open(page, query)
    page.click(".composer-print button")
    expect(page.locator(".toast.ok", has_text="Already in the print queue")).to_be_visible()
    assert _total(live) == before + 2
    page.wait_for_timeout(1100)
    with page.expect_response("**/api/v1/prints/batch"):
        page.click(".composer-print button")  # somebody who wants a second copy gets it
    expect(page.locator("[data-state]")).to_have_text("Done", timeout=60_000)
    assert _total(live) == before + 4


def test_a_study_without_images_is_named_before_and_after_the_print(
    page: Page, live: Live, study: tuple[str, list[str]], other: str
) -> None:
    empty = ct_bytes("1.2.88.1.1", "1.2.88", "1.2.88.1", pixels=None)
    with live.client() as client:
        assert client.post("/api/v1/imports", files=[("files", ("empty.dcm", empty))]).status_code == 200
    said = "Not printed: Doe, Jane · P1 (Chest, 2 Jan 2024). Its images contain no pixel data."
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto("/storage")
    for uid in (other, "1.2.88"):
        page.locator(f'tr[data-study="{uid}"] input.box').click()
    page.click('#selection [data-act="print"]')
    expect(page.locator("dialog:modal")).to_contain_text(said)
    _shot(page, "unprinted-dialog")
    page.get_by_role("button", name="Arrange").click()
    page.wait_for_selector('[data-composer="ready"]')
    _drawn(page)
    expect(page.locator("[data-note]")).to_contain_text(said)
    _shot(page, "unprinted-composer")
    page.click(".composer-print button")
    expect(page.locator(".toast.ok")).to_contain_text(said, timeout=60_000)
    _shot(page, "unprinted-printed")
    _open(page, "study=1.2.88")
    expect(page.locator("[data-note]")).to_contain_text(said)
    expect(page.locator(".composer-print button")).to_be_disabled()
    _shot(page, "unprinted-alone")


def test_a_margin_out_of_range_is_said_at_once_and_a_password_can_be_shown(page: Page, other: str) -> None:
    page.set_viewport_size({"width": 1280, "height": 800})
    _open(page, f"study={other}")
    margin = page.locator('.field:has([name="margin_mm"])')
    page.fill('[name="margin_mm"]', "200")
    expect(margin.locator(".error")).to_have_text("Enter a number from 5 to 20.")
    _shot(page, "margin")
    page.fill('[name="margin_mm"]', "12")
    expect(margin.locator(".error")).to_have_count(0)
    page.fill('[name="password"]', "Zebra-Crossing-99")
    page.get_by_role("button", name="Show password").click()
    expect(page.locator("#f-password")).to_have_attribute("type", "text")
    _shot(page, "password")


def test_layout_paper_and_rule_change_the_page(page: Page, study: tuple[str, list[str]]) -> None:
    _open(page, f"study={study[0]}")
    assert len(_cells(page)) == 16, "a CT is laid out 4x4"
    expect(page.locator("[data-pages] li")).to_have_count(2)
    page.select_option('[name="paper"]', "A3")
    page.locator('.segments label:has(input[value="landscape"])').click()
    _drawn(page)
    box = page.evaluate("document.querySelector('.composer-paper svg').getAttribute('viewBox')")
    assert box == "0 0 420 297"
    page.locator('label:has(input[name="layout"][value="1+3"])').click()
    _drawn(page)
    expect(page.locator("[data-pages] li")).to_have_count(8)
    page.locator('label:has(input[name="scaling"][value="actual"])').click()
    expect(page.locator("[data-note]")).to_contain_text("Actual size requires")
    page.locator("[data-note] button").click()
    expect(page.locator("[data-note]")).to_be_hidden()
    page.fill('[name="margin_mm"]', "40")
    page.click(".composer-print button")
    assert page.evaluate("document.querySelector('[name=margin_mm]').validity.rangeOverflow")


@pytest.mark.parametrize("theme", ["light", "dark", "contrast"])
@pytest.mark.parametrize("place", ["composer", "queue"])
def test_no_accessibility_fault(page: Page, study: tuple[str, list[str]], theme: str, place: str) -> None:
    if place == "composer":
        _open(page, _four(study))
    else:
        page.goto("/prints")
    page.evaluate("theme => document.documentElement.dataset.theme = theme", theme)
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{place}-{theme}.png")
    assert _axe(page) == []


@pytest.mark.parametrize("width", [1280, 1024, 768])
def test_no_page_scrolls_sideways(page: Page, study: tuple[str, list[str]], width: int) -> None:
    page.set_viewport_size({"width": width, "height": 768})
    _open(page, _four(study))
    page.screenshot(path=SHOTS / f"composer-{width}.png")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
