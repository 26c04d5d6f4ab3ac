"""The verbs of routes: make, change, order, turn on and off, remove; and of their runs: now, again, never."""

import contextlib
from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from app import audit, events, jobs
from app.archive import service as archive_service
from app.config import Config
from app.db.keys import derive
from app.deid import report
from app.deid.service import CROSSREF_KEY
from app.kit.clock import now
from app.kit.errors import Conflict, Invalid, NotFound
from app.kit.ids import new_id
from app.kit.phrases import phrase
from app.nodes import options
from app.nodes import queries as peers
from app.routing import queries, rule, schedule
from app.routing.decide import Candidate
from app.routing.errors import NotTested
from app.routing.models import DONE, DROPPED, FAILED, QUEUED, SENDING, WAITING, Route, RouteRun, RoutingMark
from app.routing.rule import Rule, Send
from app.security import Actor, Verb, require
from app.security.models import Facility

_MOST = 200  # routes


def create_route(
    session: Session, actor: Actor, name: str, data: dict[str, Any], *, facility_id: str | None = None
) -> Route:
    """A new route, disabled, last in the order. Invalid (with `errors` by place) or Conflict when it cannot be."""
    require(actor, Verb.ROUTE_EDIT)
    if len(queries.routes(session, actor)) >= _MOST:
        raise Conflict(phrase("There are {most} routes already.", most=_MOST), hint="Remove one that is not used.")
    made = Route(
        id=new_id(),
        name=_name(session, name, ""),
        position=queries.last_position(session) + 1,
        enabled=False,
        facility_id=_facility(session, facility_id),
        rule=_checked(session, actor, data),
        changed_by=actor.name,
        changed_at=now(),
    )
    session.add(made)
    session.flush()
    _notify(session, actor, made, "route.create")
    return made


def update_route(
    session: Session,
    actor: Actor,
    name: str,
    *,
    new_name: str | None = None,
    data: dict[str, Any] | None = None,
    facility_id: str | None = None,
) -> Route:
    """Changes what is given; facility_id "": for every facility. Another rule is to be tested again, and what waits is
    judged by the new one."""
    require(actor, Verb.ROUTE_EDIT)
    queries.lock_mark(session)
    route = queries.route(session, actor, name)
    if new_name is not None:
        route.name = _name(session, new_name, route.id)
    if facility_id is not None:
        route.facility_id = _facility(session, facility_id or None)
    if data is not None and (checked := _checked(session, actor, data)) != route.rule:
        route.rule, route.tested_at = checked, None
        _set_times(session, route)
    _changed(session, actor, route, "route.edit")
    return route


def switch_route(session: Session, actor: Actor, name: str, on: bool, *, untested: bool = False) -> Route:
    """Turns a route on or off. On: for what comes from now on; NotTested unless it was tested on a study, or the user
    confirms. Off: what waits stays until it is on again, or is dropped."""
    require(actor, Verb.ROUTE_EDIT)
    queries.lock_mark(session)
    route = queries.route(session, actor, name)
    if on == route.enabled:
        return route
    if on and route.tested_at is None and not untested:
        raise NotTested(
            phrase("The route {name} was not tested as it is now.", name=route.name),
            hint="Test it on a study first, or say that it is to be enabled untested.",
            field="enabled",
        )
    if on and not queries.any_enabled(session):
        set_mark(session, events.newest(session))
    if on:
        _set_times(session, route, settled_only=True)
    route.enabled = on
    _changed(session, actor, route, "route.enable" if on else "route.disable")
    return route


def _set_times(session: Session, route: Route, settled_only: bool = False) -> None:
    """When the waiting runs of a route are due by its rule as it is now. The caller has locked the mark: an event
    study.settled that comes meanwhile is handled after this transaction, and finds the runs as they are left here."""
    when = Rule.model_validate(route.rule).when
    if settled_only and when.kind != "settled":
        return
    for run in queries.waiting_of(session, route.id):
        if when.kind == "settled" and archive_service.is_receiving(session, run.study_instance_uid):
            run.due_at = None
        else:
            run.due_at = schedule.following(when, run.last_at if when.kind != "schedule" else now())


def set_mark(session: Session, event_id: int) -> None:
    """Events after this one are handled for the routes."""
    mark = session.get(RoutingMark, 1)
    if mark is None:
        session.add(RoutingMark(id=1, event_id=event_id))
    else:
        mark.event_id = event_id


def order_routes(session: Session, actor: Actor, ids: list[str]) -> list[Route]:
    """Puts all routes in this order. Invalid unless each is named once."""
    require(actor, Verb.ROUTE_EDIT)
    known = {route.id: route for route in queries.routes(session, actor)}
    if sorted(ids) != sorted(known):
        raise Invalid("Name every route once.", field="order")
    for position, route_id in enumerate(ids, 1):
        known[route_id].position = position
    session.flush()
    _record(session, actor, None, "route.order", {"routes": [known[i].name for i in ids]})
    events.append(session, "route.changed", {"id": ""})
    return [known[i] for i in ids]


def delete_route(session: Session, actor: Actor, name: str) -> None:
    """Removes a route with the record of its runs; what it has handed over to transfers goes on."""
    require(actor, Verb.ROUTE_EDIT)
    route = queries.route(session, actor, name)
    session.execute(delete(RouteRun).where(RouteRun.route_id == route.id))
    session.delete(route)
    session.flush()
    _notify(session, actor, route, "route.delete")


def trial_routes(
    session: Session,
    actor: Actor,
    names: Sequence[str],
    data: dict[str, Any] | None = None,
    facility_id: str | None = None,
) -> list[Candidate]:
    """Routes for the test bench: saved routes (none named: all), or a rule that is not saved yet."""
    require(actor, Verb.ROUTE_EDIT)
    if data is not None:
        last = queries.last_position(session) + 1
        base = queries.route(session, actor, names[0]) if names else None
        made = Rule.model_validate(_checked(session, actor, data))
        if base is None:
            return [Candidate("", "", made, facility_id, last)]
        return [Candidate(base.id, base.name, made, facility_id, base.position)]
    chosen = [queries.route(session, actor, name) for name in names] or queries.routes(session, actor)
    return [Candidate(r.id, r.name, Rule.model_validate(r.rule), r.facility_id, r.position) for r in chosen]


def mark_tested(session: Session, actor: Actor, names: Sequence[str]) -> None:
    """Notes that the rules as they are were tried on a study."""
    require(actor, Verb.ROUTE_EDIT)
    for name in names:
        queries.route(session, actor, name).tested_at = now()


# -- runs --------------------------------------------------------------------------------------------------------


def fire_now(session: Session, actor: Actor, name: str) -> int:
    """Everything that waits on this route is due now; how many runs that were."""
    require(actor, Verb.ROUTE_EDIT)
    route = queries.route(session, actor, name)
    if not route.enabled:
        raise Conflict("This route is disabled.", hint="Enable it first.")
    moved = session.execute(
        update(RouteRun).where(RouteRun.route_id == route.id, RouteRun.state == WAITING).values(due_at=now())
    )
    count = int(moved.rowcount)  # type: ignore[attr-defined]
    _record(session, actor, route, "route.fire", {"runs": count})
    return count


def retry_run(session: Session, actor: Actor, run_id: str) -> RouteRun:
    """A failed run is judged and carried out again, with a full set of tries."""
    require(actor, Verb.ROUTE_EDIT)
    run = queries.run(session, actor, run_id)
    if run.state not in (FAILED, DROPPED):
        raise Conflict("Only a failed run can be tried again.")
    run.state, run.attempts, run.due_at, run.finished_at, run.job_id = WAITING, 0, now(), None, None
    run.reason = run.reason or phrase("Tried again.")  # what comes meanwhile makes a run of its own
    _run_detail(session, actor, run, "route.retry")
    return run


def drop_run(session: Session, actor: Actor, run_id: str) -> RouteRun:
    """Drops a waiting or failed run; its objects stay here."""
    require(actor, Verb.ROUTE_EDIT)
    run = queries.run(session, actor, run_id)
    if run.state in (DONE, DROPPED, SENDING):
        raise Conflict("This run has ended, or its transfers are under way.", hint="Cancel the transfers instead.")
    if run.state == QUEUED and run.job_id:
        with contextlib.suppress(Conflict, NotFound):  # it ended by itself meanwhile
            jobs.cancel(session, run.job_id)
    run.state, run.finished_at = DROPPED, now()
    _run_detail(session, actor, run, "route.drop-run")
    return run


def cross_reference(session: Session, actor: Actor, config: Config, run_id: str) -> list[tuple[str, str]]:
    """Old and new UIDs of what a run sent anonymized, for administrators; each reading is audited (ANON-3)."""
    require(actor, Verb.CROSSREF_READ)
    run = queries.run(session, actor, run_id)
    if run.uids is None:
        raise NotFound("This run has anonymized nothing.")
    _run_detail(session, actor, run, Verb.CROSSREF_READ)
    return report.open_uids(derive(config, CROSSREF_KEY), run.uids)


def _run_detail(session: Session, actor: Actor, run: RouteRun, verb: str) -> None:
    audit.by(
        session,
        actor,
        verb,
        "study",
        run.study_instance_uid,
        facility_id=run.facility_id,
        detail={"run": run.id, "route": run.route_id},
    )
    notify_run(session, run)


def notify_run(session: Session, run: RouteRun) -> None:
    """The event that moves open pages."""
    payload = {
        "id": run.id,
        "route_id": run.route_id,
        "state": run.state,
        "study_instance_uid": run.study_instance_uid,
    }
    events.append(session, "route.run", payload, facility_id=run.facility_id)


# -- inside ------------------------------------------------------------------------------------------------------


def _name(session: Session, name: str, own_id: str) -> str:
    name = name.strip()
    if not 1 <= len(name) <= 64 or not name.isprintable() or "/" in name:
        raise Invalid("A name has 1 to 64 characters and no slash.", field="name")
    taken = queries.route_named(session, name)
    if taken is not None and taken.id != own_id:
        raise Conflict("A route of this name is there already.", hint="Choose another name.", field="name")
    return name


def _facility(session: Session, facility_id: str | None) -> str | None:
    if facility_id and session.get(Facility, facility_id) is None:
        raise Invalid("There is no such facility.", field="facility_id")
    return facility_id or None


def _checked(session: Session, actor: Actor, data: dict[str, Any]) -> dict[str, Any]:
    """The rule as it is kept: nodes by their ids, so that a node may be renamed."""
    read = rule.read(data)
    wrong: dict[str, str] = {}
    for number, action in enumerate(read.actions):
        if not isinstance(action, Send):
            continue
        for inner, name in enumerate(action.nodes):
            try:
                node = peers.node(session, actor, name)
            except NotFound:
                wrong[f"actions.{number}.nodes.{inner}"] = phrase("There is no node {name}.", name=name)
                continue
            if "store" not in options.node_options(node).capabilities:
                wrong[f"actions.{number}.nodes.{inner}"] = phrase(
                    "The node {name} is not set to store.", name=node.name
                )
            action.nodes[inner] = node.id
    if wrong:
        field, words = next(iter(wrong.items()))
        raise Invalid(words, field=field, errors=wrong)
    return read.model_dump(mode="json")


def _changed(session: Session, actor: Actor, route: Route, verb: str) -> None:
    route.changed_by, route.changed_at = actor.name, now()
    session.flush()
    _notify(session, actor, route, verb)


def _notify(session: Session, actor: Actor, route: Route, verb: str) -> None:
    events.append(session, "route.changed", {"id": route.id}, facility_id=route.facility_id)
    _record(session, actor, route, verb, {"enabled": route.enabled, "rule": route.rule})


def _record(session: Session, actor: Actor, route: Route | None, verb: str, detail: dict[str, Any]) -> None:
    audit.by(
        session,
        actor,
        verb,
        "route",
        route.name if route else "",
        facility_id=route.facility_id if route else None,
        detail=detail,
    )


def route_json(route: Route, names: dict[str, str], counts: dict[str, int]) -> dict[str, Any]:
    """A route as REST shows it: nodes by name. names: node id -> name; counts: state -> runs."""
    return {
        "id": route.id,
        "name": route.name,
        "enabled": route.enabled,
        "position": route.position,
        "facility_id": route.facility_id,
        **with_node_names(route.rule, names),
        "tested_at": route.tested_at and route.tested_at.isoformat(),
        "last_fired_at": route.last_fired_at and route.last_fired_at.isoformat(),
        "fired": route.fired,
        "objects": route.objects,
        "runs": counts,
        "changed_by": route.changed_by,
        "changed_at": route.changed_at.isoformat(),
    }


def with_node_names(kept: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """A kept rule with the nodes' names in place of their ids; a node that is gone keeps its id."""
    actions = [
        {**one, "nodes": [names.get(node, node) for node in one["nodes"]]} if one["do"] == "send" else one
        for one in kept["actions"]
    ]
    return {**kept, "actions": actions}


def run_json(run: RouteRun, name: str, transfers: list[str] | None = None) -> dict[str, Any]:
    """A run as REST shows it."""
    shown = {
        "id": run.id,
        "route": name,
        "route_id": run.route_id,
        "study_instance_uid": run.study_instance_uid,
        "state": run.state,
        "reason": run.reason,
        "objects": run.objects,
        "done": run.done,
        "attempts": run.attempts,
        "created_at": run.created_at.isoformat(),
        "due_at": run.due_at and run.due_at.isoformat(),
        "finished_at": run.finished_at and run.finished_at.isoformat(),
    }
    return shown if transfers is None else shown | {"transfers": transfers}
