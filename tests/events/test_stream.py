"""Events wake their followers and are read in order."""

import contextlib
import threading
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text, update

from app import events
from app.archive.transaction import Transaction
from app.config import Config
from app.db import Database, open_database
from app.kit.clock import now
from app.kit.errors import Unavailable


def test_a_follower_wakes_at_the_commit(database: Database, tmp_path: Path) -> None:
    events.use_folder(tmp_path / "events")
    follower = events.Follower(database)
    woken: list[float] = []
    started = time.monotonic()
    thread = threading.Thread(target=lambda: (follower.wait(60), woken.append(time.monotonic() - started)))
    thread.start()
    time.sleep(0.1)  # most often it waits by then; if not, it finds the event at once
    with database.write() as session:
        events.append(session, "study.arriving", {"n": 1})
    thread.join()
    follower.close()
    assert woken[0] < 30, "it did not wait for the poll"
    with database.read() as session:
        assert [e.topic for e in events.after(session, 0)] == ["study.arriving"]


def test_a_follower_that_has_just_started_is_woken_by_the_next_event(sqlite_config: Config, tmp_path: Path) -> None:
    """An event that nobody follows must not make the next ones miss a new follower for a while."""
    events.use_folder(tmp_path / "events")
    database = open_database(sqlite_config)
    with database.write() as session:
        events.append(session, "study.arriving", {"n": 1})
    with contextlib.closing(events.Follower(database)) as follower:
        with database.write() as session:
            events.append(session, "study.arriving", {"n": 2})
        started = time.monotonic()
        follower.wait(30)
        assert time.monotonic() - started < 15
    database.dispose()


def test_what_is_rolled_back_is_never_seen(database: Database) -> None:
    try:
        with database.write() as session:
            events.append(session, "study.arriving", {"n": 1})
            raise RuntimeError
    except RuntimeError:
        pass
    with database.read() as session:
        assert events.newest(session) == 0


def test_pruning_keeps_what_is_young_and_never_gives_a_number_again(database: Database) -> None:
    def add(at: datetime) -> int:
        with database.write() as session:
            events.append(session, "study.arriving", {"n": 1})
        with database.write() as session:
            session.execute(update(events.Event).where(events.Event.id == events.newest(session)).values(at=at))
            return events.newest(session)

    moment = now()
    old = [add(moment - timedelta(days=9)) for _ in range(3)]
    young = add(moment)
    with database.write() as session:
        events.prune(session, moment - timedelta(days=7), handled=old[0])
    with database.read() as session:
        assert [e.id for e in events.after(session, 0)] == [*old[1:], young], "the others have not been handled"
    with database.write() as session:
        events.prune(session, moment - timedelta(days=7), handled=young + 9)
    with database.read() as session:
        assert [e.id for e in events.after(session, 0)] == [young]
    with database.write() as session:
        events.prune(session, moment + timedelta(days=1))  # even when all of them are old
    assert add(moment) > young > old[-1]


def test_a_follower_misses_nothing_of_two_writers_at_once(database: Database) -> None:
    """An object that is being filed and another change: numbers come in the order of the commits, so that who has read
    up to the last one has read them all. SQLite has one writer at a time anyway."""
    filed, seen = threading.Event(), threading.Event()

    def ingest() -> None:
        with database.write_plain() as connection:
            index = Transaction(connection)
            index.add_event("study.arriving", None, {"n": 1})
            index.write_events()
            filed.set()
            seen.wait(1)  # the other one tries to be first meanwhile

    def other() -> None:
        filed.wait(60)
        with database.write() as session:
            events.append(session, "node.changed", {"n": 2})
        with database.read() as session:
            read.extend(event.topic for event in events.after(session, 0))
        seen.set()

    read: list[str] = []
    writers = [threading.Thread(target=one) for one in (ingest, other)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(30)
    assert read == ["study.arriving", "node.changed"], "the first number was passed over"


@pytest.mark.slow
@pytest.mark.parametrize("config", ["postgresql"], indirect=True)
def test_a_follower_says_that_the_database_is_away(database: Database) -> None:
    """Not in the words of the driver, whose traces an outage would repeat each second."""
    follower = events.Follower(database)
    with database.write() as session:
        session.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": follower._listen.info.backend_pid})
    try:
        with pytest.raises(Unavailable, match="cannot be reached"):
            follower.wait(5)
    finally:
        follower.close()
