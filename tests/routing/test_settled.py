"""Routes follow the events of the archive: what arrived, what has settled, what is gone."""

import threading
import time
from collections.abc import Callable

import pytest

from app import events
from app.archive import service as archive
from app.routing import arrivals, queries, service, watch
from app.security import SYSTEM
from tests.routing.conftest import Clock, House
from tests.routing.test_firing import STUDY, send, to_send


def eventually(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_route_waits_for_the_archive_to_say_that_a_study_has_settled(house: House, clock: Clock) -> None:
    house.node("pacs")
    route = house.route("settled", send("pacs"), when={"kind": "settled", "quiet": 5})
    house.put()
    house.turn()
    assert house.runs(route)[0].due_at is None
    with house.database.write() as session:
        service.switch_route(session, house.admin, route, False)
    clock(20)
    house.turn()  # it settles while the route is off
    assert house.runs(route)[0].state == "waiting"
    with house.database.write() as session:
        service.switch_route(session, house.admin, route, True, untested=True)
    house.turn()
    assert house.runs(route)[0].state == "sending"


def test_a_study_that_is_deleted_before_it_settles_leaves_no_run(house: House, clock: Clock) -> None:
    house.node("pacs")
    route = house.route("settled", send("pacs"), when={"kind": "settled", "quiet": 5})
    house.put()
    house.turn()
    assert len(house.runs(route)) == 1
    with house.database.write() as session:
        archive.delete_study(session, SYSTEM, STUDY)
    clock(6)
    house.turn()
    assert house.runs(route) == []


def test_events_of_other_topics_are_not_written_down_one_by_one(house: House) -> None:
    house.node("pacs")
    house.route("each", send("pacs"), when={"kind": "object"})

    def add(count: int) -> int | None:
        with house.database.write() as session:
            for _ in range(count):
                events.append(session, "node.changed", {})
        arrivals.handle_events(house.database)
        with house.database.read() as session:
            return queries.handled(session)

    before = add(1)
    assert before is not None and add(10) == before
    assert (add(1000) or 0) > before + 1000
    house.put()
    house.turn()
    assert len(to_send(house)) == 1


def test_the_watch_acts_on_the_event_and_looks_at_nothing_while_nothing_happens(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = house.config.run / "events"
    folder.mkdir(parents=True)
    monkeypatch.setattr("app.events.stream._folder", folder)
    monkeypatch.setattr(watch, "LONGEST", 3600.0)
    turns: list[float] = []
    real = arrivals.run_once
    monkeypatch.setattr(arrivals, "run_once", lambda database: (turns.append(time.monotonic()), real(database))[1])
    house.node("pacs")
    route = house.route("each", send("pacs"), when={"kind": "object"})
    stopping = threading.Event()
    watch.Watch(house.database, stopping).start()
    try:
        eventually(lambda: bool(turns))
        house.put()
        eventually(lambda: [run.state for run in house.runs(route)] == ["queued"])
        eventually(lambda: arrivals.next_turn(house.database) is None)  # it has settled, or a turn would be right
        time.sleep(1)
        before = len(turns)
        time.sleep(1.5)
        assert len(turns) == before, "turns without an event"
    finally:
        stopping.set()
        with house.database.write() as session:
            events.append(session, "node.changed", {})
