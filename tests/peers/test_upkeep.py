"""What has long arrived is forgotten; what waits or failed is not."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from app.config import Config
from app.db import Database
from app.forward import upkeep
from app.forward.models import Transfer, TransferInstance
from app.kit import ids
from app.kit.clock import now
from app.nodes.models import Node
from app.routing import following
from app.routing.models import Route, RouteRun, RouteRunTransfer


@pytest.fixture
def node(database: Database) -> Iterator[str]:
    with database.write() as session:
        session.add(Node(id="n1", name="PACS", ae_title="PACS", host="127.0.0.1", port=104, changed_at=now()))
    yield "n1"


def _transfer(database: Database, days: float, state: str, objects: int = 3, ended: float | None = None) -> str:
    """One that was made so many days ago and ended `ended` days ago."""
    made = now() - timedelta(days=days)
    over = None if state in ("queued", "running") else now() - timedelta(days=days if ended is None else ended)
    key = ids.first_id(made)[:10] + ids.new_id()[10:]
    with database.write() as session:
        session.add(
            Transfer(
                id=key, node_id="n1", study_instance_uid="1.2", state=state, run_after=made, created_by="x",
                created_at=made, finished_at=over, total=objects,
            )
        )  # fmt: skip
        session.flush()
        for number in range(objects):
            session.add(TransferInstance(transfer_id=key, sop_instance_uid=f"1.2.{number}", state="sent"))
    return key


def test_only_transfers_that_ended_well_long_ago_go(database: Database, node: str) -> None:
    gone = [_transfer(database, 40, "done"), _transfer(database, 60, "cancelled")]
    kept = [
        _transfer(database, 40, "failed"), _transfer(database, 40, "queued"), _transfer(database, 40, "running"),
        _transfer(database, 40, "done", ended=2), _transfer(database, 1, "done"),
    ]  # fmt: skip
    with database.write() as session:
        assert upkeep.prune(session, now() - timedelta(days=30)) == len(gone)
    with database.read() as session:
        assert set(session.scalars(select(Transfer.id))) == set(kept)
        assert set(session.scalars(select(TransferInstance.transfer_id))) == set(kept)


def test_they_go_a_few_at_a_time(database: Database, node: str) -> None:
    for _ in range(upkeep.AT_ONCE + 2):
        _transfer(database, 40, "done", objects=1)
    limit = now() - timedelta(days=30)
    counts = []
    for _ in range(3):
        with database.write() as session:
            counts.append(upkeep.prune(session, limit))
    assert counts == [upkeep.AT_ONCE, 2, 0]


def test_an_identifier_says_when_it_was_made() -> None:
    before = now()
    made = ids.new_id()
    assert ids.first_id(before - timedelta(milliseconds=1)) < made < ids.first_id(now() + timedelta(milliseconds=2))


def _run(database: Database, days: float, state: str) -> str:
    made: datetime = now() - timedelta(days=days)
    key = ids.first_id(made)[:10] + ids.new_id()[10:]
    with database.write() as session:
        session.add(
            RouteRun(
                id=key, route_id="r1", study_instance_uid="1.2", state=state, picked=[], done={}, created_at=made,
                last_at=made, finished_at=made if state in ("done", "failed", "dropped") else None,
            )
        )  # fmt: skip
        session.flush()
        session.add(RouteRunTransfer(run_id=key, transfer_id="t1"))
    return key


def test_runs_of_routes_go_too_but_not_failed_or_open_ones(database: Database, config: Config) -> None:
    with database.write() as session:
        session.add(Route(id="r1", name="r", position=1, enabled=True, rule={}, changed_at=now()))
    gone = {_run(database, 40, "done"), _run(database, 40, "dropped")}
    kept = {_run(database, 40, state) for state in ("failed", "waiting", "queued", "sending")} | {
        _run(database, 1, "done")
    }
    with database.write() as session:
        assert following.prune(session, now() - timedelta(days=30)) == len(gone)
    with database.read() as session:
        assert set(session.scalars(select(RouteRun.id))) == kept
        assert set(session.scalars(select(RouteRunTransfer.run_id))) == kept
