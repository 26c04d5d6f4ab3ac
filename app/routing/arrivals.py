"""From what came to runs: `settle_studies` has the archive decide which studies have settled, `handle_events` hands the
archive's events to the routes, `decide_due_runs` decides about runs whose time has come.

All are safe to be killed anywhere and to be run by several workers: the number of the last event that was handled moves
in the transaction that makes the runs, and a decided run gets its job in the same transaction."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app import events, jobs
from app.archive import arrivals as archive
from app.archive import service as archive_service
from app.db import Database
from app.kit.clock import now
from app.kit.ids import new_id
from app.kit.phrases import NOTHING, Phrase, phrase
from app.nodes import activity_queries as peers
from app.routing import queries, schedule
from app.routing.decide import Candidate, applies_to_facility, select_objects, spans, within
from app.routing.facts import Names, ObjectFacts, of_stored
from app.routing.models import FAILED, QUEUED, WAITING, Route, RouteRun
from app.routing.rule import When
from app.routing.service import notify_run

log = logging.getLogger(__name__)
KIND = "route.fire"
_TOPICS = ("study.arriving", "study.settled", "study.deleted")
_BATCH = 1000  # events in one transaction
_UNRELATED = 1000  # events of other topics after which the mark moves on, so that they are not read again
_JUDGED = 100  # runs in one turn
_TRIES = 3
_PAUSE = (5, 30, 300)  # seconds before a judgement that failed is tried again


def run_once(database: Database) -> None:
    """One round: studies that have settled, events, then what is due."""
    settle_studies(database)
    while handle_events(database) == _BATCH:
        pass
    decide_due_runs(database)


def next_turn(database: Database) -> datetime | None:
    """When something is due although no event comes; None: nothing is."""
    with database.read() as session:
        settling = archive_service.next_settling(session, _quiet(session))
        moments = [moment for moment in (settling, queries.next_due(session)) if moment is not None]
    return min(moments, default=None)


def _quiet(session: Session) -> float:
    return queries.shortest_quiet(session, archive_service.QUIET)


def settle_studies(database: Database) -> int:
    """Has the archive decide which studies have settled; how many did. A route may ask for less than the archive's ten
    seconds; one that asks for more waits on after the event (`_settled`)."""
    with database.read() as session:
        quiet = _quiet(session)
        moment = archive_service.next_settling(session, quiet)
    if moment is None or moment >= now():
        return 0
    with database.write() as session:
        return archive_service.settle(session, quiet)


def handle_events(database: Database) -> int:
    """Handles the archive's events since the last turn; how many those were."""
    with database.read() as session:
        mark = queries.handled(session)  # set anew when the first route is turned on
        if mark is None:
            return 0
        newest = events.newest(session)
        if not events.following(session, _TOPICS, mark, newest, 1) and newest - mark < _UNRELATED:
            return 0
    with database.write() as session:
        place = queries.lock_mark(session)
        if place is None:
            return 0
        newest = max(newest, place.event_id)
        came = events.following(session, _TOPICS, place.event_id, newest, _BATCH)
        _add_to_runs(session, queries.candidates(session), came)
        place.event_id = came[-1].id if len(came) == _BATCH else newest
        return len(came)


def _add_to_runs(session: Session, routes: Sequence[Candidate], came: Sequence[events.Event]) -> None:
    uids = {event.payload["study_instance_uid"] for event in came}
    known = queries.open_runs(session, list(uids))
    tests = peers.running_studies(session)  # what a self-test of a node fetches back goes nowhere
    for event in came:
        uid = event.payload["study_instance_uid"]
        if event.topic != "study.arriving":
            _settled(known, routes, uid)
            continue
        if uid in tests or "first" not in event.payload:
            continue
        for route in routes:
            if not applies_to_facility(route, event.facility_id):
                continue
            run = known.get((route.id, uid))
            if run is None:
                run = known[route.id, uid] = _new_run(route, event)
                session.add(run)
                continue
            span = [event.payload["first"], event.payload["last"]]
            run.picked = [[min(span[0], run.picked[0][0]), max(span[1], run.picked[-1][1])]]
            run.last_at = event.at
            if route.rule.when.kind == "settled":
                run.due_at = None


def _settled(known: Mapping[tuple[str, str], RouteRun], routes: Sequence[Candidate], uid: str) -> None:
    """A study has settled, or is gone: from now on its runs wait for the clock only."""
    for route in routes:
        run = known.get((route.id, uid))
        if run is not None and run.due_at is None and route.rule.when.kind == "settled":
            run.due_at = schedule.following(route.rule.when, run.last_at)


def _new_run(route: Candidate, event: events.Event) -> RouteRun:
    when = route.rule.when
    return RouteRun(
        id=new_id(),
        route_id=route.id,
        study_instance_uid=event.payload["study_instance_uid"],
        facility_id=event.facility_id,
        state=WAITING,
        picked=[[event.payload["first"], event.payload["last"]]],
        done={},
        created_at=now(),
        last_at=event.at,
        due_at=None if when.kind == "settled" else schedule.following(when, _from(when, event)),
    )


def _from(when: When, event: events.Event) -> datetime:
    return now() if when.kind == "schedule" else event.at


# -- judging -----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Judged:
    """Decision about one run, before it is stored."""

    run: RouteRun
    picked: list[list[int]]
    objects: int
    fault: Phrase = NOTHING
    later: datetime | None = None


def decide_due_runs(database: Database) -> int:
    """Decides about the runs that are due: how many were."""
    moment = now()
    with database.read() as session:
        runs = queries.due(session, moment, _JUDGED)
        if not runs:
            return 0
        routes = queries.candidates(session)
        looked = _Looked(session, runs, queries.names(session))
        judged = [_decide_run(looked, run, routes, moment) for run in runs]
    with database.write() as session:
        queries.lock_mark(session)  # before runs and routes, as everything that writes both
        for one in judged:
            _write_down(session, one)
    return len(judged)


class _Looked:
    """The objects of the studies that are judged: each is read once, however many routes ask."""

    def __init__(self, session: Session, runs: Sequence[RouteRun], names: Names) -> None:
        self._session, self._names = session, names
        self._spans: dict[str, tuple[int, int]] = {}
        for run in runs:
            first, last = self._spans.get(run.study_instance_uid, (run.picked[0][0], run.picked[-1][1]))
            self._spans[run.study_instance_uid] = min(first, run.picked[0][0]), max(last, run.picked[-1][1])
        self._known: dict[str, tuple[str | None, list[tuple[int, ObjectFacts]]]] = {}

    def of(self, run: RouteRun) -> tuple[str | None, list[tuple[int, ObjectFacts]]]:
        """The facility of a run's study, and the run's objects that are still here."""
        uid = run.study_instance_uid
        if uid not in self._known:
            found = archive.stored(self._session, uid, self._spans[uid])
            facts = [(one.instance.id, of_stored(one, self._names)) for one in found]
            self._known[uid] = (found[0].study.facility_id if found else run.facility_id, facts)
        facility_id, facts = self._known[uid]
        inside = within(run.picked)
        return facility_id, [one for one in facts if inside(one[0])]


def _decide_run(looked: _Looked, run: RouteRun, routes: Sequence[Candidate], moment: datetime) -> _Judged:
    route = next((one for one in routes if one.id == run.route_id), None)
    if route is None:
        return _Judged(run, [], 0, later=moment + timedelta(seconds=60))
    quiet = run.last_at + timedelta(seconds=route.rule.when.quiet)
    if route.rule.when.kind == "schedule" and quiet > moment:
        return _Judged(run, [], 0, later=quiet)  # it is still arriving
    try:
        facility_id, facts = looked.of(run)
        taken = select_objects(route, routes, facts, facility_id)
    except Exception as fault:
        # Whatever a damaged header makes of it: this run alone is set aside, and nothing behind it waits.
        log.exception("run %s cannot be judged", run.id)
        return _Judged(
            run, [], 0, fault=phrase("The conditions could not be tried ({kind}).", kind=type(fault).__name__)
        )
    numbers = [number for number, _ in facts]
    return _Judged(run, spans(taken.objects, numbers), len(taken.objects))


def _write_down(session: Session, one: _Judged) -> None:
    """Only when the run still is what was judged: else it is looked at in the next turn."""
    run = session.scalar(select(RouteRun).where(RouteRun.id == one.run.id).with_for_update(skip_locked=True))
    if run is None or run.state != WAITING or run.picked != one.run.picked or run.last_at != one.run.last_at:
        return
    if one.later is not None:
        run.due_at = one.later
    elif one.fault:
        run.attempts += 1
        run.reason = one.fault
        run.due_at = now() + timedelta(seconds=_PAUSE[min(run.attempts, len(_PAUSE)) - 1])
        if run.attempts >= _TRIES:
            run.state, run.finished_at = FAILED, now()
            notify_run(session, run)
    elif not one.objects:
        session.delete(run)
    else:
        _queue(session, run, one)


def _queue(session: Session, run: RouteRun, one: _Judged) -> None:
    run.state, run.picked, run.objects, run.reason = QUEUED, one.picked, one.objects, None
    run.job_id = jobs.enqueue(
        session,
        KIND,
        {"run_id": run.id},
        actor_name="system",
        facility_id=run.facility_id,
        max_attempts=_TRIES,
        total=one.objects,
    )
    session.execute(
        update(Route)
        .where(Route.id == run.route_id)
        .values(fired=Route.fired + 1, objects=Route.objects + one.objects, last_fired_at=now())
    )
    notify_run(session, run)
