"""Carrying runs out: `route.fire` hands objects over to transfers; `follow`, by the clock, ends what has been delivered."""

import logging
from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from app import audit
from app.archive import arrivals
from app.archive import service as archive
from app.db import Database
from app.jobs import Job
from app.jobs.context import Cancelled, JobContext, PermanentFault
from app.kit.clock import now
from app.kit.errors import AppError, Conflict, Invalid, NotFound
from app.kit.phrases import phrase
from app.peers import transfers
from app.peers.models import Node
from app.routing import queries
from app.routing.decide import within
from app.routing.models import DONE, FAILED, QUEUED, SENDING, Route, RouteRun, RouteRunTransfer
from app.routing.rule import Rule, Send
from app.routing.service import tell_run
from app.security import SYSTEM, Actor, Verb

log = logging.getLogger(__name__)
_ENDED = 200  # runs that are followed up in one turn
_LATER = timedelta(seconds=60)


def actor_of(route: Route) -> Actor:
    """Who acts: the system, within the facility of the route."""
    return Actor(
        name=f"route {route.name}"[:128],
        kind="system",
        verbs=frozenset((Verb.STUDY_SEND, Verb.STUDY_DELETE)),
        facility_id=route.facility_id,
        sees_all=route.facility_id is None,
    )


def fire(ctx: JobContext, payload: dict[str, Any]) -> dict[str, Any]:
    """Makes the transfers of a run, all in one transaction with its new state: a try that dies leaves none behind, a
    second one finds the run done."""
    with ctx.database.write() as session:
        run = session.get(RouteRun, payload["run_id"])
        route = session.get(Route, run.route_id) if run else None
        if run is None or route is None or run.state != QUEUED or run.job_id != ctx.job.id:
            raise Cancelled
        made = _hand_over(session, run, route)
        run.state, run.due_at = SENDING, now()
        tell_run(session, run)
        return {"transfers": made}


def objects_of(session: Session, run: RouteRun) -> list[arrivals.Stored]:
    """The objects of a run that are still here."""
    if not run.picked:
        return []
    inside = within(run.picked)
    between = (run.picked[0][0], run.picked[-1][1])
    return [one for one in arrivals.stored(session, run.study_instance_uid, between) if inside(one.instance.id)]


def _hand_over(session: Session, run: RouteRun, route: Route) -> int:
    found = objects_of(session, run)
    if not found:
        raise PermanentFault("The objects of this run are no longer here.")
    sent: list[dict[str, Any]] = []
    for action in Rule.model_validate(route.rule).actions:
        if not isinstance(action, Send):
            continue
        for node_id in action.nodes:
            sent.append(_send(session, run, route, node_id, found, back=action.back))
    run.done = {"sends": sent}
    return len(sent)


def _send(
    session: Session, run: RouteRun, route: Route, node_id: str, found: list[arrivals.Stored], *, back: bool
) -> dict[str, Any]:
    """One destination. What came from it does not go back there, unless the route says so."""
    node = session.get(Node, node_id)
    if node is None:
        raise PermanentFault("A node of this route has been removed.")
    away = [one for one in found if back or one.source is None or one.source.node_id != node_id]
    told = {"node": node.name, "objects": len(away), "back": len(found) - len(away)}
    if not away:
        return told
    uids = [one.instance.sop_instance_uid for one in away]
    try:
        made = transfers.create_transfer(session, actor_of(route), run.study_instance_uid, node.id, uids)
    except (Conflict, Invalid, NotFound) as fault:
        # a node that is switched off may be on again with the next try
        raise Conflict(f"{fault.detail} {fault.hint}".strip()) from fault
    session.add(RouteRunTransfer(run_id=run.id, transfer_id=made.id))
    return told | {"transfer": made.id}


# -- afterwards --------------------------------------------------------------------------------------------------


def follow(database: Database) -> int:
    """Ends runs: those whose job was given up fail with its reason, those whose transfers are over are done, their
    objects dropped if the route says so and all is proven."""
    with database.read() as session:
        queued = queries.queued(session)
        lost = [run.id for run in queued if _reason(session, run)]
        over = [run.id for run in queries.finished_sending(session, now(), _ENDED)]
    for run_id in lost:
        with database.write() as session:
            _give_up(session, session.get(RouteRun, run_id))
    for run_id in over:
        with database.write() as session:
            _end(session, session.get(RouteRun, run_id))
    return len(lost) + len(over)


def _reason(session: Session, run: RouteRun) -> str:
    """Why the job of a queued run will not come any more; "" while it may."""
    job = session.get(Job, run.job_id) if run.job_id else None
    if job is None:
        return "Its job is gone."
    return (job.error or "It was cancelled.") if job.state in ("failed", "cancelled") else ""


def _give_up(session: Session, run: RouteRun | None) -> None:
    if run is not None and run.state == QUEUED and (reason := _reason(session, run)):
        run.state, run.reason, run.finished_at = FAILED, reason, now()
        tell_run(session, run)


def _end(session: Session, run: RouteRun | None) -> None:
    """The transfers of a run are over."""
    route = session.get(Route, run.route_id) if run else None
    if run is None or route is None or run.state != SENDING:
        return
    unproven = [
        (transfer, name) for transfer, name in queries.transfers_of(session, run.id) if transfer.state != "done"
    ]
    if unproven:
        name = unproven[0][1]
        run.reason = phrase("The transfer to {name} did not end well: see Transfers.", name=name)
        run.due_at = now() + _LATER  # it may be tried again there: then this run goes on
        return
    run.reason = None
    if Rule.model_validate(route.rule).drops and not _drop(session, run, route):
        run.due_at = now() + _LATER
        return
    run.state, run.finished_at, run.due_at = DONE, now(), None
    tell_run(session, run)


def _drop(session: Session, run: RouteRun, route: Route) -> bool:
    """Deletes the run's objects here, when all is proven at this moment: every transfer of the run has delivered every
    one of them, nobody else has yet to send one, no other route has yet to look. False: not now, `reason` says why."""
    found = objects_of(session, run)
    mine = {one.instance.sop_instance_uid for one in found}
    if not mine:
        return True
    sent = [
        (transfers.delivered(session, [transfer.id]).safe, name)
        for transfer, name in queries.transfers_of(session, run.id)
    ]
    for delivered, name in sent:
        if not mine <= delivered:
            run.reason = phrase("Kept: {name} has not taken everything.", name=name)
            run.done = run.done | {"kept": len(mine)}
            return True
    if not sent:
        run.reason = "Kept: nothing of it was sent, since it came from where it would go."
        run.done = run.done | {"kept": len(mine)}
        return True
    if mine & queries.waiting_elsewhere(session, run.study_instance_uid):
        run.reason = "Waits: another transfer has yet to send these objects."
        return False
    if queries.others_open(session, run):
        run.reason = "Waits: another route has yet to look at these objects."
        return False
    try:
        archive.delete_instances(session, SYSTEM, run.study_instance_uid, [one.instance.id for one in found])
    except AppError as fault:
        run.reason = phrase("Kept: {why}", why=fault.detail)
        run.done = run.done | {"kept": len(mine)}
        return True
    run.done = run.done | {"dropped": len(mine)}
    audit.record(
        session,
        actor_name=actor_of(route).name,
        actor_kind="system",
        verb="route.drop",
        thing="study",
        thing_id=run.study_instance_uid,
        facility_id=run.facility_id,
        detail={"route": route.name, "run": run.id, "objects": len(mine), "nodes": [name for _, name in sent]},
    )
    return True
