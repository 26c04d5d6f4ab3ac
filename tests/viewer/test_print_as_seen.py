"""Print from the viewer: each image on paper as it is on the screen (PRN-5), and no measurement lost without a question
(VIEW-8)."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.viewer.screen import SHOTS, Screen

pytestmark = pytest.mark.browser
Put = Callable[..., pydicom.Dataset]
CT = "modality/ct_brain_explicit.dcm"
WAIT = 60_000
_DPI = 150


def measure(screen: Screen, start: tuple[float, float], end: tuple[float, float]) -> str:
    """Draws a length and answers the text that stands beside it."""
    screen.act("tool:length")
    screen.drag(start, end)
    screen.page.mouse.move(start[0] - 150, start[1] + 200)
    text = screen.page.locator(".cell.active svg.svg-layer text tspan").first
    expect(text).to_contain_text("mm", timeout=WAIT)
    screen.act("tool:window")
    return str(text.text_content())


def printed(screen: Screen, folder: Path) -> tuple[bytes, np.ndarray]:
    """Presses Print in the viewer and in the composer: the PDF, and what its only picture looks like on paper."""
    page = screen.page
    screen.page.evaluate("""document.querySelector('#viewer-root [data-action="print"]').click()""")
    page.wait_for_selector('#composer-root[data-drawn="yes"]', timeout=WAIT)
    page.wait_for_timeout(200)
    box = page.locator(".composer-paper image").first
    x, y, width, height = (float(box.get_attribute(name) or 0) for name in ("x", "y", "width", "height"))
    page.screenshot(path=SHOTS / f"print-{folder.name}-composer.png", caret="initial")
    with page.expect_response(lambda answer: answer.url.endswith("/api/v1/prints/batch"), timeout=WAIT) as ordered:
        page.keyboard.press("Control+p")
    place = ordered.value.json()["items"][0]["id"]
    with screen.live.client() as client:
        assert screen.soon(lambda: client.get(f"/api/v1/prints/{place}").json()["state"] in ("done", "failed"))
        pdf = client.get(f"/api/v1/prints/{place}/pdf").content
    whole = drawn(pdf, folder)
    per = _DPI / 25.4
    return pdf, whole[round(y * per) : round((y + height) * per), round(x * per) : round((x + width) * per)]


def drawn(pdf: bytes, folder: Path) -> np.ndarray:
    """The first page as a picture of _DPI."""
    (folder / "print.pdf").write_bytes(pdf)
    made = subprocess.run(
        ["pdftoppm", "-r", str(_DPI), "-png", "-singlefile", folder / "print.pdf"], capture_output=True, check=True
    )
    whole: np.ndarray = imagecodecs.imread(made.stdout)
    Image.fromarray(whole).save(SHOTS / f"print-{folder.name}.png")
    return whole[:, :, :3]


def words(pdf: bytes) -> str:
    made = subprocess.run(["pdftotext", "-layout", "-", "-"], input=pdf, capture_output=True, check=True)
    return made.stdout.decode()


def alike(screen: np.ndarray, paper: np.ndarray) -> float:
    """How well two pictures of the same thing agree, whatever their sizes."""
    size = (200, 200)
    a, b = (np.asarray(Image.fromarray(one).convert("L").resize(size), float) for one in (screen, paper))
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


@pytest.mark.parametrize(
    "actions",
    [
        ("invert", "rotate-right", "flip-horizontal"),
        ("flip-vertical",),
        ("rotate-left", "flip-vertical", "invert"),
    ],
    ids=["inverted-turned-flipped", "upside-down", "turned-left-and-flipped"],
)
def test_the_paper_shows_what_the_screen_shows(
    screen: Screen, put: Put, tmp_path: Path, actions: tuple[str, ...], request: pytest.FixtureRequest
) -> None:
    ct = put(CT)
    assert screen.open(ct.StudyInstanceUID) == "loaded"
    for action in actions:
        screen.act(action)
    for _ in range(6):
        screen.key("+")
    x, y = screen.middle()
    screen.act("tool:pan")
    screen.drag((x, y), (x + 120, y - 70))
    start, end = (x - 140, y - 40), (x + 60, y + 90)
    said = measure(screen, start, end)
    seen = screen.canvas()
    box = screen.page.locator(".cell.active .cell-canvas canvas").bounding_box()
    assert box is not None
    screen.page.screenshot(path=SHOTS / f"print-{tmp_path.name}-screen.png", caret="initial")
    pdf, paper = printed(screen, tmp_path)
    assert abs(seen.shape[1] / seen.shape[0] - paper.shape[1] / paper.shape[0]) < 0.02, "the same part"
    assert alike(seen, paper) > 0.97
    assert said in words(pdf)
    # The line lies where it lies on the screen: light, with a dark edge.
    for part in (0.25, 0.5, 0.75):
        across = (start[0] + part * (end[0] - start[0]) - box["x"]) / box["width"]
        down = (start[1] + part * (end[1] - start[1]) - box["y"]) / box["height"]
        row, column = round(down * paper.shape[0]), round(across * paper.shape[1])
        around = paper[row - 3 : row + 4, column - 3 : column + 4].mean(axis=2)
        assert around.max() > 235 and around.min() < 60, (part, around)
    # Back again: nothing was lost by printing.
    screen.page.go_back()
    assert screen.settled() == "loaded"
    expect(screen.page.locator(".cell.active svg.svg-layer text tspan").first).to_have_text(said, timeout=WAIT)
    row = screen.page.locator(".viewer-mark")
    expect(row).to_contain_text(said, timeout=WAIT)
    expect(row).to_contain_text(f"{ct.SeriesNumber}: CT")
    screen.page.evaluate("document.querySelector('[data-delete]').click()")


def test_every_cell_of_a_layout_is_printed_as_it_is_seen(screen: Screen, put: Put, tmp_path: Path) -> None:
    """Each with its own slice, window, turn, flip, part and measurement, on a page of as many cells."""
    ct, page = put("series/ct_chest_lidc0314/*.dcm"), screen.page
    assert screen.open(ct.StudyInstanceUID) == "loaded"
    screen.act("layout:2x2")
    done: tuple[tuple[str, ...], ...] = (
        ("invert",),
        ("rotate-right", "flip-vertical"),
        ("rotate-left",),
        ("flip-horizontal", "invert"),
    )
    said = []
    for cell, actions in enumerate(done):
        page.locator(f'.cell[data-cell="{cell}"]').click()
        if cell:
            page.locator(f'.viewer-series[data-series="{ct.SeriesInstanceUID}"]').click()
            assert screen.soon(lambda cell=cell: "of 32" in screen.text("br", cell))
        screen.key(*(["PageDown"] * cell), str(cell + 2), *(["+"] * (2 * cell)))
        screen.rest()
        for action in actions:
            screen.act(action)
        x, y = screen.middle()
        screen.act("tool:length")
        screen.drag((x - 60 - 5 * cell, y - 20), (x + 70, y + 30))
        screen.page.mouse.move(x - 100, y + 100)
        text = page.locator(".cell.active svg.svg-layer text tspan").first
        expect(text).to_contain_text("mm", timeout=WAIT)
        said.append(str(text.text_content()))
        screen.act("tool:window")
    screen.rest()
    seen = [screen.canvas(cell) for cell in range(4)]
    page.screenshot(path=SHOTS / f"print-{tmp_path.name}-screen.png", caret="initial")
    page.evaluate("""document.querySelector('#viewer-root [data-action="print"]').click()""")
    page.wait_for_selector('#composer-root[data-drawn="yes"]', timeout=WAIT)
    boxes = page.locator(".composer-paper image").evaluate_all(
        "all => all.map(one => ['x', 'y', 'width', 'height'].map(name => Number(one.getAttribute(name))))"
    )
    assert len(boxes) == 4
    with page.expect_response(lambda answer: answer.url.endswith("/api/v1/prints/batch"), timeout=WAIT) as ordered:
        page.keyboard.press("Control+p")
    place = ordered.value.json()["items"][0]["id"]
    with screen.live.client() as client:
        assert screen.soon(lambda: client.get(f"/api/v1/prints/{place}").json()["state"] in ("done", "failed"))
        pdf = client.get(f"/api/v1/prints/{place}/pdf").content
    whole = drawn(pdf, tmp_path)
    for cell, (x, y, width, height) in enumerate(boxes):
        per = _DPI / 25.4
        paper = whole[round(y * per) : round((y + height) * per), round(x * per) : round((x + width) * per)]
        # What is beside the image on the screen is not printed.
        rows, columns = seen[cell].shape[:2]
        wide, high = min(columns, round(rows * width / height)), min(rows, round(columns * height / width))
        left, top = (columns - wide) // 2, (rows - high) // 2
        assert alike(seen[cell][top : top + high, left : left + wide], paper) > 0.9, cell  # one is all noise
        assert said[cell] in words(pdf)
    page.go_back()
    assert screen.settled() == "loaded"
    for _ in range(4):
        page.evaluate("document.querySelector('[data-delete]').click()")


def test_from_the_print_only_the_viewer_is_reached_without_a_question(screen: Screen, put: Put) -> None:
    """And who has left once is not asked again on pages that hold no measurement."""
    ct, page = put(CT), screen.page
    assert screen.open(ct.StudyInstanceUID) == "loaded"
    x, y = screen.middle()
    measure(screen, (x - 80, y), (x + 80, y + 40))
    page.evaluate("""document.querySelector('#viewer-root [data-action="print"]').click()""")
    page.wait_for_selector('#composer-root[data-drawn="yes"]', timeout=WAIT)
    question = page.locator("dialog[open]", has_text="not saved")
    page.locator('nav a[href="/storage"]').first.click()
    question.get_by_text("Cancel", exact=True).click()
    assert "/print" in page.url
    page.locator('nav a[href="/storage"]').first.click()
    question.get_by_text("Leave page", exact=True).click()
    page.wait_for_url("**/storage*", timeout=WAIT)
    dialogs: list[str] = []

    def asked(dialog: object) -> None:
        dialogs.append(dialog.type)  # type: ignore[attr-defined]
        dialog.accept()  # type: ignore[attr-defined]

    page.on("dialog", asked)
    page.locator('nav a[href="/query"]').first.click()
    page.wait_for_url("**/query*", timeout=WAIT)
    page.reload()
    page.remove_listener("dialog", asked)
    assert dialogs == []
    expect(question).to_have_count(0)


def test_who_has_printed_the_measurements_leaves_without_a_question(screen: Screen, put: Put) -> None:
    ct, page = put(CT), screen.page
    assert screen.open(ct.StudyInstanceUID) == "loaded"
    x, y = screen.middle()
    measure(screen, (x - 80, y), (x + 80, y + 40))
    page.evaluate("""document.querySelector('#viewer-root [data-action="print"]').click()""")
    page.wait_for_selector('#composer-root[data-drawn="yes"]', timeout=WAIT)
    page.locator(".composer-print button").click()
    page.wait_for_selector(".toast.ok", timeout=WAIT)
    page.locator('nav a[href="/storage"]').first.click()
    page.wait_for_url("**/storage*", timeout=WAIT)


def test_leaving_asks_when_measurements_are_not_saved(screen: Screen, put: Put) -> None:
    ct, page = put(CT), screen.page
    page.goto(f"{screen.live.url}/storage")
    page.locator(f'a[href*="{ct.StudyInstanceUID}"]').first.click()
    assert screen.settled() == "loaded"
    question = page.locator("dialog[open]", has_text="not saved")
    x, y = screen.middle()
    said = measure(screen, (x - 80, y), (x + 80, y + 40))
    mark = page.locator(".cell.active svg.svg-layer text tspan").first

    def stays() -> None:
        expect(question).to_contain_text("1 measurement", timeout=WAIT)
        page.keyboard.press("Escape")
        expect(question).to_have_count(0)
        assert "/viewer" in page.url
        expect(mark).to_have_text(said)

    page.locator('nav a[href="/storage"]').first.click()
    stays()
    page.evaluate("history.back()")
    stays()
    dialogs: list[str] = []

    def closing(dialog: object) -> None:
        dialogs.append(dialog.type)  # type: ignore[attr-defined]
        dialog.dismiss()  # type: ignore[attr-defined]

    page.on("dialog", closing)
    page.evaluate("location.reload()")
    assert screen.soon(lambda: dialogs == ["beforeunload"])
    page.remove_listener("dialog", closing)
    page.evaluate("history.back()")
    question.get_by_text("Leave page", exact=True).click()
    page.wait_for_url("**/storage*", timeout=WAIT)
    # Nothing to lose: no question, by any way.
    assert screen.open(ct.StudyInstanceUID) == "loaded"
    page.locator('nav a[href="/storage"]').first.click()
    page.wait_for_url("**/storage*", timeout=WAIT)
    expect(question).to_have_count(0)
