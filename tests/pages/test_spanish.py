"""Spanish at 1280 px: its longer words are neither cut off nor laid over each other, and nothing is left in English."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.support.browser import SHOTS, chromium, visitor
from tests.support.live import Live
from tests.support.pages import PAGES

pytestmark = pytest.mark.browser

# Words and controls only: what a cell of a table holds is a patient's, and may end in an ellipsis.
_UNFIT = """() => {
  const found = [], shown = (e) => e.checkVisibility() && !e.closest('.skip, td, .thumb, .documents, .clip');
  const words = [...document.querySelectorAll('body *')].filter((e) =>
    shown(e) && [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()));
  for (const e of words) {
    const box = e.getBoundingClientRect(), range = document.createRange();
    if (box.width < 2 || box.height < 2) continue;
    range.selectNodeContents(e);
    const text = range.getBoundingClientRect(), said = e.textContent.trim().slice(0, 60);
    if (e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX !== 'visible' && e.clientWidth) found.push(`cut: ${said}`);
    if (text.right > innerWidth + 1) found.push(`beyond the window: ${said}`);
    if (e.matches('button, .btn, th, .chip, .badge, .tabs a') && text.height > 32) found.push(`broken: ${said}`);
  }
  const controls = [...document.querySelectorAll('button, a.btn, .tabs a, input, select')]
    .filter((e) => shown(e) && !e.closest('[popover], .segments')).map((e) => [e, e.getBoundingClientRect()])
    .filter(([, r]) => r.width > 2 && r.height > 2);
  controls.forEach(([a, p], i) => controls.slice(i + 1).forEach(([b, q]) => {
    const over = Math.min(p.right, q.right) - Math.max(p.left, q.left) > 3 && Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top) > 3;
    if (over && a.parentElement === b.parentElement) found.push(`overlap: ${a.textContent.trim() || a.name} / ${b.textContent.trim() || b.name}`);
  }));
  return [...new Set(found)];
}"""
_ENGLISH = re.compile(
    r"\b(the|and|is|not(?!-found)|with|was|are|this|Close|Image|Print|Study|Search|Done|Failed|Waiting|Cancel)\b"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def stocked(live: Live, shared_data: Path) -> Live:
    """A CT series and nothing else: the names and texts of these files have no English sentences in them."""
    target = ["-aet", "CT_A801", "-aec", "FILMROOM", "127.0.0.1", str(live.dicom_port)]
    subprocess.run(["dcmsend", "-q", "-nh", *target, "+sd", "+r", str(shared_data / "series")], check=True, timeout=120)
    with live.client() as client:
        assert '<tr class="item' in client.get("/storage").text
    return live


@pytest.mark.parametrize("name", [name for name in PAGES if name not in ("components", "storage-nothing")])
def test_spanish_fits_and_is_complete(browser: Browser, stocked: Live, name: str) -> None:
    path, prepare = PAGES[name]
    with visitor(browser, stocked, theme="light", language="es", size=(1280, 800)) as window:
        window.go(path)
        prepare(window)
        window.page.wait_for_timeout(250)
        (SHOTS / "es").mkdir(parents=True, exist_ok=True)
        window.page.screenshot(path=SHOTS / "es" / f"{name}.png")
        assert window.page.locator("html").get_attribute("lang") == "es"
        assert window.overflow() <= 0
        assert window.page.evaluate(_UNFIT) == []
        text = str(window.page.evaluate("document.body.innerText"))
        assert [line for line in text.split("\n") if _ENGLISH.search(line)] == []
