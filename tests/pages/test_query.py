"""Query/Retrieve as staff use it: Orthanc, dcmqrscp and a dead node asked at once, from a real browser."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.support import dcmtk
from tests.support.browser import chromium, visitor
from tests.support.live import Live
from tests.support.orthanc import orthanc
from tests.support.pacs import Made, dcmqrscp, make_study
from tests.support.postgres import free_port
from tests.support.waiting import job_ended

pytestmark = [pytest.mark.slow, pytest.mark.peer, pytest.mark.browser]
WAIT = 60_000
PEOPLE = [
    ("Ramírez^Lucía", "80-11862", "CT", "Abdomen and pelvis", "20260903"),
    ("Ramos^Teófilo", "74-30118", "CT", "Head without contrast", "20260312"),
    ("Rambaldi^Chiara", "79-81240", "MR", "Pelvis, endometriosis", "20260202"),
    ("Ramírez^Lucía", "80-11862", "MR", "Screening, 4 views", "20251114"),
    ("Wu^Jianli=吴^建丽", "81-5512", "MR", "Lumbar spine", "20250811"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def archives(live: Live, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Made]]:
    """Orthanc with all studies, dcmqrscp with the first two, and a node where nobody is."""
    folder = tmp_path_factory.mktemp("archives")
    made = [
        make_study(folder / "made", n, name=name, patient_id=pid, description=words, date=date, accession=f"A-{n}",
                   series=[(modality, 8), (modality, 4)])
        for n, (name, pid, modality, words, date) in enumerate(PEOPLE, 30)
    ]  # fmt: skip
    with (
        orthanc(folder / "orthanc", live.dicom_port) as (port, client),
        dcmqrscp(folder / "qr", live.dicom_port) as second,
        live.client() as admin,
    ):
        for file in (f for m in made for f in m.files):
            assert client.post("/instances", content=file.read_bytes()).status_code == 200
        assert dcmtk.storescu(second, [f for m in made[:2] for f in m.files], called="DCMQR").code == 0
        for name, title, at in (
            ("PACS-ARCHIVE", "ORTHANC", port),
            ("PACS2", "DCMQR", second),
            ("CLINIC-SUR", "SUR", free_port()),
        ):
            node = {"name": name, "ae_title": title, "host": "127.0.0.1", "port": at}
            body = node | {"capabilities": ["store", "find", "move", "get"]}
            assert admin.post("/api/v1/nodes", json=body).status_code == 201
        yield made


def test_staff_find_and_fetch_from_several_archives(live: Live, archives: list[Made], browser: Browser) -> None:
    with visitor(browser, live) as one:
        page = one.page
        one.go("/query")
        expect(page.locator("#ask-button")).to_have_text("Search 3 archives")
        page.locator("input[name=name]").fill("Ram*")
        page.locator("input[name=name]").press("Enter")
        rows = page.locator("#rows tr.item")
        expect(rows).to_have_count(4, timeout=WAIT)
        expect(page.locator("#query-status")).to_contain_text("4 studies from 2 nodes", timeout=WAIT)
        expect(page.locator("#query-status")).to_contain_text("refuses connections")
        first = page.locator(f'tr[data-remote="study"][data-study="{archives[0].uid}"]')
        expect(first).to_contain_text("PACS-ARCHIVE, PACS2")
        expect(first).to_contain_text("Ramírez, Lucía")
        expect(page.locator(f'tr[data-study="{archives[2].uid}"]').locator("td").nth(9)).to_have_text("12")
        # keyboard: down to the second row, unfold, choose a series, fetch it
        first.focus()
        page.keyboard.press("ArrowRight")
        series = page.locator('tr[data-remote="series"]')
        expect(series).to_have_count(2, timeout=WAIT)
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Space")
        expect(page.locator("#retrieve-bar b")).to_have_text("1 series")
        page.locator("[data-retrieve]").click()
        queue = page.locator("#retrievals tr.item")
        expect(queue.first).to_contain_text("Stored", timeout=WAIT)
        expect(first).to_contain_text("4 of 12", timeout=WAIT)
        # images of the other series
        page.locator('tr[data-remote="series"] .fold').first.click()
        images = page.locator('tr[data-remote="image"]')
        expect(images).to_have_count(8, timeout=WAIT)
        images.nth(2).locator("td.pick").click()
        page.locator("[data-retrieve]").click()
        expect(first).to_contain_text("5 of 12", timeout=WAIT)
        expect(images.nth(2)).to_contain_text("Stored", timeout=WAIT)
        expect(series.nth(0)).to_contain_text("1 of 8")
        # two whole studies
        for made in (archives[0], archives[1]):
            page.locator(f'tr[data-remote="study"][data-study="{made.uid}"] td.pick').click()
        expect(page.locator("#retrieve-bar b")).to_have_text("2 studies")
        one.shot("query-selected-dark")
        page.locator("[data-retrieve]").click()
        expect(first).to_contain_text("Stored", timeout=WAIT)
        expect(page.locator("#query-status")).to_contain_text("2 in local storage", timeout=WAIT)
        expect(queue).to_have_count(4)
        first.locator("td.name a").click()
        page.wait_for_url("**/viewer?study=*")
        assert [fault for fault in one.faults if "net::ERR" not in fault] == []


@pytest.mark.parametrize("theme", ["dark", "light", "contrast"])
def test_the_page_is_readable_in_every_theme(live: Live, archives: list[Made], browser: Browser, theme: str) -> None:
    with live.client() as admin:
        made = admin.post(
            "/api/v1/queries", json={"nodes": ["PACS-ARCHIVE", "PACS2", "CLINIC-SUR"], "patient_name": "*"}
        )
        place = made.headers["location"]
        job_ended(admin, place)
        failing = {"node": "CLINIC-SUR", "study_instance_uid": archives[3].uid, "method": "move"}
        admin.post("/api/v1/retrieves", json=failing)
    with visitor(browser, live, theme=theme) as one:
        one.go(f"/query?id={made.json()['id']}")
        expect(one.page.locator("#rows tr.item")).to_have_count(5, timeout=WAIT)
        one.page.locator("#rows tr.item .fold").first.click()
        expect(one.page.locator('tr[data-remote="series"]').first).to_be_visible(timeout=WAIT)
        one.page.locator("#rows td.pick").nth(0).click()
        one.shot(f"6-query-retrieve-{theme}")
        assert one.axe() == []
        assert one.overflow() == 0
        if theme == "dark":
            for width in (1280, 1024, 768, 520):
                one.page.set_viewport_size({"width": width, "height": 768})
                assert one.overflow() == 0, width
                one.shot(f"6-query-retrieve-{width}")


def test_a_wrong_date_is_told_beside_the_field_and_filters_are_kept(
    live: Live, archives: list[Made], browser: Browser
) -> None:
    with visitor(browser, live) as one:
        one.go("/query")
        one.page.locator("input[name=date]").fill("last week")
        one.page.locator("input[name=date]").press("Enter")
        expect(one.page.locator("[data-problem]")).to_contain_text("Enter a day", timeout=WAIT)
        expect(one.page.locator("input[name=date]")).to_have_attribute("aria-invalid", "true")
        one.page.locator('[popovertarget="periods"]').click()
        one.page.get_by_role("menuitem", name="2 years").click()
        expect(one.page.locator("input[name=date]")).not_to_have_value("last week")
        one.page.locator('[popovertarget="mods"]').click()
        one.page.locator("#mods label", has_text="MR").first.click()
        one.page.keyboard.press("Escape")
        for other in ("PACS2", "CLINIC-SUR"):
            one.page.locator(".node-chip", has_text=other).click()
        expect(one.page.locator("#ask-button")).to_have_text("Search 1 archive")
        one.page.locator("#ask-button").click()
        expect(one.page.locator("#rows tr.item")).to_have_count(3, timeout=WAIT)
