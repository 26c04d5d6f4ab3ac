"""What the shell does in a real browser: uploads, the lock, live notices, toasts and the bell, deleting."""

import os
import re
import signal
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.archive.make import ct_bytes
from tests.support.browser import chromium, visitor
from tests.support.live import PASSWORD, Live

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


def test_files_are_uploaded_with_a_result_per_file(browser: Browser, live: Live, tmp_path: Path) -> None:
    folder = tmp_path / "study" / "inner"
    folder.mkdir(parents=True)
    (folder / "one.dcm").write_bytes(ct_bytes("1.2.4.1.1.1", "1.2.4.1", "1.2.4.1.1", PatientName="Upload^Ursula"))
    (folder / "two.dcm").write_bytes(ct_bytes("1.2.4.1.1.2", "1.2.4.1", "1.2.4.1.1", PatientName="Upload^Ursula"))
    (tmp_path / "study" / "readme.txt").write_text("no DICOM")
    with visitor(browser, live) as window:
        window.go("/")
        page = window.page
        with page.expect_file_chooser() as chooser:
            page.locator('[data-import="folder"]').first.click()
        chooser.value.set_files(tmp_path / "study")
        tray = page.locator(".toast.bad")
        expect(tray).to_contain_text("2 stored, 1 refused", timeout=60_000)
        lines = tray.locator(".results li").all_inner_texts()
        assert len(lines) == 3
        assert "readme.txt" in lines[0] and "refused" in lines[0], "what failed stands first"
        assert any("one.dcm: stored" in line for line in lines)
        row = page.locator("#arrivals tr.item", has_text="Upload, Ursula")
        expect(row).to_be_visible(timeout=60_000)
        window.shot("upload-results")
        assert page.locator("#bell-count").inner_text() == "1"


def test_the_lock_keeps_the_work_and_the_server_enforces_it(browser: Browser, live: Live) -> None:
    with visitor(browser, live) as window:
        window.go("/storage?name=keep")
        page = window.page
        page.evaluate("window.stays = true")
        page.locator('[popovertarget="person-menu"]').click()
        page.locator("[data-lock]").click()
        lock = page.locator("#lock[open]")
        lock.wait_for()
        window.shot("lock")
        assert window.axe() == []
        page.keyboard.press("Escape")
        expect(lock).to_be_visible()
        refused = page.evaluate("fetch('/api/v1/studies').then(r => r.status)")
        assert refused == 423
        page.locator("#lock-password").fill("wrong")
        page.keyboard.press("Enter")
        expect(page.locator("#lock-error")).not_to_be_empty()
        page.locator("#lock-password").fill(PASSWORD)
        page.keyboard.press("Enter")
        expect(page.locator("#lock")).to_be_hidden()
        assert page.evaluate("window.stays") is True
        assert page.locator('.filter[name="name"]').input_value() == "keep"
        assert page.evaluate("fetch('/api/v1/studies').then(r => r.status)") == 200


def test_a_role_that_is_down_is_said_on_every_page(browser: Browser, live: Live) -> None:
    """OPS-7: seen, its buttons say why they wait, and it goes away by itself."""
    with visitor(browser, live) as window:
        window.go("/storage")
        page = window.page
        expect(page.locator(".notices .notice")).to_have_count(0)
        pids = live.role_pids("worker")
        assert pids
        began = time.monotonic()
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            notice = page.locator(".notices .notice", has_text="worker")
            expect(notice).to_be_visible(timeout=60_000)
            seen = time.monotonic() - began
            page.locator('.tabs a[data-go="i"]').click()
            expect(page.locator(".incoming")).to_be_visible()
            expect(notice).to_be_visible(timeout=60_000)
            window.shot("notice")
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
        expect(notice).to_have_count(0, timeout=60_000)
        print(f"a stopped worker was seen after {seen:.1f} s")


@pytest.mark.parametrize(("role", "words"), [("dicom", "no objects are received"), ("web", "does not respond")])
def test_a_frozen_role_is_said_too(browser: Browser, live: Live, role: str, words: str) -> None:
    """One that is there and stands still: it neither ends nor answers."""
    with visitor(browser, live) as window:
        window.go("/storage")
        notice = window.page.locator(".notices .notice", has_text=words)
        expect(window.page.locator(".notices .notice")).to_have_count(0, timeout=60_000)
        pids = live.role_pids(role)
        assert pids
        began = time.monotonic()
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            expect(notice).to_be_visible(timeout=60_000)
            print(f"{role} that stands still was seen after {time.monotonic() - began:.1f} s")
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
        expect(notice).to_have_count(0, timeout=60_000)


def test_deleting_names_counts_and_asks_once(browser: Browser, live: Live) -> None:
    with live.client() as client:
        client.post(
            "/api/v1/imports",
            files=[("files", ("a", ct_bytes("1.2.5.1", "1.2.5", "1.2.5.9", PatientName="Gone^Soon")))],
        )
    with visitor(browser, live) as window:
        window.go("/storage?name=gone")
        page = window.page
        page.locator("tr.item td.pick").first.click()
        page.locator('#selection [data-act="delete"]').click()
        dialog = page.locator("#dialog-delete")
        expect(dialog).to_contain_text("1 study of 1 patient")
        expect(dialog.locator("[data-close]")).to_be_focused()
        page.keyboard.press("Enter")
        expect(dialog).to_be_hidden()
        assert page.locator("tr.item").count() == 1, "the safe button has the focus"
        page.locator('#selection [data-act="delete"]').click()
        dialog.locator('[name="reason"]').fill("Repeated acquisition")
        dialog.locator('[type="submit"]').click()
        expect(page.locator(".toast.ok")).to_contain_text("1 study deleted")
        expect(page.locator("tr.item")).to_have_count(0)
        with live.client() as client:
            assert client.get("/api/v1/studies/1.2.5").status_code == 404


def test_the_theme_changes_at_once_and_is_kept(browser: Browser, live: Live) -> None:
    with visitor(browser, live, theme="") as window:
        window.go("/storage")
        page = window.page
        page.locator('[popovertarget="theme-menu"]').click()
        with page.expect_response(re.compile("preferences")):
            page.locator('[data-theme-choice="contrast"]').click()
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(0, 0, 0)"
        window.go("/query")
        assert page.locator("html").get_attribute("data-theme") == "contrast"
        page.locator('[popovertarget="theme-menu"]').click()
        with page.expect_response(re.compile("preferences")):
            page.locator('[data-theme-choice=""]').click()


def test_search_as_you_type_keeps_the_field(browser: Browser, live: Live) -> None:
    with live.client() as client:
        for n, name in enumerate(("Alpha^Anna", "Beta^Bert")):
            data = ct_bytes(f"1.2.6.{n}.1", f"1.2.6.{n}", f"1.2.6.{n}.9", PatientName=name)
            client.post("/api/v1/imports", files=[("files", ("a", data))])
    with visitor(browser, live) as window:
        window.go("/storage")
        page = window.page
        field = page.locator('.filter[name="name"]')
        field.focus()
        page.keyboard.type("alp", delay=30)
        expect(page.locator("tr.item", has_text="Alpha, Anna")).to_be_visible()
        expect(page.locator("tr.item", has_text="Beta, Bert")).to_have_count(0)
        assert field.evaluate("node => node === document.activeElement")
        page.wait_for_url("**name=alp*")
        page.keyboard.type("zz")
        expect(page.locator("#nothing")).to_be_visible()


def test_send_anonymize_and_export_from_the_selection_bar(browser: Browser, live: Live) -> None:
    """Real work behind each button: a node that answers (we ourselves), a clean zip, the files as they came."""
    with live.client() as client:
        data = ct_bytes("1.2.8.1", "1.2.8", "1.2.8.9", PatientName="Leaving^Lea")
        client.post("/api/v1/imports", files=[("files", ("a", data))])
        node = {"name": "SELF", "ae_title": "FILMROOM", "host": "127.0.0.1", "port": live.dicom_port}
        assert client.post("/api/v1/nodes", json=node).status_code == 201
    with visitor(browser, live, accept_downloads=True) as window:
        window.go("/storage?name=leaving")
        page = window.page
        page.locator("#side h2").wait_for()
        address = page.url

        def begin(act: str) -> None:
            page.locator("tr.item td.pick").first.click()
            page.locator(f'#selection [data-act="{act}"]').click()
            page.locator(f"#dialog-{act}").get_by_text("1 study of 1 patient").wait_for()

        begin("send")
        expect(page.locator("select[data-nodes] option")).to_have_text(["SELF"])
        page.locator('#dialog-send [type="submit"]').click()
        expect(page.locator(".toast", has_text="Sent to SELF")).to_be_visible(timeout=30_000)
        begin("anonymize")
        page.locator('#dialog-anonymize [type="submit"]').click()
        ready = page.locator(".toast", has_text="The anonymized copy is ready")
        expect(ready).to_be_visible(timeout=30_000)
        with page.expect_download() as clean:
            ready.get_by_text("Download ZIP").click()
        with zipfile.ZipFile(clean.value.path()) as archive:
            assert archive.namelist()
            assert all(b"Leaving" not in archive.read(name) for name in archive.namelist())
        begin("export")
        with page.expect_download() as whole:
            page.locator('#dialog-export [type="submit"]').click()
        with zipfile.ZipFile(whole.value.path()) as archive:
            assert data in [archive.read(name) for name in archive.namelist()]
        assert page.url == address
        assert page.locator("#side h2").is_visible(), "the page under the dialogs stays as it was"
        window.shot("actions")
