"""The wizard of a store-and-forward box: by forms, by REST, and in Chromium."""

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from pydicom import dcmread
from pydicom.uid import generate_uid

from app.kit import classic
from tests.support import dcmtk
from tests.support.browser import chromium, visitor
from tests.support.client import Web
from tests.support.live import Live
from tests.support.postgres import free_port

PAGE = "/settings/forwarder"
FORM = {
    "local_ae_title": "BOX", "local_port": "1104", "local_host": "127.0.0.1", "pacs_host": "10.0.0.5", "pacs_port": "104",
    "pacs_ae_title": "PACS", "storage_dir": "", "log_dir": "", "forward_immediately": "1", "retry_attempts": "5",
}  # fmt: skip


def test_the_page_is_for_administrators(web: Web) -> None:
    answer = web.admin.get(PAGE)
    assert (
        answer.status_code == 200 and "Test connection" in answer.text and "Download configuration" not in answer.text
    )
    assert web.bob.get(PAGE).status_code == 403 and web.nobody.get(PAGE).status_code == 303


def test_what_is_saved_is_the_file(web: Web) -> None:
    saved = web.admin.post(PAGE, data=FORM)
    assert saved.status_code == 303 and saved.headers["location"].endswith("?saved=1&restart=1")
    file = web.admin.get(f"{PAGE}/forwarder.json")
    assert "attachment" in file.headers["content-disposition"]
    said = classic.parse(file.text)
    assert (said.local_ae_title, said.local_port, said.pacs_host, said.retry_attempts) == ("BOX", 1104, "10.0.0.5", 5)
    assert said.store_locally is False and said.forward_immediately is True
    kept = tomllib.loads((web.services.config.data / "config.toml").read_text())
    assert (kept["aet"], kept["dicom_port"], kept["dicom_host"]) == ("BOX", 1104, "127.0.0.1")
    (route,) = web.admin.get("/api/v1/routes").json()["items"]
    assert route["enabled"] and [one["do"] for one in route["actions"]] == ["send", "drop"]
    again = web.admin.post(PAGE, data=FORM)
    assert again.headers["location"].endswith("?saved=1"), "nothing new, nothing to restart for"
    assert web.admin.get("/api/v1/routes").json()["items"][0]["changed_at"] == route["changed_at"]
    by_rest = web.admin.get("/api/v1/forwarder").json()
    assert by_rest == said.values()
    assert web.admin.put("/api/v1/forwarder", json=by_rest).json() == by_rest | {"restart": False}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"pacs_host": ""}, "enter a host name or an IP address"),
        ({"pacs_host": "169.254.169.254"}, "cannot be a DICOM node"),
        ({"pacs_port": "seventy"}, "enter a whole number"),
        ({"local_ae_title": ""}, "an AE title has 1 to 16"),
        ({"retry_attempts": "101"}, "enter a number from 0 to 100"),
    ],
)
def test_a_wrong_field_is_told_and_nothing_is_kept(web: Web, change: dict[str, str], words: str) -> None:
    answer = web.admin.post(PAGE, data=FORM | change)
    assert answer.status_code == 422 and words in answer.text and 'aria-invalid="true"' in answer.text
    assert web.admin.get("/api/v1/nodes").json()["total"] == 0
    assert not (web.services.config.data / "config.toml").exists()


def test_rest_is_as_strict_as_the_file(web: Web) -> None:
    body = {"pacs_host": "10.0.0.5", "pacs_port": 104, "pacs_ae_title": "PACS"}
    assert web.admin.put("/api/v1/forwarder", json=body | {"pacs_port": "104"}).status_code == 422
    assert web.admin.put("/api/v1/forwarder", json=body | {"colour": "blue"}).status_code == 422
    made = web.admin.put("/api/v1/forwarder", json=body)
    assert made.status_code == 200 and made.json()["local_ae_title"] == "DICOM_FORWARDER"
    assert web.bob.put("/api/v1/forwarder", json=body).status_code == 403


@pytest.mark.peer
def test_the_connection_is_tested_with_what_is_typed(web: Web, tmp_path: Path) -> None:
    with dcmtk.storescp(tmp_path / "pacs", title="PACS") as port:
        typed = FORM | {"pacs_host": "127.0.0.1", "pacs_port": str(port)}
        assert "The PACS responds" in web.admin.post(f"{PAGE}/test", data=typed).text
        body = {"pacs_host": "127.0.0.1", "pacs_port": port, "pacs_ae_title": "PACS"}
        assert web.admin.post("/api/v1/forwarder/test", json=body).json()["ok"] is True
    refused = web.admin.post(f"{PAGE}/test", data=typed).text
    assert "refuses connections" in refused and "The PACS responds" not in refused
    wrong = web.admin.post(f"{PAGE}/test", data=FORM | {"pacs_port": "x"}).text
    assert "Test failed" in wrong and "enter a whole number" in wrong
    assert web.admin.get("/api/v1/nodes").json()["total"] == 0, "nothing is kept"


def test_send_is_offered_where_objects_wait(web: Web) -> None:
    waits = {name: value for name, value in FORM.items() if name != "forward_immediately"}
    assert web.admin.post(PAGE, data=waits).status_code == 303
    assert "0 studies queued." in web.admin.get(PAGE).text
    assert web.admin.post(f"{PAGE}/send").headers["location"].endswith("saved=sent")
    assert web.admin.post("/api/v1/forwarder/send").json() == {"studies": 0}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.mark.browser
@pytest.mark.peer
def test_in_chromium_from_the_first_field_to_the_pacs(
    browser: Browser, live: Live, tmp_path: Path, shared_data: Path
) -> None:
    came = tmp_path / "pacs"
    with dcmtk.storescp(came, title="PACS") as port, visitor(browser, live) as person:
        page = person.page
        person.go(PAGE)
        page.fill("#f-pacs_ae_title", "PACS")
        page.fill("#f-pacs_host", "127.0.0.1")
        page.fill("#f-pacs_port", str(free_port()))
        page.get_by_role("button", name="Test connection").click()
        page.wait_for_selector("#forwarder-test >> text=refuses connections", timeout=30_000)
        page.fill("#f-pacs_port", str(port))
        page.get_by_role("button", name="Test connection").click()
        page.wait_for_selector("text=The PACS responds", timeout=30_000)
        page.get_by_role("button", name="Save").click()
        page.wait_for_selector("form >> text=Saved", timeout=30_000)
        href = page.get_by_role("link", name="Download configuration").get_attribute("href")
        said = json.loads(page.context.request.get(href).text())
        assert (said["pacs_host"], said["pacs_port"]) == ("127.0.0.1", port)
        new = dcmread(shared_data / "codecs/wg04/ct1/ct1_uncompressed.dcm")
        new.SOPInstanceUID = new.file_meta.MediaStorageSOPInstanceUID = generate_uid()  # another one at each try
        new.save_as(tmp_path / "new.dcm")
        assert dcmtk.storescu(live.dicom_port, [tmp_path / "new.dcm"]).code == 0
        for _ in range(300):
            if came.exists() and any(one.is_file() for one in came.iterdir()):
                break
            page.wait_for_timeout(200)
        assert len(list(came.iterdir())) == 1
        assert person.faults == []
        assert person.axe() == [] and person.overflow() == 0
        person.shot("forwarder-dark")
    with visitor(browser, live, theme="light") as person:
        person.go(PAGE)
        assert person.axe() == []
        person.shot("forwarder-light")
