"""We ask nodes to commit: real associations, a second stack's answers, and lies."""

from pathlib import Path

import pytest
from sqlalchemy import update

from app.db import Database
from app.jobs.models import Job
from app.kit.clock import now
from app.nodes import commitment, service
from app.nodes.models import Commitment
from app.nodes.service import NodeValues
from app.worker import LANES, Worker, handler_of
from tests.support import dcmtk
from tests.support.client import actor
from tests.support.committer import committer
from tests.support.dimse import Station
from tests.support.postgres import free_port

CT = "1.2.840.10008.5.1.4.1.1.2"
UIDS = ["1.2.3.1", "1.2.3.2", "1.2.3.3"]


def work(worker: Worker) -> None:
    """One try of what is due."""
    with worker.database.write() as session:
        session.execute(update(Job).where(Job.state == "queued").values(run_after=now()))
    kinds = list(LANES["commitment"][1])
    claimed = worker._claim(kinds)
    assert claimed is not None
    worker._run(claimed, handler_of(claimed.kind))


def _request(database: Database, port: int, title: str = "COMMITTER") -> str:
    admin = actor(database, "admin")
    with database.write() as session:
        node = service.create_node(session, admin, NodeValues("pacs", title, "127.0.0.1", port))
        return commitment.request(session, admin, node.id, [(CT, uid) for uid in UIDS], transfer_id="t")


def _row(database: Database, made: str) -> Commitment:
    with database.read() as session:
        return session.get_one(Commitment, made)


def test_the_answer_may_come_on_the_association_of_the_request(
    receiver: Station, worker: Worker, peopled: Database
) -> None:
    with committer(receiver.port, refuse={UIDS[1]}, silent_about={UIDS[2]}) as node:
        made = _request(peopled, node.port)
        work(worker)
        receiver.wait(lambda: node.said == [0])
    assert [i.ReferencedSOPInstanceUID for i in node.heard[0].ReferencedSOPSequence] == UIDS
    row = _row(peopled, made)
    assert (row.state, row.committed, row.failed) == ("done", 1, 2)
    with peopled.read() as session:
        found = commitment.transfer_outcome(session, "t")
    assert found.committed == {UIDS[0]} and set(found.failed) == set(UIDS[1:])


def test_a_refused_request_is_tried_again_and_then_given_up(
    receiver: Station, worker: Worker, peopled: Database
) -> None:
    with committer(receiver.port, action=0x0213) as node:
        made = _request(peopled, node.port)
        for _ in range(4):
            work(worker)
    row = _row(peopled, made)
    assert row.state == "failed" and row.error is not None and "0213" in row.error
    with peopled.read() as session:
        assert set(commitment.transfer_outcome(session, "t").failed) == set(UIDS)


def test_a_node_that_is_down_is_asked_when_it_is_back(receiver: Station, worker: Worker, peopled: Database) -> None:
    port = free_port()
    made = _request(peopled, port)
    work(worker)
    assert _row(peopled, made).state == "queued"
    with committer(receiver.port, port=port):
        work(worker)
    assert _row(peopled, made).state == "done"


def test_a_node_that_offers_none_says_so(receiver: Station, worker: Worker, peopled: Database, tmp_path: Path) -> None:
    with dcmtk.storescp(tmp_path / "scp") as port:
        made = _request(peopled, port, "STORESCP")
        work(worker)
    row = _row(peopled, made)
    assert row.state == "queued" and row.error is not None and "does not offer storage commitment" in row.error


def test_a_silent_node_keeps_the_request_waiting(
    receiver: Station, worker: Worker, peopled: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.nodes.commitment_jobs._STAY", 0.3)
    with committer(receiver.port, how="never") as node:
        made = _request(peopled, node.port)
        work(worker)
    row = _row(peopled, made)
    assert row.state == "waiting" and row.due_at is not None and (row.due_at - now()).total_seconds() > 3000
