"""Settings, Routes in a browser: rows come and go, faults stand beside their fields, the bench answers, keyboard and order;
and the form's own arithmetic without one."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import Browser, Page, expect

from app.kit.errors import BadRequest
from app.pages import route_form
from app.routing import rule
from tests.archive.make import ct_bytes
from tests.support.browser import Visitor, chromium, visitor
from tests.support.live import Live

RULE = {
    "when": {"kind": "schedule", "at": ["02:00", "14:30"], "weekdays": ["mon"]},
    "conditions": {
        "match": "any",
        "items": [
            {"field": "Modality", "op": "one-of", "value": ["CT", "MR"]},
            {"match": "all", "items": [{"field": "SliceThickness", "op": "between", "value": ["1", "2"]}]},
            {"field": '0009xx01:"GEMS_IDEN_01"', "op": "exists", "value": ""},
        ],
    },
    "actions": [
        {"do": "change", "changes": [{"op": "copy", "tag": "StudyID", "source": "PatientID"}]},
        {"do": "send", "nodes": ["a", "b"], "back": True},
        {"do": "stop"},
    ],
}


def _pairs(value: object, place: str = "") -> list[tuple[str, str]]:
    """A form as a browser sends it."""
    if isinstance(value, dict):
        if "items" in value and "match" in value and place.count("items"):
            value = value | {"group": "1"}
        return [pair for key, one in value.items() for pair in _pairs(one, f"{place}.{key}" if place else key)]
    if isinstance(value, list):
        if all(isinstance(one, str) for one in value):
            return [(place, one) for one in value]
        return [pair for number, one in enumerate(value) for pair in _pairs(one, f"{place}.{number}")]
    if isinstance(value, bool):
        return [(place, "1")] if value else []
    return [(place, str(value))]


def test_a_rule_comes_back_from_its_form_as_it_was() -> None:
    saved = rule.read(RULE).model_dump(mode="json")
    form = route_form.form_of("night", "", saved)
    again = rule.read(route_form.rule_of(route_form.typed(_pairs(form)))).model_dump(mode="json")
    assert again == saved


@given(st.lists(st.tuples(st.text("ab.01", max_size=12), st.text(max_size=5)), max_size=8))
def test_no_form_breaks_the_reader(pairs: list[tuple[str, str]]) -> None:
    try:
        form = route_form.typed(pairs)
    except BadRequest:
        return
    assert isinstance(route_form.rule_of(form)["actions"], list)


@pytest.mark.parametrize("said", ["up:actions.9", "add:name:send", "remove:x.0", "melt:actions.0", "add:actions:bomb"])
def test_a_button_that_no_form_has_is_refused(said: str) -> None:
    with pytest.raises(BadRequest):
        route_form.command(route_form.blank(), said)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def window(browser: Browser, live: Live) -> Iterator[Visitor]:
    with live.client() as client:
        headers = {"content-type": "application/dicom"}
        client.post("/api/v1/imports", content=ct_bytes("1.2.3.1.1.1"), headers=headers)
        for name in ("PACS1", "RESEARCH"):
            node = {"name": name, "ae_title": name, "host": "127.0.0.1", "port": 104}
            assert client.post("/api/v1/nodes", json=node).status_code in (201, 409)
        for one in client.get("/api/v1/routes").json()["items"]:
            client.delete(f"/api/v1/routes/{one['id']}")
    with visitor(browser, live, size=(1280, 900)) as made:
        yield made


def _new(page: Page, name: str) -> None:
    page.goto("/settings/routes/new")
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_role("checkbox", name="PACS1").check()


@pytest.mark.browser
def test_a_route_is_written_tested_and_turned_on(window: Visitor) -> None:
    page = window.page
    _new(page, "CT to PACS1")
    page.get_by_role("textbox", name="Value").fill("MR")
    page.get_by_role("button", name="Condition", exact=True).click()
    second = page.get_by_role("group", name="Condition 2")
    second.get_by_role("combobox", name="Property", exact=True).select_option("tag")
    second.get_by_role("combobox", name="Attribute").fill("SliceThick")
    expect(page.locator("#tag-list option").first).to_have_attribute("value", "SliceThickness")
    second.get_by_role("combobox", name="Attribute").fill("Nonsense")
    second.get_by_role("textbox", name="Value").fill("1")
    page.get_by_role("button", name="Save").last.click()
    expect(page.get_by_text("Nonsense is not a keyword")).to_be_visible()
    assert page.get_by_role("textbox", name="Name", exact=True).input_value() == "CT to PACS1"
    page.get_by_role("button", name="Remove condition 2").click()
    expect(page.get_by_role("group", name="Condition 2")).to_have_count(0)
    page.get_by_role("button", name="Test", exact=True).click()
    expect(page.get_by_text("Does not match")).to_be_visible()
    page.get_by_role("textbox", name="Value").fill("CT")
    page.get_by_role("button", name="Save").last.click()
    page.wait_for_url(lambda url: not url.endswith("/new"))
    page.get_by_role("button", name="Enable").click()
    dialog = page.locator("#route-untested")
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name="Test first").click()
    page.get_by_role("button", name="Test", exact=True).click()
    expect(page.get_by_text("Matches", exact=True)).to_be_visible()
    expect(page.get_by_text("Tested in its saved state.", exact=True)).to_be_visible()
    page.get_by_role("button", name="Enable").click()
    expect(page.get_by_role("button", name="Disable")).to_be_visible()
    assert window.faults == [] or all("422" in fault for fault in window.faults), window.faults


@pytest.mark.browser
def test_a_file_on_the_bench_shows_what_leaves_changed(window: Visitor) -> None:
    page = window.page
    _new(page, "anonymous")
    page.get_by_role("button", name="Remove condition 1").click()
    expect(page.get_by_role("group", name="Condition 1")).to_have_count(0)
    page.get_by_role("button", name="Anonymize", exact=True).click()
    page.get_by_role("button", name="Step 2 up").click()
    expect(page.get_by_role("group", name="Step 1")).to_contain_text("Anonymize before the following sends")
    page.locator("#bench-file").set_input_files(
        [{"name": "x.dcm", "mimeType": "application/dicom", "buffer": ct_bytes("1.2.7.1", "1.2.7", "1.2.7.2")}]
    )
    page.get_by_role("button", name="Test", exact=True).click()
    page.locator(".route-test-send summary").click()
    expect(page.locator(".diff")).to_contain_text("Doe^Jane")
    assert window.axe() == []


@pytest.mark.browser
def test_the_order_is_moved_by_keyboard_and_by_mouse(window: Visitor, live: Live) -> None:
    with live.client() as client:
        for name in ("one", "two", "three"):
            body = {"name": name, "actions": [{"do": "send", "nodes": ["PACS1"]}]}
            assert client.post("/api/v1/routes", json=body).status_code == 201

        def order() -> list[str]:
            return [one["name"] for one in client.get("/api/v1/routes").json()["items"]]

        page = window.page
        page.goto("/settings/routes")
        with page.expect_response("**/api/v1/routes/order"):
            page.locator("#routes-list a", has_text="three").press("Alt+ArrowUp")
        assert order() == ["one", "three", "two"]
        with page.expect_response("**/api/v1/routes/order"):
            page.locator("#routes-list li", has_text="two").drag_to(page.locator("#routes-list li", has_text="one"))
        assert order() == ["two", "one", "three"]


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["dark", "light", "contrast"])
def test_a_full_form_is_clean_for_axe_and_fits(browser: Browser, window: Visitor, live: Live, theme: str) -> None:
    body = {**RULE, "name": f"full {theme}", "actions": [*RULE["actions"]]}  # type: ignore[misc]
    body["actions"][1] = {"do": "send", "nodes": ["PACS1", "RESEARCH"]}  # type: ignore[index]
    with live.client() as client:
        made = client.post("/api/v1/routes", json=body)
        assert made.status_code == 201, made.text
    with visitor(browser, live, theme=theme) as other:
        for width in (1280, 768):
            other.page.set_viewport_size({"width": width, "height": 900})
            other.go(f"/settings/routes/{made.json()['id']}")
            assert other.axe() == []
            assert other.overflow() == 0
