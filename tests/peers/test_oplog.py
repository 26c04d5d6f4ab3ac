"""The transfer log keeps every operation, without anything of a patient."""

from datetime import timedelta
from typing import Any

from app.config import Config
from app.db import Database
from app.kit import logging as our_logging
from app.kit.clock import now
from app.kit.phrases import verbatim
from app.nodes import operation_log
from app.nodes import operation_queries as queries
from app.nodes.operation_log import Operation
from app.nodes.operation_queries import OperationFilter
from app.security.actor import Actor
from tests.support.waiting import eventually

ALL = Actor(name="admin", kind="user", sees_all=True)


def one(**changes: Any) -> Operation:
    return Operation(**({"kind": "store", "role": "scp", "peer": "CT1", "result": "success"} | changes))


def noted(database: Database, *operations: Operation) -> None:
    for operation in operations:
        operation_log.log_operation(database, operation)
    operation_log.flush(database)


def test_entries_come_newest_first_and_by_every_filter(database: Database) -> None:
    noted(
        database,
        one(objects=3, bytes=1000),
        one(peer="PACS_1", kind="send", role="scu", result="failure", status=0xA700, words=verbatim("It is full.")),
        one(peer="PACS_2", kind="find", role="scu", result="refused"),
    )
    with database.read() as session:
        found, total = queries.entries(session, ALL, OperationFilter())
        assert total == 3 and [e.peer for e in found] == ["PACS_2", "PACS_1", "CT1"]
        assert [e.peer for e in queries.entries(session, ALL, OperationFilter(), limit=1, before=found[0].id)[0]] == [
            "PACS_1"
        ]
        for wanted, peers in (
            (OperationFilter(peer="pacs_"), ["PACS_2", "PACS_1"]),
            (OperationFilter(peer="%"), []),
            (OperationFilter(kind="find"), ["PACS_2"]),
            (OperationFilter(role="scp"), ["CT1"]),
            (OperationFilter(result="problem"), ["PACS_2", "PACS_1"]),
            (OperationFilter(since=now() + timedelta(hours=1)), []),
            (OperationFilter(until=now() - timedelta(hours=1)), []),
        ):
            assert [e.peer for e in queries.entries(session, ALL, wanted)[0]] == peers, wanted
        assert queries.kinds(session, ALL) == ["find", "send", "store"]


def test_the_hours_of_a_peer_are_summed(database: Database) -> None:
    moment = now().replace(minute=30)
    noted(
        database,
        one(objects=3, bytes=10, at=moment),
        one(objects=4, bytes=20, at=moment, result="failure"),
        one(objects=1, bytes=5, at=moment - timedelta(hours=1)),
    )
    with database.read() as session:
        hours = list(queries.by_peer_and_hour(session, ALL, OperationFilter()))
    assert [(h.hour, h.operations, h.bad, h.objects, h.bytes) for h in hours] == [
        (f"{moment - timedelta(hours=1):%Y-%m-%d %H}", 1, 0, 1, 5),
        (f"{moment:%Y-%m-%d %H}", 2, 1, 7, 30),
    ]


def test_a_facility_sees_only_its_own_entries(database: Database) -> None:
    noted(database, one(facility_id="A"), one(peer="CT2", facility_id="B"))
    mine = Actor(name="x", kind="user", facility_id="B")
    with database.read() as session:
        assert [e.peer for e in queries.entries(session, mine, OperationFilter())[0]] == ["CT2"]
        assert [h.peer for h in queries.by_peer_and_hour(session, mine, OperationFilter())] == ["CT2"]


def test_a_row_comes_by_itself_and_old_ones_go(database: Database) -> None:
    operation_log.log_operation(database, one(at=now() - timedelta(days=100)))
    operation_log.log_operation(database, one(peer="NEW"))

    def total() -> int:
        with database.read() as session:
            return queries.entries(session, ALL, OperationFilter())[1]

    assert eventually(total, "both rows are written", until=lambda count: count >= 2) == 2
    with database.write() as session:
        assert queries.prune(session, now() - timedelta(days=90)) == 1
    with database.read() as session:
        assert [e.peer for e in queries.entries(session, ALL, OperationFilter())[0]] == ["NEW"]


def test_what_a_peer_says_of_a_patient_is_masked_in_row_and_file(sqlite_config: Config) -> None:
    from app.db import open_database

    database = open_database(sqlite_config)
    our_logging.setup("worker", sqlite_config.logs)
    try:
        noted(database, one(result="failure", words=verbatim("No match for PatientName: Marked^Person in our archive")))
        with database.read() as session:
            entry = queries.entries(session, ALL, OperationFilter())[0][0]
        assert "Marked" not in entry.words and "No match" in entry.words
        text = (sqlite_config.logs / f"dicom_{now():%Y%m%d}.log").read_text()
        assert "store from CT1" in text and "Marked" not in text
    finally:
        our_logging.setup("test", sqlite_config.logs)
        database.dispose()


def test_every_operation_has_its_line_however_many_fail(sqlite_config: Config) -> None:
    """The limit of log lines of one kind (E24) is not for operations: they are the record of what happened."""
    from app.db import open_database

    database = open_database(sqlite_config)
    our_logging.setup("worker", sqlite_config.logs)
    try:
        noted(database, *[one(result="failure", objects=n) for n in range(100)])
        text = (sqlite_config.logs / f"dicom_{now():%Y%m%d}.log").read_text()
        assert text.count("store from CT1") == 100
    finally:
        our_logging.setup("test", sqlite_config.logs)
        database.dispose()
