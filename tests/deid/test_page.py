"""From the list to the zip in a real browser, with a real worker."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.archive.make import ct_bytes
from tests.support.browser import chromium, visitor
from tests.support.live import Live

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


def test_a_copy_without_identity_is_made_and_fetched(browser: Browser, live: Live, tmp_path: Path) -> None:
    with live.client() as client:
        for number in (1, 2):
            data = ct_bytes(f"1.2.9.1.1.{number}", "1.2.9.1", "1.2.9.1.1", PatientName="Quillfeather^Theodora")
            sent = client.post("/api/v1/imports", content=data, headers={"content-type": "application/dicom"})
            assert sent.json()["results"][0]["status"] in ("stored", "duplicate"), (
                sent.text
            )  # duplicate: the second chance
    with visitor(browser, live) as window:
        window.go("/storage?name=quillfeather")
        page = window.page
        page.locator("tr.item", has_text="Quillfeather").first.click()
        page.locator('[data-act="anonymize"]:visible').first.click()
        dialog = page.locator("#dialog-anonymize[open]")
        expect(dialog).to_contain_text("Basic Profile")
        dialog.locator('button[type="submit"]').click()
        ready = page.locator(".toast", has_text="The anonymized copy is ready")
        expect(ready).to_be_visible(timeout=30_000)
        with page.expect_download() as download:
            ready.get_by_role("link", name="Download ZIP").click()
        download.value.save_as(tmp_path / "copy.zip")
        with zipfile.ZipFile(tmp_path / "copy.zip") as bundle:
            assert sorted(bundle.namelist()) == ["DICOM/SE000001/IM000001.dcm", "DICOM/SE000001/IM000002.dcm"]
            assert not any(b"Quillfeather" in bundle.read(name) for name in bundle.namelist())
        ready.get_by_role("link", name="Changes").click()
        expect(page.locator("h1")).to_have_text("Anonymized copy")
        expect(page.locator("tbody tr", has_text="(0010,0010)")).to_contain_text("replaced by a pseudonym")
        assert window.overflow() == 0
        assert window.faults == []
        window.shot("anonymize-report")  # after the look at faults: Playwright's own empty style meets the CSP
        assert window.axe() == []
        window.go("/storage?name=quillfeather")
        page.locator("tr.item", has_text="Quillfeather").first.click()
        page.locator('[data-act="anonymize"]:visible').first.click()
        window.shot("anonymize-dialog")
        assert window.axe("#dialog-anonymize") == []
