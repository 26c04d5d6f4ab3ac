"""The transfer log as people and programs read it."""

import csv
import io
from typing import Any

import pytest

from app.kit.phrases import phrase, verbatim
from app.nodes import operation_log
from app.nodes.operation_log import Operation
from tests.support.client import Web


@pytest.fixture
def logged(web: Web) -> Web:
    def one(**changes: Any) -> Operation:
        return Operation(**({"kind": "store", "role": "scp", "peer": "CT_ROOM1", "result": "success"} | changes))

    for operation in (
        one(objects=612, bytes=321_000_000, seconds=38.0, title="CT_A801", called="FILMROOM"),
        one(
            peer="PACS1",
            kind="send",
            role="scu",
            result="failure",
            failed=2,
            status=0xA700,
            words=verbatim("It is full."),
        ),
        one(peer="=cmd|' /C calc'!A0", result="refused", words=phrase("the caller is not a known node")),
    ):
        operation_log.log_operation(web.database, operation)
    operation_log.flush(web.database)
    return web


def test_people_see_what_happened_and_each_peers_day(logged: Web) -> None:
    page = logged.admin.get("/settings/transfer-log").text
    for words in ("CT_ROOM1", "612", "321 MB", "8.4 MB/s", "PACS1", "It is full.", "A700", "CT_A801 → FILMROOM"):
        assert words in page, words
    problems = logged.admin.get("/settings/transfer-log?result=problem").text
    assert 'id="op-2"' in problems and 'id="op-1"' not in problems
    assert 'id="op-1"' in logged.admin.get("/settings/transfer-log/rows?peer=ct_").text


def test_programs_get_pages_statistics_and_csv(logged: Web) -> None:
    first = logged.admin.get("/api/v1/operations", params={"limit": 2}).json()
    assert first["total"] == 3 and len(first["items"]) == 2 and first["next"]
    rest = logged.admin.get("/api/v1/operations", params={"limit": 2, "cursor": first["next"]}).json()
    assert [e["peer"] for e in rest["items"]] == ["CT_ROOM1"] and rest["next"] is None
    hours = logged.admin.get("/api/v1/operations/statistics", params={"peer": "ct_room"}).json()["items"]
    assert [(h["peer"], h["objects"], h["bytes"]) for h in hours] == [("CT_ROOM1", 612, 321_000_000)]
    text = logged.admin.get("/api/v1/operations", params={"format": "csv"}).text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["peer"] for row in rows] == ["'=cmd|' /C calc'!A0", "PACS1", "CT_ROOM1"]
    assert rows[1]["status"] == "A700"
    assert logged.admin.get("/api/v1/operations", params={"result": "odd"}).status_code == 422


def test_who_may_not_know_the_nodes_does_not_read_their_log(logged: Web) -> None:
    assert logged.nobody.get("/api/v1/operations").status_code == 401
