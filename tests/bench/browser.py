"""The viewer in Chromium: a series of 1000 CT frames (500 MB) fully loaded, and the first image of a 2 GB object; each
from the click in the warm study list and from a fresh page."""

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, Page
from pydicom.uid import generate_uid

from tests.bench.memory import write_multiframe
from tests.bench.table import Row
from tests.support import live as live_server
from tests.support.browser import chromium, visitor
from tests.support.sender import Sender, make_ct, renumber
from tests.support.waiting import eventually

FRAMES = 1000  # of 512 KB
GOAL = 1.0  # seconds to the first image of any study (VIEW-9)


def _mark(page: Page, name: str, since: float, seconds: float = 60) -> float:
    """Seconds from `since` (page clock, ms) to the newest mark of this name set after it."""
    script = "([name, since]) => Math.max(-1, ...performance.getEntriesByName(name).map(e => e.startTime).filter(t => t >= since))"

    def mark() -> float:
        if page.evaluate("document.body.dataset.viewer") == "failed":
            raise RuntimeError("the viewer says: failed")
        return float(page.evaluate(script, [name, since]))

    return (eventually(mark, f"the mark {name}", seconds=seconds, until=lambda found: found >= 0) - since) / 1000


def _click(browser: Browser, live: live_server.Live, study: str, mark: str) -> float:
    with visitor(browser, live) as one:
        one.go("/storage")
        one.page.wait_for_selector(f'tr[data-study="{study}"]')
        time.sleep(4)  # the shell takes the viewer's bundle in when idle, as on a page that is open all day
        since = one.page.evaluate(
            'study => { const t = performance.now(); document.querySelector(`tr[data-study="${study}"] [data-row-link]`).click(); return t }',
            study,
        )
        return _mark(one.page, mark, float(since))


def _fresh(browser: Browser, live: live_server.Live, study: str, mark: str) -> float:
    with visitor(browser, live) as one:
        one.page.goto(f"{live.url}/viewer?study={study}", wait_until="commit")
        return _mark(one.page, mark, 0.0)


def run() -> list[Row]:
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    rows: list[Row] = []
    try:
        with live_server.running(folder / "data") as live, chromium() as browser:
            study, series = generate_uid(), generate_uid()
            template = make_ct(study, series, 1)
            sender = Sender(live.dicom_port)
            for number in range(FRAMES):
                assert sender.send(renumber(template, f"{template.sop_instance_uid[:-6]}{number:06d}"))[0] == 0
            sender.release()
            large, _, _ = write_multiframe(folder / "large.dcm", 4 * FRAMES)
            subprocess.run(
                [
                    "storescu",
                    "-aec",
                    "FILMROOM",
                    "-pdu",
                    "131072",
                    "127.0.0.1",
                    str(live.dicom_port),
                    str(folder / "large.dcm"),
                ],
                check=True,
                env=os.environ | {"TCP_NODELAY": "1"},
            )
            (folder / "large.dcm").unlink()
            for name, way in (("from the click", _click), ("from a fresh page", _fresh)):
                for what, uid, mark, limit in (
                    ("500 MB series, preview", study, "filmroom:preview", GOAL),
                    ("500 MB series, first image", study, "filmroom:first-image", GOAL),
                    ("500 MB series, fully loaded", study, "filmroom:all-loaded", 3.0),
                    ("2 GB object, preview", large, "filmroom:preview", 5.0),
                    ("2 GB object, first image", large, "filmroom:first-image", 5.0),
                ):
                    best = min(way(browser, live, uid, mark) for _ in range(3))
                    against = "goal" if limit == GOAL else "limit"
                    rows.append(Row("browser", f"{what}, {name}", best, "s", against, limit, less_is_better=True))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return rows
