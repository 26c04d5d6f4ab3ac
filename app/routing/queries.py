"""Every select() of the package."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import exists, func, or_, select
from sqlalchemy.orm import Session

from app.forward.models import Transfer
from app.kit.errors import NotFound
from app.nodes.models import Node
from app.routing.decide import Candidate
from app.routing.facts import Names
from app.routing.models import FAILED, QUEUED, SENDING, WAITING, Route, RouteRun, RouteRunTransfer, RoutingMark
from app.routing.rule import Rule
from app.security import Actor, may_see
from app.security.models import Facility


def routes(session: Session, actor: Actor) -> list[Route]:
    """In their order; those of no facility and those of the actor's own."""
    query = select(Route).order_by(Route.position, Route.id)
    if not actor.sees_all:
        query = query.where(or_(Route.facility_id.is_(None), Route.facility_id == actor.facility_id))
    return list(session.scalars(query))


def route(session: Session, actor: Actor, name: str) -> Route:
    """By id or name."""
    found = session.scalar(select(Route).where(or_(Route.id == name, Route.name == name)).order_by(Route.id != name))
    if found is None or not (found.facility_id is None or may_see(actor, found.facility_id)):
        raise NotFound("There is no such route.")
    return found


def route_named(session: Session, name: str) -> Route | None:
    return session.scalar(select(Route).where(func.lower(Route.name) == name.lower()))


def last_position(session: Session) -> int:
    return session.scalar(select(func.max(Route.position))) or 0


def any_enabled(session: Session) -> bool:
    return session.scalar(select(Route.id).where(Route.enabled).limit(1)) is not None


def lock_mark(session: Session) -> RoutingMark | None:
    """The mark, locked to the end of the transaction; None before the first route was turned on."""
    return session.scalars(select(RoutingMark).where(RoutingMark.id == 1).with_for_update()).one_or_none()


def handled(session: Session) -> int | None:
    """The number of the last event that was handled for the routes; None while no route is on: none has to be."""
    if not any_enabled(session):
        return None
    return session.scalar(select(RoutingMark.event_id).where(RoutingMark.id == 1))


def shortest_quiet(session: Session, longest: float) -> float:
    """The shortest time without a new object that a route waits for, in seconds; at most `longest`."""
    found = session.scalars(select(Route.rule).where(Route.enabled))
    times = [when["quiet"] for rule in found if (when := rule["when"])["kind"] == "settled"]
    return float(min([longest, *times]))


def next_due(session: Session) -> datetime | None:
    """When the next waiting run of a route that is on is due."""
    query = select(func.min(RouteRun.due_at)).join(Route, Route.id == RouteRun.route_id)
    return session.scalar(query.where(RouteRun.state == WAITING, RouteRun.due_at.is_not(None), Route.enabled))


def candidates(session: Session) -> list[Candidate]:
    """The routes that are on, in their order."""
    rows = session.scalars(select(Route).where(Route.enabled).order_by(Route.position, Route.id))
    return [Candidate(r.id, r.name, Rule.model_validate(r.rule), r.facility_id, r.position) for r in rows]


def names(session: Session) -> Names:
    nodes = session.execute(select(Node.id, Node.name)).all()
    facilities = session.execute(select(Facility.id, Facility.name)).all()
    return Names({row[0]: row[1] for row in nodes}, {row[0]: row[1] for row in facilities})


def nodes_by_id(session: Session, ids: Sequence[str]) -> dict[str, Node]:
    return {node.id: node for node in session.scalars(select(Node).where(Node.id.in_(ids)))}


# -- runs --------------------------------------------------------------------------------------------------------


def open_runs(session: Session, study_uids: Sequence[str]) -> dict[tuple[str, str], RouteRun]:
    """(route, study) -> the run that still waits for more of it."""
    found: dict[tuple[str, str], RouteRun] = {}
    for start in range(0, len(study_uids), 500):
        query = select(RouteRun).where(
            RouteRun.study_instance_uid.in_(study_uids[start : start + 500]),
            RouteRun.state == WAITING,
            RouteRun.reason.is_(None),  # one that was tried before takes no more
        )
        found |= {(run.route_id, run.study_instance_uid): run for run in session.scalars(query)}
    return found


def due(session: Session, moment: datetime, limit: int) -> list[RouteRun]:
    """Waiting runs of routes that are on whose time has come, the oldest first."""
    query = (
        select(RouteRun)
        .join(Route, Route.id == RouteRun.route_id)
        .where(RouteRun.state == WAITING, RouteRun.due_at <= moment, Route.enabled)
        .order_by(RouteRun.due_at, RouteRun.id)
        .limit(limit)
    )
    return list(session.scalars(query))


def waiting_of(session: Session, route_id: str) -> list[RouteRun]:
    return list(session.scalars(select(RouteRun).where(RouteRun.route_id == route_id, RouteRun.state == WAITING)))


def queued(session: Session) -> list[RouteRun]:
    return list(session.scalars(select(RouteRun).where(RouteRun.state == QUEUED).order_by(RouteRun.id)))


def finished_sending(session: Session, moment: datetime, limit: int) -> list[RouteRun]:
    """Runs that send and none of whose transfers is under way any more; those put off until later left out."""
    under_way = (
        select(Transfer.id)
        .join(RouteRunTransfer, RouteRunTransfer.transfer_id == Transfer.id)
        .where(RouteRunTransfer.run_id == RouteRun.id, Transfer.state.in_(("queued", "running")))
    )
    query = (
        select(RouteRun)
        .where(RouteRun.state == SENDING, RouteRun.due_at <= moment, ~exists(under_way))
        .order_by(RouteRun.due_at, RouteRun.id)
        .limit(limit)
    )
    return list(session.scalars(query))


def transfers_of(session: Session, run_id: str) -> list[tuple[Transfer, str]]:
    """The transfers of a run with the name of each one's node."""
    query = (
        select(Transfer, Node.name)
        .join(RouteRunTransfer, RouteRunTransfer.transfer_id == Transfer.id)
        .join(Node, Node.id == Transfer.node_id)
        .where(RouteRunTransfer.run_id == run_id)
        .order_by(Transfer.id)
    )
    return [(row[0], row[1]) for row in session.execute(query)]


def run(session: Session, actor: Actor, run_id: str) -> RouteRun:
    found = session.get(RouteRun, run_id)
    if found is None or not may_see(actor, found.facility_id):
        raise NotFound("There is no such run.")
    return found


def runs(
    session: Session,
    actor: Actor,
    *,
    route_id: str | None = None,
    study: str | None = None,
    state: str | None = None,
    limit: int = 50,
    before: str | None = None,
) -> tuple[list[tuple[RouteRun, str]], int]:
    """Newest first with the route's name, and how many there are. before: the last id of the page before."""
    query = select(RouteRun, Route.name).join(Route, Route.id == RouteRun.route_id)
    if not actor.sees_all:
        query = query.where(RouteRun.facility_id == (actor.facility_id or "-"))
    for column, value in (
        (RouteRun.route_id, route_id),
        (RouteRun.study_instance_uid, study),
        (RouteRun.state, state),
    ):
        if value:
            query = query.where(column == value)
    total = session.scalar(select(func.count()).select_from(query.with_only_columns(RouteRun.id).subquery())) or 0
    if before:
        query = query.where(RouteRun.id < before)
    rows = session.execute(query.order_by(RouteRun.id.desc()).limit(limit)).all()
    return [(row[0], row[1]) for row in rows], total


def counts(session: Session, actor: Actor) -> dict[str, dict[str, int]]:
    """Route id -> state -> how many runs."""
    query = select(RouteRun.route_id, RouteRun.state, func.count()).group_by(RouteRun.route_id, RouteRun.state)
    if not actor.sees_all:
        query = query.where(RouteRun.facility_id == (actor.facility_id or "-"))
    found: dict[str, dict[str, int]] = {}
    for route_id, state, count in session.execute(query):
        found.setdefault(route_id, {})[state] = count
    return found


def latest_of_studies(session: Session, actor: Actor, study_uids: Sequence[str]) -> list[tuple[RouteRun, str]]:
    """Runs of these studies that wait, act or failed, with the route's name: values that a transfer does not have."""
    query = (
        select(RouteRun, Route.name)
        .join(Route, Route.id == RouteRun.route_id)
        .where(RouteRun.study_instance_uid.in_(study_uids), RouteRun.state.in_((WAITING, QUEUED, FAILED)))
        .order_by(Route.position, RouteRun.id)
    )
    if not actor.sees_all:
        query = query.where(RouteRun.facility_id == (actor.facility_id or "-"))
    return [(row[0], row[1]) for row in session.execute(query)]


def others_open(session: Session, run: RouteRun) -> list[RouteRun]:
    """Other runs of the same study that have not ended: they may still need its objects."""
    query = select(RouteRun).where(
        RouteRun.study_instance_uid == run.study_instance_uid,
        RouteRun.id != run.id,
        RouteRun.state.in_((WAITING, QUEUED, FAILED)),
    )
    return list(session.scalars(query))


def open_among(session: Session, run_ids: Sequence[str]) -> set[str]:
    """Which of these runs have not ended."""
    query = select(RouteRun.id).where(RouteRun.id.in_(run_ids), RouteRun.state.in_((QUEUED, SENDING)))
    return set(session.scalars(query))
