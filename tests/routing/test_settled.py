"""Routes follow the events of the archive: what arrived, what has settled, what is gone."""

import threading
import time

import pytest

from app import events
from app.archive import service as archive
from app.routing import arrivals, queries, service, watch
from app.security import SYSTEM
from tests.routing.conftest import STUDY, Clock, Site, send, to_send
from tests.support.waiting import eventually, settled, stays


def test_a_route_waits_for_the_archive_to_say_that_a_study_has_settled(site: Site, clock: Clock) -> None:
    site.node("pacs")
    route = site.route("settled", send("pacs"), when={"kind": "settled", "quiet": 5})
    site.put()
    site.turn()
    assert site.runs(route)[0].due_at is None
    with site.database.write() as session:
        service.switch_route(session, site.admin, route, False)
    clock(20)
    site.turn()  # it settles while the route is off
    assert site.runs(route)[0].state == "waiting"
    with site.database.write() as session:
        service.switch_route(session, site.admin, route, True, untested=True)
    site.turn()
    assert site.runs(route)[0].state == "sending"


def test_a_study_that_is_deleted_before_it_settles_leaves_no_run(site: Site, clock: Clock) -> None:
    site.node("pacs")
    route = site.route("settled", send("pacs"), when={"kind": "settled", "quiet": 5})
    site.put()
    site.turn()
    assert len(site.runs(route)) == 1
    with site.database.write() as session:
        archive.delete_study(session, SYSTEM, STUDY)
    clock(6)
    site.turn()
    assert site.runs(route) == []


def test_events_of_other_topics_are_not_written_down_one_by_one(site: Site) -> None:
    site.node("pacs")
    site.route("each", send("pacs"), when={"kind": "object"})

    def add(count: int) -> int | None:
        with site.database.write() as session:
            for _ in range(count):
                events.append(session, "node.changed", {})
        arrivals.handle_events(site.database)
        with site.database.read() as session:
            return queries.handled(session)

    before = add(1)
    assert before is not None and add(10) == before
    assert (add(1000) or 0) > before + 1000
    site.put()
    site.turn()
    assert len(to_send(site)) == 1


def test_the_watch_acts_on_the_event_and_looks_at_nothing_while_nothing_happens(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = site.config.run / "events"
    folder.mkdir(parents=True)
    monkeypatch.setattr("app.events.stream._folder", folder)
    monkeypatch.setattr(watch, "LONGEST", 3600.0)
    turns: list[float] = []
    real = arrivals.run_once
    monkeypatch.setattr(arrivals, "run_once", lambda database: (turns.append(time.monotonic()), real(database))[1])
    site.node("pacs")
    route = site.route("each", send("pacs"), when={"kind": "object"})
    stopping = threading.Event()
    watch.ArrivalWatch(site.database, stopping).start()
    try:
        eventually(lambda: turns, "a first turn")
        site.put()
        eventually(lambda: [run.state for run in site.runs(route)] == ["queued"], "the run is queued")
        eventually(lambda: arrivals.next_turn(site.database) is None, "it has settled, or a turn would be right")
        before = settled(lambda: len(turns), "turns")
        stays(lambda: len(turns) == before, "turns without an event", 1.5)
    finally:
        stopping.set()
        with site.database.write() as session:
            events.append(session, "node.changed", {})
