"""The same pages in Debian's Firefox (UI-6): live rows, dialogs, menus, keyboard, warm navigation."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.archive.make import ct_bytes
from tests.support.browser import SHOTS
from tests.support.firefox import Firefox, firefox
from tests.support.live import PASSWORD, Live

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        shutil.which("firefox-esr") is None, reason="firefox-esr is not installed (apt install firefox-esr)"
    ),
]


@pytest.fixture(scope="module")
def window(live: Live, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    """Firefox, signed in as the administrator."""
    with firefox(tmp_path_factory.mktemp("firefox")) as opened:
        opened.resize(1440, 900)
        opened.go(f"{live.url}/nowhere")  # any page of ours: a JSON answer opens in a viewer of another origin
        status = opened.run(
            "return fetch('/api/v1/sessions', {method: 'POST', headers: {'Content-Type': 'application/json'},"
            " body: JSON.stringify({user: 'admin', password: arguments[0]})}).then(answer => answer.status)",
            PASSWORD,
        )
        assert status == 201
        yield opened


def put(live: Live, number: int, name: str) -> None:
    data = ct_bytes(f"1.2.7.{number}.1", f"1.2.7.{number}", f"1.2.7.{number}.9", PatientName=name)
    with live.client() as client:
        assert client.post("/api/v1/imports", files=[("files", (name, data))]).status_code == 200


def test_rows_arrive_live_and_actions_work(window: Firefox, live: Live) -> None:
    put(live, 1, "First^Fox")
    window.go(f"{live.url}/storage")
    window.until("document.querySelector('tr.item')")
    window.run("window.stays = true")
    window.until("document.querySelector('#side h2')")
    put(live, 2, "Second^Fox")
    window.until("document.querySelectorAll('tr.item').length === 2")
    window.run("document.querySelector('tr.item .fold').click()")
    window.until("document.querySelector('tr.unfolded .thumb img')?.naturalWidth > 0")
    window.run("document.querySelector('tr.item td.pick').click()")
    window.until("!document.querySelector('#selection').hidden")
    window.shot(SHOTS / "firefox-storage.png")
    window.run("document.querySelector('#selection [data-act=delete]').click()")
    window.until("document.querySelector('#dialog-delete:modal [data-close]') === document.activeElement")
    window.run("document.querySelector('#dialog-delete [data-close]').click()")
    window.run("document.querySelector('[popovertarget=person-menu]').click()")
    window.until("document.querySelector('#person-menu:popover-open')")
    right = window.run("return document.querySelector('#person-menu').getBoundingClientRect().right <= innerWidth")
    assert right, "the menu stands inside the window"
    window.run("document.querySelector('#person-menu').hidePopover()")
    assert window.run("return document.documentElement.scrollWidth <= innerWidth")


def test_one_warm_page_by_keyboard(window: Firefox, live: Live) -> None:
    put(live, 3, "Third^Fox")
    window.go(f"{live.url}/storage")
    window.until("document.querySelector('tr.item')")
    window.run("window.stays = true; document.querySelector('tr.item').focus()")
    window.press(" ")
    window.until("document.querySelectorAll('tr.item[aria-selected=true]').length === 1")
    window.press("\ue00c")  # Escape
    window.until("document.querySelector('#selection').hidden")
    window.press("g", "i")
    window.until("location.pathname === '/' && document.querySelector('.incoming')")
    assert window.run("return window.stays") is True
    window.run("history.back()")
    window.until("document.querySelector('table.studies')")
    assert window.run("return window.stays") is True


def test_an_upload_in_firefox(window: Firefox, live: Live, tmp_path: Path) -> None:
    """Through XMLHttpRequest with progress, as a drop would do."""
    window.go(f"{live.url}/")
    window.until("document.querySelector('.incoming')")
    status = window.run(
        "const body = new FormData(); body.append('files', new File(['no DICOM'], 'note.txt'), 'folder/note.txt');"
        "const transfer = new DataTransfer(); transfer.items.add(new File(['no DICOM'], 'note.txt'));"
        "document.dispatchEvent(new DragEvent('drop', {dataTransfer: transfer, bubbles: true, cancelable: true}));"
        "return true"
    )
    assert status is True
    window.until("document.querySelector('.toast.bad .results')?.textContent.includes('note.txt')")
    window.shot(SHOTS / "firefox-upload.png")
