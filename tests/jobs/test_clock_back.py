"""A wall clock that was ahead and went back: nothing waits for the moments that were written in between."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from app import jobs, worker
from app.config import Config
from app.db import Database
from app.jobs.models import Job
from app.kit.clock import now
from app.worker import Worker


@pytest.fixture
def made_ahead(database: Database) -> list[str]:
    """Two jobs from the time the clock was an hour ahead, one waiting and one running; and one put off for good reason."""
    ahead = now() + timedelta(hours=1)
    with database.write() as session:
        waiting, running, later = (jobs.enqueue(session, "x", {}) for _ in range(3))
        session.execute(update(Job).where(Job.id == waiting).values(created_at=ahead, run_after=ahead))
        values = {"state": "running", "heartbeat_at": ahead, "started_at": ahead, "claimed_by": "gone"}
        session.execute(update(Job).where(Job.id == running).values(values))
        session.execute(update(Job).where(Job.id == later).values(run_after=ahead))
    return [waiting, running, later]


def test_jobs_of_the_future_are_due_and_their_holders_age(database: Database, made_ahead: list[str]) -> None:
    waiting, running, later = made_ahead
    with database.write() as session:
        assert jobs.heal_clock(session, now()) == 2
    with database.read() as session:
        found = {job.id: job for job in session.scalars(select(Job))}
    assert found[waiting].run_after <= now()
    assert found[running].heartbeat_at is not None and found[running].heartbeat_at <= now()
    assert found[later].run_after > now()


def test_a_worker_heals_at_its_start_and_when_the_clock_goes_back(
    sqlite_config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Worker(sqlite_config)
    turns: list[int] = []
    monkeypatch.setattr(jobs, "heal_clock", lambda session, moment: turns.append(1))
    offset = 0.0
    real = worker.time.time
    monkeypatch.setattr(worker.time, "time", lambda: real() + offset)
    worker.follow_clock(made)
    assert len(turns) == 1, "at the start: nobody knows what the clock did before"
    worker.follow_clock(made)
    offset = 3600.0
    worker.follow_clock(made)
    assert len(turns) == 1, "forward harms nothing"
    offset = 0.0
    worker.follow_clock(made)
    worker.follow_clock(made)
    assert len(turns) == 2
    made.database.dispose()
