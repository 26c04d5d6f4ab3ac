"""An archive that does not answer is shown as such, with the reason, never as one that has no study."""

import os
import signal
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from app.jobs.models import Job
from app.retrieve import queries as retrieve_queries
from app.retrieve.models import RemoteQueryNode
from app.retrieve.query_states import interruption_reason, state_of
from tests.support.archives import bad_archives
from tests.support.browser import chromium, visitor
from tests.support.client import Web
from tests.support.live import Live
from tests.support.query_nodes import add_query_node
from tests.support.waiting import job_ended

WORDS = {
    "CLOSED": "refuses connections",
    "SILENT": "did not answer",
    "MUTE": "did not answer",
    "FAILING": "database is locked",
    "ABORTING": "aborted",
}
BAD = sorted(WORDS)


@pytest.fixture(scope="module")
def archives(live: Live) -> Iterator[dict[str, int]]:
    with bad_archives() as ports, live.client() as admin:
        limits = {"silence": 1, "seconds": 4}
        answer = admin.put("/api/v1/settings/query", json=limits)
        assert answer.status_code == 200, answer.text
        for name, port in ports.items():
            node = {"name": name, "ae_title": "ARCHIVE", "host": "127.0.0.1", "port": port, "capabilities": ["find"]}
            assert admin.post("/api/v1/nodes", json=node).status_code == 201
        yield ports


def ask(live: Live, *nodes: str, seconds: float = 60) -> dict[str, Any]:
    """Asks these nodes and waits for the end."""
    with live.client() as client:
        place = client.post("/api/v1/queries", json={"nodes": list(nodes), "patient_name": "Found*"}).headers[
            "location"
        ]
        return job_ended(client, place, seconds)


@pytest.mark.slow
def test_rest_says_of_every_node_how_it_went(live: Live, archives: dict[str, int]) -> None:
    found = ask(live, "GOOD", *BAD)
    by_node = {one["node"]: one for one in found["nodes"]}
    assert {name: one["state"] for name, one in by_node.items()} == {"GOOD": "done", **dict.fromkeys(BAD, "failed")}
    for name, words in WORDS.items():
        assert words in by_node[name]["error"], by_node[name]
        assert by_node[name]["incomplete"], name
    assert (by_node["ABORTING"]["answers"], by_node["GOOD"]["incomplete"]) == (2, False)
    assert found["state"] == "done" and found["complete"] is False
    assert found["total"] == 3 and found["progress"] == {"done": 6, "total": 6}
    alone = ask(live, "GOOD")
    assert alone["complete"] is True and alone["total"] == 1
    none = ask(live, "CLOSED")
    assert none["state"] == "failed" and WORDS["CLOSED"] in none["error"] and none["total"] == 0


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.mark.slow
@pytest.mark.browser
def test_the_page_never_says_no_study_when_nobody_answered(
    live: Live, archives: dict[str, int], browser: Browser
) -> None:
    with visitor(browser, live) as one:
        page, nothing, asked = one.page, one.page.locator("#nothing"), one.page.locator("#query-status")

        def search(*nodes: str) -> None:
            one.go("/query")
            for name in archives:
                page.locator(".node-chip", has_text=name).locator("input").set_checked(name in nodes)
            page.locator("#ask-button").click()
            page.wait_for_url("**/query?id=*")

        for nodes in (("CLOSED",), ("SILENT",), ("MUTE", "FAILING")):
            search(*nodes)
            for _again in range(2):  # live, and after a reload
                expect(nothing).to_contain_text("No archive could be searched", timeout=60_000)
                for name in nodes:
                    expect(nothing).to_contain_text(WORDS[name])
                expect(asked.locator("[data-asking]")).to_have_count(0)
                assert "matches" not in (nothing.text_content() or "")
                page.reload()
        one.shot("query-no-answer")
        search("GOOD", "ABORTING", "CLOSED")
        for _again in range(2):
            expect(page.locator("#rows tr.item")).to_have_count(3, timeout=60_000)
            expect(asked).to_contain_text("ABORTING: incomplete", timeout=60_000)
            expect(asked).to_contain_text("refuses connections")
            page.reload()
        one.shot("query-partial")
        assert one.axe() == []


@pytest.mark.slow
def test_a_deleted_node_and_a_killed_worker_leave_no_query_open(live: Live, archives: dict[str, int]) -> None:
    with live.client() as client:
        place = client.post("/api/v1/queries", json={"nodes": ["MUTE", "SILENT"]}).headers["location"]
        assert client.delete("/api/v1/nodes/SILENT").status_code in (200, 204)
        (worker,) = live.role_pids("worker")
        os.kill(worker, signal.SIGKILL)
        found = job_ended(client, place, 120)
        assert found["state"] == "failed"
        assert all(one["state"] == "failed" and one["error"] for one in found["nodes"]), found
        page = client.get(f"/query?id={found['id']}").text
        assert "No archive could be searched" in page and "SILENT" in page and "data-asking" not in page


@pytest.mark.parametrize(
    ("job_state", "attempts", "age", "state"),
    [
        ("queued", 0, 0, "waiting"),
        ("queued", 0, 3600, "failed"),  # no worker runs
        ("queued", 1, 5, "waiting"),  # asked again after its worker died
        ("running", 1, 5, "waiting"),
        ("running", 1, 3600, "failed"),
        ("failed", 2, 5, "failed"),
        ("done", 1, 5, "failed"),  # the database was away when the node's end was to be written
        ("cancelled", 1, 5, "cancelled"),
        ("", 0, 5, "failed"),  # the job has been pruned
    ],
)
def test_a_row_left_open_is_not_asked_for_ever(job_state: str, attempts: int, age: int, state: str) -> None:
    reason = interruption_reason(job_state, attempts, timedelta(seconds=age), 93.0)
    for row_state in ("waiting", "asking"):
        shown = state_of(RemoteQueryNode(node_name="P1", state=row_state, answers=2), job_state, reason)
        if state == "waiting":
            assert (shown.state, shown.error, shown.incomplete) == (row_state, "", False)
        else:
            assert shown.state == state and shown.error and shown.incomplete
    done = RemoteQueryNode(node_name="P2", state="done", answers=0, broken=0, limited=False)
    assert state_of(done, job_state, reason).answered


def test_a_lost_job_is_shown_on_the_page(web: Web) -> None:
    add_query_node(web, "P1")
    made = web.bob.post("/api/v1/queries", json={"nodes": ["P1"]}).json()
    with web.database.write() as session:
        job = session.get(Job, retrieve_queries.query(session, web.actor("bob"), made["id"]).job_id)
        assert job is not None
        job.state = "done"
    shown = web.bob.get(f"/api/v1/queries/{made['id']}").json()
    assert (shown["state"], shown["complete"], shown["nodes"][0]["state"]) == ("failed", False, "failed")
    page = web.bob.get(f"/query?id={made['id']}").text
    assert (
        "data-asking" not in page
        and "No archive could be searched" in page
        and "P1: The search was interrupted" in page
    )
