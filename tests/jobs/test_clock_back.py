"""A wall clock that was ahead and went back: nothing waits for the moments that were written in between."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, update

from app import jobs, worker
from app.config import Config
from app.db import Database
from app.forward import clock_back as peers_clock
from app.forward.models import Transfer
from app.jobs.models import Job
from app.kit.clock import now
from app.nodes.models import Node
from app.routing import clock_back as routing_clock
from app.routing.models import Route, RouteRun
from app.routing.rule import Rule
from app.worker import Worker


@pytest.fixture
def made_ahead(database: Database) -> list[str]:
    """Jobs from the time the clock was a day ahead, one waiting, one running, and one tried again; and one put off for
    good reason."""
    ahead = now() + timedelta(days=1)
    with database.write() as session:
        waiting, running, tried, later = (jobs.enqueue(session, "x", {}) for _ in range(4))
        session.execute(update(Job).where(Job.id == waiting).values(created_at=ahead, run_after=ahead))
        values = {"state": "running", "heartbeat_at": ahead, "started_at": ahead, "claimed_by": "gone"}
        session.execute(update(Job).where(Job.id == running).values(values))
        session.execute(update(Job).where(Job.id == tried).values(attempts=1, run_after=ahead))
        session.execute(update(Job).where(Job.id == later).values(run_after=ahead))
    return [waiting, running, tried, later]


def test_jobs_of_the_future_are_due_and_their_holders_age(database: Database, made_ahead: list[str]) -> None:
    waiting, running, tried, later = made_ahead
    with database.write() as session:
        assert jobs.heal_clock(session, now()) == 3
    with database.read() as session:
        found = {job.id: job for job in session.scalars(select(Job))}
    assert found[waiting].run_after <= now() and found[tried].run_after <= now()
    assert found[running].heartbeat_at is not None and found[running].heartbeat_at <= now()
    assert found[later].run_after > now()


def test_a_worker_heals_whether_or_not_it_saw_the_clock_go_back(
    sqlite_config: Config, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It looks every few seconds; the clock may have been ahead for one, or before this worker was there."""
    made = Worker(sqlite_config)
    turns: list[int] = []
    monkeypatch.setattr(jobs, "heal_clock", lambda session, moment: turns.append(1))
    offset = 0.0
    real = worker.time.time
    monkeypatch.setattr(worker.time, "time", lambda: real() + offset)
    worker.follow_clock(made)
    worker.follow_clock(made)
    offset = 3600.0
    worker.follow_clock(made)
    assert len(turns) == 3 and "went back" not in caplog.text, "forward is no matter"
    offset = 0.0
    worker.follow_clock(made)
    assert len(turns) == 4 and "the clock went back by 3600 s" in caplog.text
    made.database.dispose()


def _transfer(database: Database, key: str, faults: int, run_after: datetime, state: str = "queued") -> None:
    with database.write() as session:
        session.add(
            Transfer(
                id=key, node_id="n1", study_instance_uid="1.2", state=state, run_after=run_after, faults=faults,
                created_by="x", created_at=now() - timedelta(minutes=5), total=1,
            )
        )  # fmt: skip


def test_transfers_wait_for_their_pause_and_no_longer(database: Database) -> None:
    day, soon = now() + timedelta(days=1), now() + timedelta(minutes=5)
    with database.write() as session:
        session.add(Node(id="n1", name="PACS", ae_title="PACS", host="127.0.0.1", port=104, changed_at=now()))
    _transfer(database, "woken", 0, day, "running")  # more objects came for it while the clock was ahead
    _transfer(database, "held", 3, day)
    _transfer(database, "pausing", 3, soon)
    with database.write() as session:
        peers_clock.heal(session, now())
    with database.read() as session:
        due = {one.id: one.run_after <= now() for one in session.scalars(select(Transfer))}
    assert due == {"woken": True, "held": True, "pausing": False}


def test_runs_of_routes_wait_for_quiet_or_their_schedule_and_no_longer(database: Database) -> None:
    day, before = now() + timedelta(days=1), now() - timedelta(minutes=5)
    rules = {"settled": {"kind": "settled", "quiet": 2}, "nightly": {"kind": "schedule", "at": ["23:00"]}}
    with database.write() as session:
        for position, (key, when) in enumerate(rules.items()):
            rule = Rule.model_validate({"when": when, "actions": [{"do": "send", "nodes": ["n1"]}]})
            session.add(Route(id=key, name=key, position=position, rule=rule.model_dump(mode="json"), changed_at=now()))
        session.flush()
        for key, route, state in (
            ("a", "settled", "waiting"),
            ("b", "settled", "sending"),
            ("c", "nightly", "waiting"),
        ):
            session.add(
                RouteRun(
                    id=key, route_id=route, study_instance_uid="1.2", state=state, picked=[], created_at=before,
                    last_at=before, due_at=day,
                )
            )  # fmt: skip
    with database.write() as session:
        routing_clock.heal(session, now())
    with database.read() as session:
        due = {one.id: one.due_at is not None and one.due_at <= now() for one in session.scalars(select(RouteRun))}
    assert due == {"a": True, "b": True, "c": False}
