"""Execution of runs: `route.fire` creates the transfers of a run."""

from typing import Any

from sqlalchemy.orm import Session

from app.archive import arrivals
from app.forward import derived, transfers
from app.jobs.context import Cancelled, JobContext, PermanentFault
from app.kit.clock import now
from app.kit.errors import Conflict, Invalid, NotFound, Unavailable
from app.nodes.models import Node
from app.routing import making
from app.routing.decide import within
from app.routing.derive import Leaving, send_actions
from app.routing.making import PreparedFiles
from app.routing.models import QUEUED, SENDING, Route, RouteRun, RouteRunTransfer
from app.routing.rule import Rule
from app.routing.service import notify_run
from app.security import Actor, Verb


def actor_of(route: Route) -> Actor:
    """The actor: the system, within the facility of the route."""
    return Actor(
        name=f"route {route.name}"[:128],
        kind="system",
        verbs=frozenset((Verb.STUDY_SEND, Verb.STUDY_DELETE)),
        facility_id=route.facility_id,
        sees_all=route.facility_id is None,
    )


def execute_run(ctx: JobContext, payload: dict[str, Any]) -> dict[str, Any]:
    """Makes the transfers of a run, all in one transaction with its new state: a try that dies leaves none behind, a
    second one finds the run done. What must be made first is made before, with no transaction open."""
    run_id = str(payload["run_id"])
    with ctx.database.read() as session:
        run, route = _owned_run(ctx, session, run_id)
        rule, found = Rule.model_validate(route.rule), objects_of(session, run)
    if not found:
        raise PermanentFault("The objects of this run are no longer here.")
    batch = making.derive_objects(ctx, run_id, rule, found) if rule.derives else PreparedFiles()
    with ctx.database.write() as session:
        run, route = _owned_run(ctx, session, run_id)
        made = _create_transfers(session, run, route, found, batch)
        run.state, run.due_at = SENDING, now()
        notify_run(session, run)
        return {"transfers": made}


def _owned_run(ctx: JobContext, session: Session, run_id: str) -> tuple[RouteRun, Route]:
    """The run and its route, as long as this job is to carry it out."""
    run = session.get(RouteRun, run_id)
    route = session.get(Route, run.route_id) if run else None
    if run is None or route is None or run.state != QUEUED or run.job_id != ctx.job.id:
        raise Cancelled
    return run, route


def objects_of(session: Session, run: RouteRun) -> list[arrivals.StoredArrival]:
    """The objects of a run that are still here."""
    if not run.picked:
        return []
    inside = within(run.picked)
    between = (run.picked[0][0], run.picked[-1][1])
    return [one for one in arrivals.stored(session, run.study_instance_uid, between) if inside(one.instance.id)]


def _create_transfers(
    session: Session, run: RouteRun, route: Route, found: list[arrivals.StoredArrival], batch: PreparedFiles
) -> int:
    """Creates the transfers of the rule. What could not be made as asked is not sent in any other form."""
    forms = {number: derived.add(session, run.id, made) for number, made in batch.forms.items()}
    sent: list[dict[str, Any]] = []
    for one in send_actions(Rule.model_validate(route.rule).actions):
        for node_id in one.send.nodes:
            sent.append(_send(session, run, route, node_id, one, found, forms.get(one.number)))
    run.done = {"sends": sent}
    run.uids = batch.uids
    if batch.reports:
        run.done |= {"reports": batch.reports}
    if batch.refused:
        reasons = sorted(set(batch.refused.values()))
        run.done |= {"refused": len(batch.refused), "reasons": reasons[:10]}
    return len(sent)


def _send(
    session: Session,
    run: RouteRun,
    route: Route,
    node_id: str,
    one: Leaving,
    found: list[arrivals.StoredArrival],
    made: dict[str, int] | None,
) -> dict[str, Any]:
    """One destination. Objects received from it are not sent back, unless the route allows it."""
    node = session.get(Node, node_id)
    if node is None:
        raise PermanentFault("A node of this route has been removed.")
    away = [o for o in found if one.send.back or o.source is None or o.source.node_id != node_id]
    result: dict[str, Any] = {"node": node.name, "objects": len(away), "back": len(found) - len(away)}
    uids = [o.instance.sop_instance_uid for o in away]
    if one.steps:
        uids = [uid for uid in uids if uid in (made or {})]
    if not uids:
        return result
    # one transfer for each destination, study and form: what arrives later is added to it
    source = f"route:{route.id}" + (f":{one.number}" if one.number else "")
    try:
        transfer = transfers.append(
            session, actor_of(route), run.study_instance_uid, node.id, uids, source=source, again=True, made=made
        )
    except (Conflict, Invalid, NotFound) as fault:
        # a node that is switched off may be on again with the next try
        raise Unavailable(fault.message) from fault
    if session.get(RouteRunTransfer, (run.id, transfer.id)) is None:
        session.add(RouteRunTransfer(run_id=run.id, transfer_id=transfer.id))
    return result | {"transfer": transfer.id}
