"""axe-core finds nothing on any page in any theme; no page scrolls sideways; all by keyboard (UI-2)."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.support.browser import chromium, visitor
from tests.support.live import Live
from tests.support.pages import PAGES

pytestmark = pytest.mark.browser
THEMES = ("dark", "light", "contrast")
ADDRESSES = [
    "/",
    "/?show=problems",
    "/storage",
    "/query",
    "/transfers",
    "/prints",
    "/anonymizations",
    "/components",
    "/conflicts",
    "/account",
    "/about",
    "/nowhere",
    "/settings/general",
    "/settings/storage",
    "/settings/security",
    "/settings/users",
    "/settings/users/new",
    "/settings/facilities/new",
    "/settings/nodes/new",
    "/settings/nodes/import",
    "/settings/routes/new",
    "/settings/audit",
    "/settings/transfer-log",
    "/settings/certificates",
    "/settings/proxy",
    "/settings/forwarder",
    "/settings/search?q=time",
]


# A fault the page is there to show is no fault of the page.
EXPECTED = {"error": "404"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def stocked(live: Live, shared_data: Path) -> Live:
    """The live server with a few real studies, among them a report and names in other scripts."""
    folders = [str(shared_data / name) for name in ("charset", "sr", "series")]
    subprocess.run(
        [
            "dcmsend",
            "-q",
            "-nh",
            "-aet",
            "CT_A801",
            "-aec",
            "FILMROOM",
            "127.0.0.1",
            str(live.dicom_port),
            "+sd",
            "+r",
            *folders,
        ],
        check=False,  # some of the files are odd on purpose; what matters is that studies are there
        capture_output=True,
        timeout=120,
    )
    with live.client() as client:
        assert client.get("/storage").text.count('<tr class="item') > 5
    return live


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing(browser: Browser, stocked: Live, name: str, theme: str) -> None:
    path, prepare = PAGES[name]
    with visitor(browser, stocked, theme=theme) as window:
        window.go(path)
        prepare(window)
        window.page.wait_for_timeout(250)
        window.shot(f"{name}-{theme}")
        assert window.axe() == []


@pytest.mark.parametrize("theme", THEMES)
def test_axe_finds_nothing_before_the_login(browser: Browser, stocked: Live, theme: str) -> None:
    with visitor(browser, stocked, theme=theme, user=None) as window:
        window.go("/storage")
        assert "/login" in window.page.url
        window.shot(f"login-{theme}")
        assert window.axe() == []


@pytest.mark.parametrize("name", PAGES)
def test_no_page_complains(browser: Browser, stocked: Live, name: str) -> None:
    """No script fault, no refusal by the CSP, nothing missing."""
    path, prepare = PAGES[name]
    with visitor(browser, stocked) as window:
        window.go(path)
        prepare(window)
        window.page.wait_for_timeout(600)
        expected = EXPECTED.get(name)
        assert [fault for fault in window.faults if not expected or expected not in fault] == []


# What is wrong with a page at a width: how far it scrolls sideways, and buttons that are too small to hit or lie outside.
_FAULTS = """() => {
  const root = document.documentElement, width = root.clientWidth, found = [];
  if (root.scrollWidth > width) found.push(`scrolls ${root.scrollWidth - width} px sideways`);
  const scrolls = (node) => {
    for (let up = node.parentElement; up; up = up.parentElement)
      if (/auto|scroll/.test(getComputedStyle(up).overflowX) && up.scrollWidth > up.clientWidth) return true;
    return false;
  };
  for (const node of document.querySelectorAll('a, button, summary, select, input:not([type=hidden])')) {
    const own = node.getBoundingClientRect(), style = getComputedStyle(node);
    if (!own.width || style.visibility === 'hidden' || node.closest('.visually-hidden, details:not([open]) > :not(summary)')) continue;
    if (style.display === 'inline' && node.matches('a')) continue;
    const box = (node.closest('label, td.pick, th.pick') ?? node).getBoundingClientRect();
    const name = `${node.tagName} ${node.id || node.name || node.className} ${node.textContent.trim().slice(0, 30)}`;
    if (box.width < 23.5 || box.height < 23.5) found.push(`${name}: ${box.width} x ${box.height}`);
    if ((own.right > width + 1 || own.left < -1) && !scrolls(node) && !node.closest('td.clip, td.name')) found.push(`${name}: outside`);
  }
  return found.slice(0, 8);
}"""


@pytest.mark.parametrize(("language", "widths"), [("en", (390, 768, 1280)), ("es", (390, 1024))])
def test_pages_fit_phones_tablets_and_small_screens(
    browser: Browser, stocked: Live, language: str, widths: tuple[int, ...]
) -> None:
    """No page scrolls sideways, every target is at least 24 px wide and high, and none lies outside the page."""
    with stocked.client() as client:
        studies = client.get("/api/v1/studies", params={"modality": "CT"}).json()["items"]
    study = studies[0]["study_instance_uid"]
    faults = []
    with visitor(browser, stocked, theme="light", language=language) as window:
        for path in (*ADDRESSES, f"/print?study={study}", f"/viewer?study={study}"):
            window.page.set_viewport_size({"width": widths[0], "height": 900})
            window.go(path)
            for width in widths:
                window.page.set_viewport_size({"width": width, "height": 900})
                window.page.wait_for_timeout(60)
                faults += [f"{path} at {width}: {one}" for one in window.page.evaluate(_FAULTS)]
    assert faults == []


def test_the_table_is_worked_by_keyboard(browser: Browser, stocked: Live) -> None:
    with visitor(browser, stocked) as window:
        window.go("/storage")
        page = window.page
        rows = page.locator("tr.item")
        assert page.locator('tr.item[tabindex="0"]').count() == 1, "one tab stop a table"
        rows.first.focus()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Space")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Shift+Space")
        assert page.locator('tr.item[aria-selected="true"]').count() == 3
        assert "3 studies" in page.locator("#selection .what").inner_text()
        page.keyboard.press("ArrowRight")
        page.locator("tr.unfolded").wait_for()
        page.keyboard.press("ArrowLeft")
        assert page.locator("tr.unfolded").count() == 0
        page.keyboard.press("Escape")
        assert page.locator('tr.item[aria-selected="true"]').count() == 0
        assert not page.locator("#selection").is_visible()
        page.keyboard.press("Control+a")
        assert page.locator('tr.item[aria-selected="true"]').count() == rows.count()
        page.keyboard.press("Escape")
        page.keyboard.press("End")
        assert rows.last.evaluate("row => row === document.activeElement")
        uid = rows.last.get_attribute("data-study")
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/viewer?study={uid}")


def test_shortcuts_and_focus(browser: Browser, stocked: Live) -> None:
    with visitor(browser, stocked) as window:
        window.go("/storage")
        page = window.page
        page.evaluate("window.stays = true")
        page.keyboard.press("/")
        assert page.evaluate("document.activeElement.id") == "search"
        page.keyboard.press("Escape")
        page.keyboard.press("g")
        page.keyboard.press("i")
        page.wait_for_url("**/")
        page.locator(".incoming").wait_for()
        assert page.evaluate("window.stays") is True, "one warm page: scripts live on"
        assert page.evaluate("document.activeElement.id") == "main", "focus follows to the new page"
        assert "Incoming" in page.title()
        page.go_back()
        page.locator("table.studies").wait_for()
        assert page.evaluate("window.stays") is True
        page.locator("#main").press("?")
        page.keyboard.press("Escape")
        assert not page.locator("#shortcuts").is_visible()


def test_a_study_appears_without_reloading(browser: Browser, stocked: Live, shared_data: Path) -> None:
    with visitor(browser, stocked) as window:
        window.go("/")
        page = window.page
        page.locator("#arrivals tr.item").first.wait_for()
        page.evaluate("window.stays = true")
        before = page.locator("#arrivals tr.item").count()
        file = next((shared_data / "modality").glob("*.dcm"))
        with stocked.client() as client:
            answer = client.post("/api/v1/imports", files=[("files", (file.name, file.read_bytes()))])
        assert answer.status_code == 200, answer.text
        today = page.locator("#today").inner_text()
        page.wait_for_function("n => document.querySelectorAll('#arrivals tr.item').length > n", arg=before)
        assert page.locator("#today").inner_text() != today
        assert page.evaluate("window.stays") is True
