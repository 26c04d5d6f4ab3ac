"""The viewer as a person meets it: a browser window, its keys, its mouse, and the pixels of its canvas."""

import base64
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import imagecodecs
import numpy as np
from playwright.sync_api import Page, Playwright

from tests.support import slowed
from tests.support.live import PASSWORD, ROOT, Live

SHOTS = ROOT / "build" / "viewer"
ARGUMENTS = ["--no-sandbox", "--disable-gpu-sandbox", "--disable-background-networking"]
NO_WEBGL = ["--disable-gpu", "--disable-software-rasterizer"]
# Even sizes put an image of even size on whole pixels at zoom 1, so that what is drawn can be told to the grey level.
_FRAMES = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
_AT_REST = "() => !document.querySelector('.cell[aria-busy=true]')"
SIZE = {"width": 1700, "height": 1200}


@dataclass
class Screen:
    """One signed-in window. faults: what scripts and the console complained about."""

    page: Page
    live: Live
    faults: list[str] = field(default_factory=list)

    def open(self, study: str, series: str = "", seconds: float = 60) -> str:
        """Opens a study and waits until the viewer says how it ended; returns that word."""
        self.page.goto(f"{self.live.url}/viewer?study={quote(study)}" + (f"&series={quote(series)}" if series else ""))
        return self.settled(seconds)

    def settled(self, seconds: float = 60) -> str:
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            state = self.page.evaluate("document.body.dataset.viewer")
            if state in ("loaded", "failed"):
                self.rest()
                return str(state)
            self.page.wait_for_timeout(30)
        return f"still {state} after {seconds} s"

    def act(self, name: str) -> None:
        """Runs a verb of the toolbar or of one of its menus."""
        self.page.evaluate('name => document.querySelector(`#viewer-root [data-action="${name}"]`).click()', name)
        self.rest()

    def key(self, *keys: str) -> None:
        for one in keys:
            self.page.keyboard.press(one)
            self.rest()

    def rest(self) -> None:
        """What was asked for is on the screen: two painted frames, no cell that still waits for its picture, two more."""
        self.page.evaluate(_FRAMES)
        self.page.wait_for_function(_AT_REST, timeout=60_000)
        self.page.evaluate(_FRAMES)
        self.page.wait_for_timeout(60)

    def soon(self, holds: Callable[[], object], seconds: float = 60) -> bool:
        """Whether it holds before the time is over."""
        ends = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > ends:
                return False
            self.page.wait_for_timeout(30)
        return True

    def drag(self, start: tuple[float, float], end: tuple[float, float], button: Any = "left") -> None:
        self.page.mouse.move(*start)
        self.page.mouse.down(button=button)
        self.page.mouse.move((start[0] + end[0]) / 2, (start[1] + end[1]) / 2, steps=3)
        self.page.mouse.move(*end, steps=3)
        self.page.mouse.up(button=button)
        self.rest()

    def text(self, corner: str, cell: int = 0) -> str:
        return str(self.page.locator(f'.cell[data-cell="{cell}"] [data-text="{corner}"]').text_content() or "")

    def letters(self) -> str:
        """Top, bottom, left, right."""
        return "".join(self.page.locator(".cell.active .cell-letter").all_text_contents())

    def notice(self) -> str:
        return " ".join(self.page.locator(".cell-notice:not([hidden])").all_text_contents())

    def window(self) -> tuple[float, float]:
        """(center, width) as the corner says."""
        words = self.text("bl").replace("−", "-").replace(",", "").split()
        return float(words[words.index("L") + 1]), float(words[words.index("W") + 1])

    def canvas(self, cell: int = 0) -> np.ndarray:
        """What the canvas of a cell holds, (rows, columns, 3), without texts and marks."""
        coded = self.page.evaluate(
            "cell => document.querySelector(`.cell[data-cell=\"${cell}\"] canvas`).toDataURL('image/png').split(',')[1]",
            cell,
        )
        return picture(base64.b64decode(coded))

    def shown(self, rows: int, columns: int, cell: int = 0) -> np.ndarray:
        """The image at zoom 1 and nothing beside it."""
        self.act("fit")
        self.act("one-to-one")
        whole = self.canvas(cell)
        top, left = (whole.shape[0] - rows) // 2, (whole.shape[1] - columns) // 2
        assert top >= 0 and left >= 0, f"a canvas of {whole.shape} cannot hold {rows} x {columns}"
        return whole[top : top + rows, left : left + columns]

    def middle(self) -> tuple[float, float]:
        box = self.page.locator(".cell.active .cell-canvas canvas").bounding_box()
        assert box is not None
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def marks(self) -> dict[str, float]:
        """The User Timing marks of DESIGN part 2, in milliseconds."""
        return dict(
            self.page.evaluate(
                "performance.getEntriesByType('mark').filter(m => m.name.startsWith('filmroom:')).map(m => [m.name, m.startTime])"
            )
        )

    def shot(self, name: str) -> Path:
        SHOTS.mkdir(parents=True, exist_ok=True)
        path = SHOTS / f"{name}.png"
        self.page.screenshot(path=path)
        return path


def picture(data: bytes) -> np.ndarray:
    """A PNG or JPEG as (rows, columns, 3)."""
    array = imagecodecs.imread(data)
    return np.repeat(array[:, :, None], 3, axis=2) if array.ndim == 2 else array[:, :, :3]


@contextmanager
def window(playwright: Playwright, live: Live, *arguments: str) -> Iterator[Screen]:
    """Chromium with a person signed in."""
    browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=[*ARGUMENTS, *arguments])
    context = browser.new_context(viewport=SIZE, base_url=live.url, reduced_motion="reduce")  # type: ignore[arg-type]
    answer = context.request.post("/api/v1/sessions", data={"user": "admin", "password": PASSWORD})
    assert answer.status == 201, answer.text()
    screen = Screen(slowed.page(context.new_page()), live)
    screen.page.on("pageerror", lambda error: screen.faults.append(f"script: {error}"))
    screen.page.on("console", lambda said: screen.faults.append(said.text) if said.type == "error" else None)
    yield screen
    browser.close()
