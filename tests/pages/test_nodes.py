"""Settings, Nodes: the page and its form."""

import re

import pytest
from sqlalchemy import select

from app.kit.phrases import NOTHING, phrase, verbatim
from app.nodes import activity_queries
from app.nodes.callers import CLASH, UNKNOWN, Book
from app.nodes.models import Caller
from tests.support.client import Web
from tests.support.postgres import free_port

FORM = {"name": "PACS 1", "ae_title": "PACS1", "host": "127.0.0.1", "port": "104", "capabilities": ["store", "find"]}
FORM |= {"enabled": "1", "accept": "1", "transfer_syntax": "stored", "facility_id": ""}


def _make(web: Web, **change: object) -> str:
    answer = web.admin.post("/settings/nodes/new", data=FORM | change)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def test_an_empty_list_says_what_to_do(web: Web) -> None:
    page = web.admin.get("/settings/nodes").text
    assert "No nodes yet" in page and "/settings/nodes/new" in page
    assert "/settings/nodes/new" not in web.alice.get("/settings/nodes").text


def test_a_node_is_made_in_the_form_and_shown(web: Web) -> None:
    where = _make(web)
    page = web.admin.get(where).text
    assert 'value="PACS1"' in page and "Changed by admin" in page and "Store, Find" in page
    saved = web.admin.get("/api/v1/nodes/PACS 1").json()
    assert saved["capabilities"] == ["store", "find"] and saved["accept"] is True
    assert web.admin.post(where, data=FORM | {"enabled": "", "port": "11112"}).status_code == 303
    saved = web.admin.get("/api/v1/nodes/PACS 1").json()
    assert saved["enabled"] is False and saved["port"] == 11112
    assert "disabled" in web.admin.get("/settings/nodes/list").text


def test_wrong_fields_come_back_as_typed_with_words(web: Web) -> None:
    answer = web.admin.post("/settings/nodes/new", data=FORM | {"port": "70104", "host": "169.254.169.254"})
    assert answer.status_code == 422
    assert 'value="70104"' in answer.text and "Enter a port from 1 to 65535" in answer.text
    assert "2 fields to correct" in answer.text
    assert web.admin.get("/api/v1/nodes").json()["total"] == 0
    _make(web)
    again = web.admin.post("/settings/nodes/new", data=FORM)
    assert again.status_code == 422 and "A node of this name is there already." in again.text


def test_a_secret_is_set_kept_and_forgotten_in_the_form(web: Web) -> None:
    web_form = {"protocol": "dicomweb", "url": "https://x.example/dw", "username": "u", "password": "Crocus-9"}
    where = _make(web, **web_form)
    page = web.admin.get(where).text
    assert "Crocus" not in page and "Is set." in page and "https://x.example/dw" in page
    assert web.admin.post(where, data=FORM | web_form | {"password": ""}).status_code == 303
    assert web.admin.get("/api/v1/nodes/PACS 1").json()["password_set"] is True
    assert web.admin.post(where, data=FORM | web_form | {"password": "", "password_clear": "1"}).status_code == 303
    assert web.admin.get("/api/v1/nodes/PACS 1").json()["password_set"] is False


def test_every_option_is_kept_by_the_form(web: Web) -> None:
    where = _make(
        web, tls="1", parallel="3", window="22:00-06:00", retries="", paused="1", max_pdu="16384", priority="9"
    )
    saved = web.admin.get("/api/v1/nodes/PACS 1").json()
    assert (saved["tls"], saved["parallel"], saved["paused"], saved["priority"]) == (True, 3, True, 9)
    assert saved["retries"] is None and saved["max_pdu"] == 16384 and saved["use_proxy"] is False
    page = web.admin.get(where).text
    assert page.count('<details class="part" open>') == 3 and 'value="22:00-06:00"' in page
    wrong = web.admin.post(where, data=FORM | {"parallel": "many", "window": "night"})
    assert wrong.status_code == 422 and 'value="many"' in wrong.text and "2 fields to correct" in wrong.text


def test_names_are_data_not_markup(web: Web) -> None:
    where = _make(web, name="<script>alert(1)</script>".replace("/", "|"))
    assert "<script>alert" not in web.admin.get(where).text


def test_the_test_answers_in_place_and_on_the_page(web: Web) -> None:
    where = _make(web, port=str(free_port()))
    part = web.alice.post(f"{where}/test", headers={"HX-Request": "true"})
    assert part.status_code == 200 and "<html" not in part.text
    assert "Network connection" in part.text and "refuses connections" in part.text
    whole = web.alice.post(f"{where}/test")
    assert "<html" in whole.text and "refuses connections" in whole.text
    assert "no response since" in web.alice.get("/settings/nodes/list").text


def test_a_node_is_removed_after_a_question(web: Web) -> None:
    where = _make(web)
    assert re.search(r"Remove the node PACS 1\?", web.admin.get(where).text)
    assert web.admin.post(f"{where}/remove").headers["location"] == "/settings/nodes"
    assert web.admin.get(where).status_code == 404


def test_only_administrators_see_the_forms_buttons(web: Web) -> None:
    where = _make(web)
    page = web.alice.get(where).text
    assert "disabled" in page and "node-remove" not in page
    assert web.alice.post(where, data=FORM).status_code == 403
    assert web.charlie.get("/settings/nodes").status_code == 403


def test_callers_delays_and_odd_calls_are_shown(web: Web) -> None:
    """An unknown caller prefills the form and is gone once it is a node; what is known of a node stands on its page."""
    book = Book(web.database)
    book.record_call(UNKNOWN, "CT_NEW", "FILMROOM", "10.1.2.3", None, ["1.2.840.10008.1.1"], NOTHING)
    book.write()
    page = web.admin.get("/settings/nodes").text
    assert "CT_NEW" in page and "called FILMROOM" in page and "Add as node" in page
    assert "Add as node" not in web.alice.get("/settings/nodes").text
    assert "CT_NEW" not in web.bob.get("/settings/nodes").text, "nobody's callers are for those who see all"
    caller = web.admin.get("/api/v1/nodes/callers").json()["items"][0]
    form = web.admin.get(f"/settings/nodes/new?caller={caller['id']}").text
    assert 'value="CT_NEW"' in form and 'value="10.1.2.3"' in form
    where = _make(web, name="ct", ae_title="CT_NEW", host="10.1.2.3")
    assert web.admin.get("/api/v1/nodes/callers").json()["total"] == 0
    node_id = where.rpartition("/")[2]
    book.record_gap(node_id, "CT_NEW", "10.1.2.3", 41)
    book.record_call(
        CLASH, "CT_NEW", "NORTH", "10.1.2.3", None, [], NOTHING, verbatim("The title is of another facility.")
    )
    book.write()
    page = web.admin.get(where).text
    assert "the node waits 41 ms" in page and "20 s longer" in page and "The title is of another facility." in page
    assert web.admin.get("/api/v1/nodes/ct").json()["delayed_acknowledgement_ms"] == 41
    book.record_gap(node_id, "CT_NEW", "10.1.2.3", None)
    book.write()
    assert "TCP_NODELAY" not in web.admin.get(where).text


def test_a_caller_that_two_receivers_meet_at_once_is_recorded_by_both(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each found no row and adds one: the second add fails, and its call is written with the next ones."""
    books = [Book(web.database) for _ in range(2)]
    for book in books:
        book.record_call(UNKNOWN, "CT_NEW", "FILMROOM", "10.1.2.3", None, [], NOTHING)
    books[0].write()
    with monkeypatch.context() as context:
        context.setattr(activity_queries, "caller_like", lambda *_: None)
        books[1].write()
    books[1].write()
    with web.database.read() as session:
        assert [(row.title, row.count) for row in session.scalars(select(Caller))] == [("CT_NEW", 2)]


def test_a_caller_is_ignored_shown_again_and_forgotten(web: Web) -> None:
    book = Book(web.database)
    book.record_call(UNKNOWN, "X", "FILMROOM", "10.1.2.3", None, [], phrase("the caller is not a known node"))
    book.write()
    one = web.admin.get("/api/v1/nodes/callers").json()["items"][0]
    assert one["refused"] is True and one["reason"] == "the caller is not a known node"
    assert web.admin.post(f"/settings/nodes/callers/{one['id']}/ignore").status_code == 303
    assert web.admin.get("/api/v1/nodes/callers").json()["total"] == 0
    assert web.admin.get("/api/v1/nodes/callers?ignored=true").json()["total"] == 1
    assert web.admin.put(f"/api/v1/nodes/callers/{one['id']}?ignored=false").json()["ignored"] is False
    assert web.bob.delete(f"/api/v1/nodes/callers/{one['id']}").status_code == 403
    assert web.admin.delete(f"/api/v1/nodes/callers/{one['id']}").status_code == 204
    assert web.admin.get("/api/v1/nodes/callers?ignored=true").json()["total"] == 0
