"""Every page with what to do on it before it is looked at."""

from collections.abc import Callable

from playwright.sync_api import Locator

from tests.support.browser import Visitor

Prepare = Callable[[Visitor], None]


def nothing(window: Visitor) -> None:
    pass


def unfolded(window: Visitor) -> None:
    """A row unfolded, two ticked: thumbnails, side panel and selection bar are there."""
    page = window.page
    page.locator("tr.item .fold").first.click()
    page.locator("tr.unfolded .thumb").first.wait_for()
    for n in (0, 1):
        page.locator("tr.item td.pick").nth(n).click()
    page.locator("#selection").wait_for()
    page.locator("#side h2").wait_for()


def deleting(window: Visitor) -> None:
    unfolded(window)
    window.page.locator('#selection [data-act="delete"]').click()
    window.page.locator("#dialog-delete[open]").wait_for()


def sending(window: Visitor) -> None:
    unfolded(window)
    window.page.locator('#selection [data-act="send"]').click()
    window.page.locator("#dialog-send[open]").wait_for()


def printing(window: Visitor) -> None:
    """From the side panel into the composer."""
    first_image(window).locator('[href^="/print?"]').click()
    window.page.wait_for_url("**/print?**")
    window.page.wait_for_timeout(800)


def viewing(window: Visitor) -> None:
    """From the side panel into the viewer, until the first image is painted."""
    first_image(window).locator('[href^="/viewer?"]').first.click()
    window.page.wait_for_url("**/viewer?**")
    window.page.wait_for_function(
        "() => ['image', 'loaded', 'failed'].includes(document.body.dataset.viewer)", timeout=30_000
    )


def first_image(window: Visitor) -> Locator:
    """The side panel of a study that has images."""
    window.page.locator("tr.item", has=window.page.locator(".badge", has_text="CT")).first.click()
    window.page.locator("#side .strip img").first.wait_for()
    return window.page.locator("#side")


def person_menu(window: Visitor) -> None:
    window.page.locator('[popovertarget="person-menu"]').click()
    window.page.locator("#person-menu:popover-open").wait_for()


def shortcuts(window: Visitor) -> None:
    window.page.locator("#main").press("?")
    window.page.locator("#shortcuts[open]").wait_for()


def toasts(window: Visitor) -> None:
    """A real upload: one object that is stored, one file that is none."""
    with window.page.expect_file_chooser() as chooser:
        window.page.locator('[data-import="files"]').first.click()
    chooser.value.set_files([{"name": "note.txt", "mimeType": "text/plain", "buffer": b"no DICOM"}])
    window.page.locator(".toast.bad, .toast.warn").first.wait_for()


PAGES: dict[str, tuple[str, Prepare]] = {
    "incoming": ("/", nothing),
    "incoming-problems": ("/?show=problems", nothing),
    "storage": ("/storage", unfolded),
    "storage-nothing": ("/storage?name=zzz", nothing),
    "storage-delete": ("/storage", deleting),
    "storage-send": ("/storage", sending),
    "query": ("/query", nothing),
    "components": ("/components", nothing),
    "about": ("/about", nothing),
    "conflicts": ("/conflicts", nothing),
    "account": ("/account", nothing),
    "general": ("/settings/general", nothing),
    "security": ("/settings/security", nothing),
    "users": ("/settings/users", nothing),
    "user-new": ("/settings/users/new", nothing),
    "facilities": ("/settings/facilities/new", nothing),
    "nodes": ("/settings/nodes/new", nothing),
    "routes": ("/settings/routes/new", nothing),
    "audit": ("/settings/audit", nothing),
    "transfer log": ("/settings/transfer-log", nothing),
    "certificates": ("/settings/certificates", nothing),
    "proxy": ("/settings/proxy", nothing),
    "store and forward": ("/settings/forwarder", nothing),
    "prints": ("/prints", nothing),
    "print": ("/storage", printing),
    "viewer": ("/storage", viewing),
    "person-menu": ("/storage", person_menu),
    "shortcuts": ("/storage", shortcuts),
    "upload": ("/", toasts),
    "error": ("/nowhere", nothing),
}
