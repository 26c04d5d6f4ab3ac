"""From what came to runs: `note` puts new objects to the routes, `judge` decides about runs whose time has come.

Both are safe to be killed anywhere and to be run by several workers: the mark of how far arrivals were looked at moves in
the transaction that makes the runs, and a judged run gets its job in the transaction that says so."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app import jobs
from app.archive import arrivals as archive
from app.db import Database
from app.kit.clock import now
from app.kit.ids import new_id
from app.kit.phrases import phrase
from app.nodes import activity_queries as peers
from app.routing import queries, schedule
from app.routing.decide import Candidate, concerns, spans, take, within
from app.routing.facts import Names, ObjectFacts, of_stored
from app.routing.models import FAILED, QUEUED, WAITING, Route, RouteRun, RoutingMark
from app.routing.service import tell_run

log = logging.getLogger(__name__)
KIND = "route.fire"
_BATCH = 4000  # arrivals in one transaction
_JUDGED = 100  # runs in one turn
_TRIES = 3
_PAUSE = (5, 30, 300)  # seconds before a judgement that failed is tried again


def turn(database: Database) -> None:
    """What the worker's clock calls: arrivals, then what is due."""
    while note(database) == _BATCH:
        pass
    judge(database)


def note(database: Database) -> int:
    """Gives what came since the last turn to the routes that are on; how many objects that were."""
    with database.read() as session:
        if not queries.any_enabled(session):
            return 0  # the mark is set anew when one is turned on
        mark = session.get(RoutingMark, 1)
        if mark is None or (archive.newest(session) <= mark.instance_id and archive.reissued(session) is None):
            return 0
    with database.write() as session:
        mark = session.scalars(select(RoutingMark).where(RoutingMark.id == 1).with_for_update()).one()
        mark.instance_id = archive.take_reissue(session, mark.instance_id)
        arrived = archive.after(session, mark.instance_id, _BATCH)
        if arrived:
            _note(session, queries.candidates(session), arrived)
            mark.instance_id = arrived[-1].id
        return len(arrived)


def _note(session: Session, routes: Sequence[Candidate], arrived: Sequence[archive.Arrived]) -> None:
    studies: dict[str, list[archive.Arrived]] = {}
    tests = peers.running_studies(session)  # what a self-test of a node fetches back goes nowhere
    for one in arrived:
        if one.study_instance_uid in tests:
            continue
        studies.setdefault(one.study_instance_uid, []).append(one)
    known = queries.open_runs(session, list(studies))
    for uid, came in studies.items():
        for route in routes:
            if not concerns(route, came[-1].facility_id):
                continue
            run = known.get((route.id, uid))
            if run is None:
                session.add(_new_run(route, came))
                continue
            run.picked = [[min(came[0].id, run.picked[0][0]), max(came[-1].id, run.picked[-1][1])]]
            run.last_at = came[-1].received_at
            if route.rule.when.kind == "settled":
                run.due_at = schedule.following(route.rule.when, run.last_at)


def _new_run(route: Candidate, came: Sequence[archive.Arrived]) -> RouteRun:
    when, last = route.rule.when, came[-1]
    return RouteRun(
        id=new_id(),
        route_id=route.id,
        study_instance_uid=last.study_instance_uid,
        facility_id=last.facility_id,
        state=WAITING,
        picked=[[came[0].id, last.id]],
        done={},
        created_at=now(),
        last_at=last.received_at,
        due_at=schedule.following(when, now() if when.kind == "schedule" else last.received_at),
    )


# -- judging -----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Judged:
    """What became of one run, before it is written down."""

    run: RouteRun
    picked: list[list[int]]
    objects: int
    fault: str = ""
    later: datetime | None = None


def judge(database: Database) -> int:
    """Decides about the runs that are due: how many were."""
    moment = now()
    with database.read() as session:
        runs = queries.due(session, moment, _JUDGED)
        if not runs:
            return 0
        routes = queries.candidates(session)
        looked = _Looked(session, runs, queries.names(session))
        judged = [_judge(looked, run, routes, moment) for run in runs]
    with database.write() as session:
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


def _judge(looked: _Looked, run: RouteRun, routes: Sequence[Candidate], moment: datetime) -> _Judged:
    route = next((one for one in routes if one.id == run.route_id), None)
    if route is None:
        return _Judged(run, [], 0, later=moment + timedelta(seconds=60))
    quiet = run.last_at + timedelta(seconds=route.rule.when.quiet)
    if route.rule.when.kind == "schedule" and quiet > moment:
        return _Judged(run, [], 0, later=quiet)  # it is still arriving
    try:
        facility_id, facts = looked.of(run)
        taken = take(route, routes, facts, facility_id)
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
            tell_run(session, run)
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
    tell_run(session, run)
