"""axe-core finds nothing on the viewer in any theme, and nothing scrolls sideways."""

from collections.abc import Callable

import pydicom
import pytest
from playwright.sync_api import Playwright

from tests.support.browser import ARGUMENTS, visitor
from tests.support.live import Live

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(
    ("theme", "size"),
    [
        ("dark", (1440, 900)),
        ("light", (1440, 900)),
        ("contrast", (1440, 900)),
        ("dark", (1024, 768)),
        ("light", (720, 900)),
    ],
)
def test_the_viewer_is_open_to_everyone(
    playwright: Playwright, station: Live, put: Callable[..., pydicom.Dataset], theme: str, size: tuple[int, int]
) -> None:
    ct = put("series/ct_chest_lidc0314/*.dcm")
    browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
    with visitor(browser, station, theme=theme, size=size) as guest:
        guest.go(f"/viewer?study={ct.StudyInstanceUID}")
        guest.page.wait_for_function("() => document.body.dataset.viewer === 'loaded'", timeout=60_000)
        guest.page.keyboard.press("l")
        box = guest.page.locator(".cell canvas").first.bounding_box()
        assert box is not None
        guest.page.mouse.move(box["x"] + 200, box["y"] + 300)
        guest.page.mouse.down()
        guest.page.mouse.move(box["x"] + 260, box["y"] + 330, steps=4)
        guest.page.mouse.up()
        guest.page.locator(".viewer-mark").first.wait_for(state="attached")
        assert guest.axe() == []
        assert guest.overflow() == 0
        if guest.page.locator('[data-tab="metadata"]').is_visible():
            guest.page.locator('[data-tab="metadata"]').click()
            guest.page.locator("[data-tag]").first.wait_for()
            assert guest.axe() == []
        assert guest.faults == []
    browser.close()
