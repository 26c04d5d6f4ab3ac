"""The one order of locks (app/db/locks.py): shown from outside by transactions that meet in the worst order."""

import contextlib
import threading
import time
from collections.abc import Callable

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from app import events
from app.db import Collided, Database
from app.db.locks import Lock, acquire, at_commit
from tests.support.live import ROOT


def _count_first(session: Session, name: str) -> None:
    session.execute(text("UPDATE counter SET value = value + 1 WHERE name = :name"), {"name": name})


def _both(first: Callable[[], None], second: Callable[[], None]) -> list[Exception]:
    faults: list[Exception] = []

    def run(work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as fault:
            faults.append(fault)

    threads = [threading.Thread(target=run, args=(work,)) for work in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    return faults


@pytest.fixture
def counters(database: Database) -> Database:
    with database.write() as session:
        session.execute(text("INSERT INTO counter (name, value) VALUES ('a', 0), ('b', 0)"))
    return database


def test_events_before_rows_wait_for_nobody_in_a_circle(counters: Database) -> None:
    """Each tells of a change first and changes a row that the other one has: a circle when telling took the lock."""
    meet = threading.Barrier(2, timeout=0.5)  # on SQLite the second one only begins when the first has ended

    def work(mine: str, other: str) -> None:
        with counters.write() as session:
            _count_first(session, mine)
            events.append(session, "study.changed", {"row": mine})
            with contextlib.suppress(threading.BrokenBarrierError):
                meet.wait()
            if mine == "a":
                return
        with counters.write() as session:
            events.append(session, "study.changed", {"row": other})
            _count_first(session, other)

    assert _both(lambda: work("a", "b"), lambda: work("b", "a")) == []
    with counters.read() as session:
        assert sum(session.scalars(text("SELECT value FROM counter WHERE name IN ('a', 'b')"))) == 3
        assert len(events.after(session, 0)) == 3


def test_an_event_is_written_after_the_rows(database: Database) -> None:
    with database.write() as session:
        events.append(session, "study.changed", {})
        assert events.newest(session) == 0, "nothing is locked yet"
    with database.read() as session:
        assert events.newest(session) > 0


def test_what_a_savepoint_takes_back_is_not_told(database: Database) -> None:
    with database.write() as session:
        events.append(session, "study.changed", {"n": 1})
        with pytest.raises(ZeroDivisionError), session.begin_nested():
            events.append(session, "study.changed", {"n": 2})
            raise ZeroDivisionError
        with session.begin_nested():
            events.append(session, "study.changed", {"n": 3})
    with database.read() as session:
        assert [event.payload["n"] for event in events.after(session, 0)] == [1, 3]


def test_the_order_is_refused_the_other_way_round(database: Database) -> None:
    if database.dialect == "sqlite":
        pytest.skip("one writer")
    with database.write() as session:
        acquire(session, Lock.EVENTS)
        with pytest.raises(RuntimeError, match="INDEX is taken after EVENTS"):
            acquire(session, Lock.INDEX)


def test_at_commit_runs_in_the_order_of_the_locks(database: Database) -> None:
    done: list[str] = []
    with database.write() as session:
        at_commit(session, Lock.EVENTS, lambda _: done.append("events"))
        at_commit(session, Lock.AUDIT, lambda _: done.append("audit"))
    assert done == ["audit", "events"]


def test_changes_of_two_people_follow_each_other(counters: Database) -> None:
    """Each looks whether the name is free and then takes it: the second one sees what the first did."""
    meet, made, refused = threading.Barrier(2, timeout=0.5), [], []

    def take_name() -> None:
        with counters.change() as session:
            free = session.scalar(text("SELECT count(*) FROM counter WHERE name = 'c'")) == 0
            with contextlib.suppress(threading.BrokenBarrierError):
                meet.wait()
            (made if free else refused).append(free)
            if free:
                session.execute(text("INSERT INTO counter (name, value) VALUES ('c', 0)"))

    assert _both(take_name, take_name) == []
    assert (len(made), len(refused)) == (1, 1)


def test_a_change_that_a_background_role_crossed_can_be_repeated(counters: Database) -> None:
    with pytest.raises(Collided, match="Somebody else"), counters.change() as session:
        session.execute(text("INSERT INTO counter (name, value) VALUES ('a', 0)"))


def test_what_people_change_goes_through_change() -> None:
    """On PostgreSQL two of them at once ended in a fault: a name taken twice, a row that was gone."""
    modules = [path for package in ("api", "pages", "http") for path in (ROOT / "app" / package).rglob("*.py")]
    plain = [path.relative_to(ROOT).as_posix() for path in modules if "database.write()" in path.read_text()]
    assert len(modules) > 60 and plain == ["app/api/imports.py"], "it only writes a trace"


def test_a_deadlock_is_a_fault_that_can_be_repeated(counters: Database) -> None:
    if counters.dialect == "sqlite":
        pytest.skip("one writer")
    meet = threading.Barrier(2)

    def work(mine: str, other: str) -> None:
        with counters.write() as session:
            _count_first(session, mine)
            meet.wait(10)
            _count_first(session, other)

    started = time.monotonic()
    (fault,) = _both(lambda: work("a", "b"), lambda: work("b", "a"))
    assert isinstance(fault, Collided) and fault.dimse == 0xA700 and fault.status == 503
    assert time.monotonic() - started < 20
    assert counters.answering_for > 0, "the database is not away"
