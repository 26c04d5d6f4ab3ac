"""The transfers page with a real queue behind it: axe in three themes, keyboard, bulk retry, live counts."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.archive.make import ct_bytes
from tests.support import dcmtk
from tests.support.browser import chromium, visitor
from tests.support.live import Live
from tests.support.postgres import free_port
from tests.support.waiting import eventually

pytestmark = pytest.mark.browser
DEAD = free_port()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def busy(live: Live, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Three studies: sent to one that works, failed at a dead node, waiting for a paused one."""
    with live.client() as client, dcmtk.storescp(tmp_path_factory.mktemp("scp")) as port:
        for study in range(1, 4):
            parts = [
                ct_bytes(study=f"1.2.{study}", series=f"1.2.{study}.1", sop=f"1.2.{study}.1.{n}", PatientID=f"P{study}")
                for n in range(3)
            ]
            files = [("files", (f"{n}.dcm", part)) for n, part in enumerate(parts)]
            assert client.post("/api/v1/imports", files=files).status_code == 200
        for name, where, more in (
            ("PACS1", port, {}),
            ("DEAD", DEAD, {"retries": 0}),
            ("NIGHT", port, {"paused": True}),
        ):
            body: dict[str, Any] = {"name": name, "ae_title": "STORESCP", "host": "127.0.0.1", "port": where, **more}
            assert client.post("/api/v1/nodes", json=body).status_code == 201
        for study in range(1, 4):
            for node in ("PACS1", "DEAD", "NIGHT"):
                body = {"study_instance_uid": f"1.2.{study}", "node": node}
                assert client.post("/api/v1/transfers", json=body).status_code == 202
        _wait(live, {"done": 3, "failed": 3, "queued": 3})
        yield live


def _wait(live: Live, wanted: dict[str, int]) -> None:
    with live.client() as client:
        eventually(
            lambda: Counter(
                item["state"] for item in client.get("/api/v1/transfers", params={"limit": 100}).json()["items"]
            ),
            f"transfers are {wanted}",
            until=lambda states: wanted.items() <= states.items(),
        )


@pytest.mark.parametrize("theme", ["dark", "light", "contrast"])
def test_axe_finds_nothing(browser: Browser, busy: Live, theme: str) -> None:
    with visitor(browser, busy, theme=theme) as window:
        for path, name in (("/transfers?show=all", "all"), ("/", "incoming")):
            window.go(path)
            window.page.wait_for_timeout(300)
            window.shot(f"transfers-{name}-{theme}")
            assert window.axe() == []
            assert window.overflow() == 0
        window.go("/transfers?show=failed")
        window.page.locator("td.pick").first.click()
        window.page.locator("#transfer-selection").wait_for()
        window.shot(f"transfers-selected-{theme}")
        assert window.axe() == []
        window.page.locator("tr.item a[data-row-link]").first.click()
        window.page.wait_for_url("**/transfers/*")
        window.page.locator("td", has_text="refuses connections").first.wait_for()
        window.shot(f"transfers-one-{theme}")
        assert window.axe() == []


@pytest.mark.parametrize("width", [1280, 1024, 768, 390])
def test_it_does_not_scroll_sideways(browser: Browser, busy: Live, width: int) -> None:
    with visitor(browser, busy, size=(width, 800)) as window:
        window.go("/transfers?show=all")
        window.page.wait_for_timeout(150)
        window.shot(f"transfers-w{width}")
        assert window.overflow() == 0


def test_dead_letters_are_sent_again_by_keyboard_and_the_page_follows(
    browser: Browser, busy: Live, tmp_path: Path
) -> None:
    with visitor(browser, busy) as window, dcmtk.storescp(tmp_path / "scp", port=DEAD):
        window.go("/transfers?show=failed")
        page = window.page
        assert page.locator("tr.item").count() == 3
        page.locator("tr.item").first.focus()
        page.keyboard.press("Control+a")
        assert "3 transfers" in page.locator("#transfer-selection .what").inner_text()
        page.locator("#transfer-selection").get_by_role("button", name="Send again").click()
        page.wait_for_url("**/transfers?show=failed**")
        page.get_by_text("No failed transfers.").wait_for(timeout=30_000)
        _wait(busy, {"done": 6, "queued": 3})
        window.go("/transfers")
        assert page.locator("tr.item").count() == 3
        page.get_by_role("button", name="Resume").click()  # the rows leave by themselves, as each one arrives
        _wait(busy, {"done": 9})
        page.get_by_text("All transfers are complete.").wait_for(timeout=30_000)
        assert window.faults == []
