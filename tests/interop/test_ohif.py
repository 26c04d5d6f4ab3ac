"""A stock OHIF, unchanged, lists a study of ours and shows its image."""

import base64
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from app import settings
from app.http.settings import CrossOriginSettings
from tests.support import ohif
from tests.support.client import PASSWORD
from tests.support.served import Served
from tests.support.waiting import eventually

SHOTS = Path(__file__).resolve().parents[2] / "build" / "screenshots"
ARGUMENTS = ["--no-sandbox", "--disable-gpu-sandbox", "--disable-background-networking", "--disable-component-update"]


@pytest.fixture
def page(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Page, str]]:
    package = ohif.tarball()
    if package is None:
        pytest.skip("@ohif/app is not here: `npm pack @ohif/app@3.13.2` into build/, or name it in FILMROOM_OHIF")
    dist = ohif.unpack(package, tmp_path_factory.mktemp("ohif"))
    token = "Basic " + base64.b64encode(f"alice:{PASSWORD}".encode()).decode()
    with ohif.running(dist, served.dicomweb, token) as url, sync_playwright() as playwright:
        with served.web.database.write() as session:
            settings.save(session, CrossOriginSettings(allowed_origins=[url]), "admin")
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        opened = browser.new_page(viewport={"width": 1400, "height": 900})
        outside: list[str] = []
        opened.on(
            "request",
            lambda r: outside.append(r.url) if not re.match(r"(http://127\.0\.0\.1|blob:|data:)", r.url) else None,
        )
        yield opened, url
        browser.close()
        assert outside == []


@pytest.mark.browser
def test_a_stock_ohif_lists_a_study_and_shows_its_image(served: Served, page: tuple[Page, str]) -> None:
    opened, url = page
    ct = served.named("ct_chest_lidc0314").read()
    opened.goto(f"{url}/?accession={ct.AccessionNumber}", wait_until="domcontentloaded")
    opened.get_by_text(str(ct.AccessionNumber)).first.wait_for(timeout=60_000)
    SHOTS.mkdir(parents=True, exist_ok=True)
    opened.screenshot(path=SHOTS / "ohif-list.png")
    opened.goto(f"{url}/viewer?StudyInstanceUIDs={ct.StudyInstanceUID}", wait_until="domcontentloaded")
    canvas = opened.locator(".cornerstone-canvas").first
    canvas.wait_for(timeout=60_000)
    assert _shows_a_picture(opened, canvas), "the viewport stayed dark"
    opened.screenshot(path=SHOTS / "ohif-image.png")


def _shows_a_picture(opened: Page, canvas: object, seconds: int = 60) -> bool:
    """A chest in a lung or soft tissue window: black air, white bone, and much between."""
    for _ in range(seconds):
        shot = Image.open(io.BytesIO(canvas.screenshot())).convert("L")  # type: ignore[attr-defined]
        colours = shot.histogram()
        total = sum(colours)
        if sum(colours[40:220]) > total * 0.08 and sum(1 for count in colours if count > 20) > 100:
            return True
        opened.wait_for_timeout(1000)
    return False


def test_a_foreign_page_is_let_in_only_when_it_is_named(served: Served) -> None:
    ask = {
        "Origin": "https://viewer.example.org",
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization",
    }
    with served.client() as client:
        assert (
            "access-control-allow-origin"
            not in client.get("/dicom-web/studies?limit=1", headers={"Origin": ask["Origin"]}).headers
        )
        saved = client.put("/api/v1/settings/cross-origin", json={"allowed_origins": ["https://viewer.example.org"]})
        assert saved.status_code == 200, saved.text
        wrong = client.put("/api/v1/settings/cross-origin", json={"allowed_origins": ["*"]})
        assert wrong.status_code == 422
        answer = eventually(
            lambda: client.options("/dicom-web/studies", headers=ask),
            "the origin is allowed",
            until=lambda found: found.status_code == 204,
        )
        assert answer.headers["access-control-allow-origin"] == "https://viewer.example.org"
        assert "access-control-allow-credentials" not in answer.headers
        other = client.get("/dicom-web/studies?limit=1", headers={"Origin": "https://evil.example.org"})
        assert "access-control-allow-origin" not in other.headers
