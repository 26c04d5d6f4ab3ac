"""The whole story of a newcomer, in Chromium, with real files and real peers: from the one-time link on the console to
a study on another node. Screenshots of every chapter stay under build/story."""

import io
import re
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import page as validator
import pydicom
import pytest
from playwright.sync_api import Page, expect

from tests.support import dcmtk, slowed
from tests.support import live as live_server
from tests.support.browser import chromium
from tests.support.live import ROOT, Live
from tests.support.waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.peer, pytest.mark.slow]
PASSWORD = "A-new-Password-for-2026"
SHOTS = ROOT / "build" / "story"
_DROP = """async ([name, bytes]) => {
  const files = new DataTransfer();
  files.items.add(new File([new Uint8Array(bytes)], name, {type: 'application/zip'}));
  for (const kind of ['dragenter', 'dragover', 'drop'])
    document.body.dispatchEvent(new DragEvent(kind, {bubbles: true, cancelable: true, dataTransfer: files}));
}"""


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A first start without a password in the environment: the console prints the link."""
    folder = tmp_path_factory.mktemp("story")
    with live_server.running(folder / "data", environ={"FILMROOM_ADMIN_PASSWORD": ""}) as live:
        yield live


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with chromium() as browser:
        context = browser.new_context(
            viewport={"width": 1440, "height": 900}, color_scheme="dark", reduced_motion="reduce", accept_downloads=True
        )
        context.set_default_timeout(60_000)
        yield slowed.page(context.new_page())
        context.close()


def _shot(page: Page, name: str) -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}.png")


def _ct(shared_data: Path) -> list[Path]:
    folders = [p for p in (shared_data / "series").iterdir() if p.is_dir() and "ct" in p.name.lower()]
    return sorted(p for p in folders[0].rglob("*.dcm"))


def _first_run(page: Page, live: Live, port: int) -> None:
    found = re.search(r"(/setup\?code=[0-9a-f]+)", live.log.read_text())
    assert found, "the console prints a one-time link"
    page.goto(live.url + found[1])
    _shot(page, "1-first-run")
    page.fill("[name=name]", "admin")
    page.fill("[name=password]", "short")
    page.fill("[name=again]", "short")
    page.click("button[type=submit]")
    expect(page.locator("form[method=post]")).to_contain_text("12")  # the policy holds for the first administrator too
    page.fill("[name=password]", PASSWORD)
    page.fill("[name=again]", PASSWORD)
    page.click("button[type=submit]")
    page.wait_for_selector("[name=title]")
    page.click("button[type=submit]")
    page.wait_for_selector("[name=host]")
    for field, value in (("name", "PACS1"), ("ae_title", "STORESCP"), ("host", "127.0.0.1"), ("port", str(port))):
        page.fill(f"[name={field}]", value)
    page.click("button[type=submit]")
    page.wait_for_url("**/settings/nodes/*")


def _arrives(page: Page, live: Live, files: list[Path]) -> None:
    """The study appears on the open page: nothing is reloaded."""
    page.goto(live.url + "/")
    page.evaluate("window.notReloaded = true")
    assert dcmtk.storescu(live.dicom_port, files).code == 0
    expect(page.locator("tr[data-study]")).to_have_count(1)
    expect(page.locator("tr[data-study]").first).to_contain_text(str(len(files)))
    assert page.evaluate("window.notReloaded") is True
    _shot(page, "2-arrived")


def _dropped(page: Page, shared_data: Path) -> None:
    """A zip dropped on the page: every file has its result, the unreadable one its reason."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as out:
        for path in sorted((shared_data / "modality").glob("us*.dcm"))[:1]:
            out.write(path, f"folder/{path.name}")
        out.writestr("folder/notes.txt", b"no DICOM here")
    page.evaluate(_DROP, ["studies.zip", list(buffer.getvalue())])
    expect(page.locator("tr[data-study]")).to_have_count(2)
    _shot(page, "3-dropped")


def _viewed(page: Page, live: Live, study: str) -> None:
    page.goto(live.url + "/storage")
    page.click(f'tr[data-study="{study}"] [data-row-link]')
    page.wait_for_selector("body[data-viewer=loaded]", state="attached")
    assert page.evaluate("performance.getEntriesByName('filmroom:first-image').length") > 0
    time.sleep(0.5)  # for the picture only: the corner texts fade in
    _shot(page, "4-viewer")
    shades = page.evaluate(
        """() => { const c = document.querySelector('#viewer-root canvas'); const o = document.createElement('canvas'); o.width = c.width; o.height = c.height;
        const x = o.getContext('2d'); x.drawImage(c, 0, 0); const d = x.getImageData(0, 0, o.width, o.height).data; const s = new Set(); for (let i = 0; i < d.length; i += 4) s.add(d[i]); return s.size }"""
    )
    assert shades > 60, "the canvas shows a picture, not a blank"


def _printed(page: Page, live: Live, study: str, uids: list[str]) -> None:
    items = ",".join(f"{uid}:1" for uid in uids[:4])
    page.goto(f"{live.url}/print?study={study}&items={items}")
    page.locator('label:has(input[name="layout"][value="2x2"])').click()
    expect(page.locator(".composer-print button")).to_contain_text("Create PDF, 1 page")
    page.wait_for_timeout(1000)
    _shot(page, "5-composer")
    page.click(".composer-print button")
    page.wait_for_selector(".toast.ok")
    with live.client("admin", PASSWORD) as client:
        made = client.get("/api/v1/prints").json()["items"][0]
        data = client.get(f"/api/v1/prints/{made['id']}/pdf").content
    assert data.startswith(b"%PDF-1.7") and validator.is_pdf_compliant_bytes(data, profile="3b")
    (SHOTS / "5-page.pdf").write_bytes(data)


def _dialog(page: Page, live: Live, study: str, act: str) -> None:
    page.goto(live.url + "/storage")
    page.click(f'tr[data-study="{study}"] input.box')
    page.click(f'[data-act="{act}"]')
    expect(page.locator(f"#dialog-{act}")).to_be_visible()


def _anonymized(page: Page, live: Live, study: str, name: str) -> None:
    _dialog(page, live, study, "anonymize")
    _shot(page, "6-anonymize")
    page.click("#dialog-anonymize button[type=submit]")
    with live.client("admin", PASSWORD) as client:
        done = eventually(
            lambda: [one for one in client.get("/api/v1/anonymizations").json()["items"] if one["state"] == "done"],
            "the copy is made",
        )[0]
        data = client.get(f"/api/v1/anonymizations/{done['id']}/archive").content
    copies = zipfile.ZipFile(io.BytesIO(data))
    objects = [entry for entry in copies.namelist() if entry.endswith(".dcm")]
    assert objects
    for entry in objects:
        raw = copies.read(entry)
        ds = pydicom.dcmread(io.BytesIO(raw))
        assert ds.PatientIdentityRemoved == "YES" and ds.StudyInstanceUID != study
        assert study.encode() not in raw and (not name or name.encode() not in raw)


def _sent(page: Page, live: Live, study: str, folder: Path, files: list[Path]) -> None:
    _dialog(page, live, study, "send")
    page.select_option("#dialog-send select", index=0) if page.locator(
        "#dialog-send select option"
    ).count() == 1 else page.select_option("#dialog-send select", label="PACS1")
    _shot(page, "7-send")
    page.click("#dialog-send button[type=submit]")
    eventually(lambda: len(list(folder.iterdir())) >= len(files), "all files arrive")
    there = {str(pydicom.dcmread(p, stop_before_pixels=True).SOPInstanceUID) for p in folder.iterdir()}
    assert there == {str(pydicom.dcmread(p, stop_before_pixels=True).SOPInstanceUID) for p in files}
    page.goto(live.url + "/")
    page.wait_for_timeout(500)
    _shot(page, "8-end")


def test_a_newcomer_goes_the_whole_way(station: Live, page: Page, shared_data: Path, tmp_path: Path) -> None:
    files = _ct(shared_data)
    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in files]
    study, uids = str(headers[0].StudyInstanceUID), [str(h.SOPInstanceUID) for h in headers]
    (tmp_path / "pacs").mkdir()
    with dcmtk.storescp(tmp_path / "pacs") as port:
        _first_run(page, station, port)
        _arrives(page, station, files)
        _dropped(page, shared_data)
        _viewed(page, station, study)
        _printed(page, station, study, uids)
        _anonymized(page, station, study, str(headers[0].PatientID))
        _sent(page, station, study, tmp_path / "pacs", files)
