"""The durable queue, on both databases."""

import subprocess
import sys
import threading
from datetime import timedelta

import pytest
from sqlalchemy import update

from app import jobs
from app.db import Database
from app.jobs.models import Job
from app.kit import rolestate
from app.kit.clock import now
from app.kit.errors import Conflict, NotFound
from app.kit.phrases import verbatim


def _claim(database: Database, worker: str = "w1") -> jobs.Claimed | None:
    with database.write() as session:
        return jobs.claim(session, ["a"], worker)


def test_a_job_is_claimed_run_and_done(database: Database) -> None:
    with database.write() as session:
        job_id = jobs.enqueue(session, "a", {"x": 1}, actor_name="bob")
    claimed = _claim(database)
    assert claimed and claimed.id == job_id and claimed.payload == {"x": 1} and claimed.attempt == 1
    assert _claim(database) is None
    with database.write() as session:
        assert jobs.progress(session, job_id, 3, 10)
        assert jobs.done(session, job_id, {"y": 2})
    with database.read() as session:
        state = jobs.get(session, job_id).as_json()
    assert (state["state"], state["progress"], state["result"]) == ("done", {"done": 3, "total": 10}, {"y": 2})


def test_one_look_tells_the_kinds_that_are_due(database: Database) -> None:
    with database.write() as session:
        jobs.enqueue(session, "a", {})
        jobs.enqueue(session, "b", {}, run_after=now() + timedelta(hours=1))
        jobs.enqueue(session, "c", {})
        jobs.enqueue(session, "c", {})
    with database.read() as session:
        assert jobs.due_kinds(session) == {"a", "c"}
    assert _claim(database)
    with database.read() as session:
        assert jobs.due_kinds(session) == {"c"}


def test_priority_goes_before_age(database: Database) -> None:
    with database.write() as session:
        jobs.enqueue(session, "a", {"n": 1})
        urgent = jobs.enqueue(session, "a", {"n": 2}, priority=9)
    claimed = _claim(database)
    assert claimed and claimed.id == urgent


def test_a_failing_job_pauses_then_leaves_the_queue(database: Database) -> None:
    with database.write() as session:
        job_id = jobs.enqueue(session, "a", {}, max_attempts=2)
    first = _claim(database)
    assert first
    with database.write() as session:
        assert jobs.fail(session, first, verbatim("peer away")) is False
    assert _claim(database) is None, "it waits for its pause"
    with database.write() as session:
        session.execute(update(Job).values(run_after=now() - timedelta(seconds=1)))
    second = _claim(database)
    assert second and second.last_attempt
    with database.write() as session:
        assert jobs.fail(session, second, verbatim("peer away")) is True
    with database.write() as session:
        assert (jobs.get(session, job_id).state, jobs.get(session, job_id).error) == ("failed", "peer away")
        jobs.retry(session, job_id)
    again = _claim(database)
    assert again and again.attempt == 1


def test_a_dead_workers_job_comes_back_and_a_killer_is_given_up(database: Database) -> None:
    with database.write() as session:
        job_id = jobs.enqueue(session, "a", {}, max_attempts=2)
    for _ in range(2):
        assert _claim(database)
        with database.write() as session:
            session.execute(update(Job).values(heartbeat_at=now() - timedelta(minutes=5)))
            assert jobs.release_abandoned(session) == 1
    with database.read() as session:
        assert jobs.get(session, job_id).state == "failed"


def test_the_job_of_a_process_that_is_known_to_be_gone_comes_back_at_once(database: Database) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    ended, other = f"{rolestate.machine_name()}:{child.pid}", f"elsewhere:{child.pid}"
    with database.write() as session:
        for _ in range(3):
            jobs.enqueue(session, "a", {})
    for name in (ended, other, rolestate.process_name()):
        with database.write() as session:
            assert jobs.claim(session, ["a"], name)
    with database.write() as session:
        claimants = jobs.active_workers(session)
        assert claimants == {ended, other, rolestate.process_name()}
        assert jobs.release_abandoned(session, gone=[name for name in claimants if rolestate.is_dead(name)]) == 1
    with database.read() as session:
        assert jobs.active_workers(session) == {other, rolestate.process_name()}, (
            "of another machine only its silence tells"
        )


def test_cancelling_is_noticed_by_the_worker(database: Database) -> None:
    with database.write() as session:
        job_id = jobs.enqueue(session, "a", {})
    assert _claim(database)
    with database.write() as session:
        jobs.cancel(session, job_id)
    with database.write() as session:
        assert jobs.heartbeat(session, job_id, "w1") is False
        with pytest.raises(Conflict):
            jobs.cancel(session, job_id)
        with pytest.raises(NotFound):
            jobs.cancel(session, "nothing")


def test_no_job_is_taken_twice(database: Database) -> None:
    with database.write() as session:
        expected = {jobs.enqueue(session, "a", {}) for _ in range(200)}
    taken: list[str] = []

    def work(name: str) -> None:
        while claimed := _claim(database, name):
            taken.append(claimed.id)

    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(expected) and set(taken) == expected
