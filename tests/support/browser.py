"""Chromium as people use it, signed in, with axe-core at hand."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.support import slowed
from tests.support.live import PASSWORD, ROOT, Live

AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
SHOTS = ROOT / "build" / "ui"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
ARGUMENTS = ["--no-sandbox", "--disable-gpu-sandbox", "--disable-background-networking"]


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        yield browser
        browser.close()


@dataclass
class Visitor:
    """One signed-in browser window. faults: what the console, scripts and the network complained about."""

    page: Page
    live: Live
    faults: list[str] = field(default_factory=list)

    def go(self, path: str) -> None:
        self.page.goto(self.live.url + path)
        self.page.wait_for_load_state("load")

    def shot(self, name: str) -> Path:
        SHOTS.mkdir(parents=True, exist_ok=True)
        path = SHOTS / f"{name}.png"
        self.page.screenshot(path=path)
        return path

    def axe(self, within: str = "html") -> list[str]:
        """WCAG 2.0 to 2.2 A/AA and best practice; each fault as one line. Injected past the CSP, as a tester may."""
        self.page.evaluate(AXE.read_text("utf-8"))
        options = json.dumps({"runOnly": RULES, "resultTypes": ["violations"]})
        found: dict[str, Any] = self.page.evaluate(f"axe.run({json.dumps(within)}, {options})")
        return [
            f"{one['id']}: {node['html'][:160]} {node.get('failureSummary', '')[:240]}"
            for one in found["violations"]
            for node in one["nodes"][:4]
        ]

    def overflow(self) -> int:
        """Pixels the page can be scrolled sideways."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


@contextmanager
def visitor(
    browser: Browser,
    live: Live,
    *,
    theme: str = "dark",
    language: str = "en",
    size: tuple[int, int] = (1440, 900),
    user: str | None = "admin",
    **options: Any,
) -> Iterator[Visitor]:
    """A window of its own. user None: nobody is signed in."""
    context: BrowserContext = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, base_url=live.url, reduced_motion="reduce", **options
    )
    if user:
        answer = context.request.post("/api/v1/sessions", data={"user": user, "password": PASSWORD})
        assert answer.status == 201, answer.text()
    context.add_cookies(
        [
            {"name": "filmroom_theme", "value": theme, "url": live.url},
            {"name": "filmroom_language", "value": language, "url": live.url},
        ]
    )
    made = Visitor(slowed.page(context.new_page()), live)
    made.page.on("pageerror", lambda error: made.faults.append(f"script: {error}"))
    made.page.on("console", lambda said: made.faults.append(said.text) if said.type == "error" else None)
    yield made
    context.close()
