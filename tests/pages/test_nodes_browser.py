"""Nodes and facilities in Chromium: protocols, one click on an unknown caller, a self-test that is watched, an import."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.support import dcmtk
from tests.support.browser import Visitor, chromium, visitor
from tests.support.live import Live
from tests.support.orthanc import orthanc
from tests.support.postgres import free_port

pytestmark = [pytest.mark.browser, pytest.mark.peer]
WAIT = 20_000


def _picture(window: Visitor, name: str) -> None:
    """Nothing is complained about, but the style that taking a picture puts on the page and the CSP refuses."""
    assert [one for one in window.faults if "Applying inline style" not in one] == [] and window.overflow() == 0
    window.shot(name)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


def test_an_unknown_caller_becomes_a_node_and_is_tested(browser: Browser, live: Live, tmp_path: Path) -> None:
    """It appears without a reload; one click fills the form; the self-test shows its steps as they come."""
    with visitor(browser, live) as window, orthanc(tmp_path / "orthanc", live.dicom_port, "PACS_NEW") as (port, client):
        page = window.page
        window.go("/settings/nodes")
        for calling in ("PACS_NEW", "SCANNER9"):
            assert dcmtk.echoscu(live.dicom_port, calling=calling).code == 0
        expect(page.get_by_text("Unknown callers")).to_be_visible(timeout=WAIT)
        expect(page.get_by_text("SCANNER9")).to_be_visible(timeout=WAIT)
        _picture(window, "nodes-callers")
        page.get_by_role("button", name="Ignore SCANNER9").click()
        expect(page.get_by_text("SCANNER9")).to_have_count(0, timeout=WAIT)
        page.get_by_role("link", name="Add as node").click()
        expect(page.get_by_label("AE title", exact=True)).to_have_value("PACS_NEW")
        expect(page.get_by_label("Host", exact=True)).to_have_value("127.0.0.1")
        page.locator("[name=port]").fill(str(port))
        for what in ("Find", "Move", "Get"):
            page.get_by_label(what, exact=True).check()
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("heading", name="PACS_NEW")).to_be_visible(timeout=WAIT)
        expect(page.get_by_text("Unknown callers")).to_have_count(0)
        page.get_by_label("Also store a picture").check()
        page.get_by_role("button", name="Self-test").click()
        expect(page.get_by_text("The study of FILMROOM^TEST")).to_be_visible(timeout=3 * WAIT)
        expect(page.get_by_text("The test image was received back and deleted here.").first).to_be_visible()
        page.locator("#node-selftest").scroll_into_view_if_needed()
        _picture(window, "nodes-selftest")
        assert window.axe() == []
        assert len(client.get("/instances").json()) == 1
        with live.client() as rest:
            assert rest.get("/dicom-web/studies", params={"PatientID": "FILMROOM-TEST"}).status_code in (200, 204)
            found = rest.get("/api/v1/studies", params={"patient_id": "FILMROOM-TEST"}).json()
            assert found["total"] == 0, "nothing of the test stays here"


@pytest.mark.parametrize("theme", ["dark", "light", "contrast"])
def test_the_form_shows_what_the_protocol_needs(browser: Browser, live: Live, theme: str) -> None:
    with visitor(browser, live, theme=theme, size=(1280, 800)) as window:
        page = window.page
        window.go("/settings/nodes/new")
        url, path, host = (page.locator(f"[name={name}]") for name in ("url", "path", "host"))
        expect(host).to_be_visible()
        expect(url).to_be_hidden()
        page.get_by_text("DICOMweb", exact=True).click()
        expect(url).to_be_visible()
        expect(host).to_be_hidden()
        row = page.locator(".segments:has([name=protocol])").bounding_box()
        folder = page.locator(".segments label:has([name=protocol])", has_text="Folder").bounding_box()
        assert row and folder and folder["x"] + folder["width"] <= row["x"] + row["width"] + 1, "in reach of the mouse"
        page.get_by_text("Folder", exact=True).first.click()
        expect(path).to_be_visible()
        expect(url).to_be_hidden()
        page.get_by_label("Name").fill("out")
        path.fill("relative")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_text("A folder is a whole path on the server")).to_be_visible(timeout=WAIT)
        window.faults[:] = [fault for fault in window.faults if "422" not in fault]  # the refused form
        for part in page.locator("details.part").all():
            if part.is_visible():
                part.locator("summary").click()
        _picture(window, f"nodes-form-{theme}")
        assert window.axe() == []


def test_a_file_is_looked_at_before_it_is_taken_over(browser: Browser, live: Live, tmp_path: Path) -> None:
    file = tmp_path / "orthanc.json"
    file.write_text(json.dumps({"DicomModalities": {"imported": ["IMP", "10.9.9.9", 104, "GE"]}}, indent=1))
    with visitor(browser, live) as window:
        page = window.page
        window.go("/settings/nodes/import")
        page.locator("#f-file").set_input_files(file)
        expect(page.locator("#f-text")).to_have_value(file.read_text())
        page.get_by_role("button", name="Look at it").click()
        expect(page.get_by_text("1 node is made or changed.")).to_be_visible(timeout=WAIT)
        _picture(window, "nodes-import")
        page.get_by_role("button", name="Take over").click()
        expect(page.get_by_text("IMP 10.9.9.9:104")).to_be_visible(timeout=WAIT)
        assert window.axe() == []


def test_a_facilitys_port_opens_before_ones_eyes(browser: Browser, live: Live) -> None:
    port = free_port()
    with visitor(browser, live) as window:
        page = window.page
        window.go("/settings/facilities/new")
        page.get_by_label("Name").fill("Clinic 2")
        page.get_by_label("Port", exact=True).fill(str(port))
        page.get_by_role("button", name="Add facility").click()
        expect(page.get_by_label("AE title", exact=True)).to_have_value("CLINIC2", timeout=WAIT)
        expect(page.get_by_text(f"port {port}, open")).to_be_visible(timeout=WAIT)
        expect(page.get_by_text(f"Port {port} is open")).to_be_visible(timeout=WAIT)
        _picture(window, "facilities")
        assert window.axe() == []
        assert dcmtk.echoscu(port, "CLINIC2").code == 0


def test_the_lamp_in_the_heading_follows(browser: Browser, live: Live, tmp_path: Path) -> None:
    """What others find out about the node is seen without a reload."""
    port = free_port()
    with visitor(browser, live) as window, live.client() as rest:
        node = {"name": "LAMP", "ae_title": "STORESCP", "host": "127.0.0.1", "port": port}
        made = rest.post("/api/v1/nodes", json=node).json()
        window.go(f"/settings/nodes/{made['id']}")
        state = window.page.locator("#node-state")
        expect(state).to_contain_text("not tested")
        assert rest.post("/api/v1/nodes/LAMP/echo").json()["ok"] is False
        expect(state).to_contain_text("no response", timeout=WAIT)
        with dcmtk.storescp(tmp_path / "scp", port=port):
            assert rest.post("/api/v1/nodes/LAMP/echo").json()["ok"] is True
            expect(state.get_by_text("responds", exact=True)).to_be_visible(timeout=WAIT)
        assert window.axe() == []
