"""Retrievals: a study, or a part of it, fetched from a node by C-MOVE, C-GET or WADO-RS; durable rows (NET-4, NET-5)."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from app import audit, events, jobs
from app.dicom.uids import is_safe
from app.jobs.models import Job
from app.kit.clock import now
from app.kit.errors import Conflict, Invalid
from app.kit.ids import new_id
from app.kit.numbers import parse_integer
from app.kit.phrases import phrase
from app.nodes import options
from app.nodes import queries as node_queries
from app.nodes.models import Node
from app.retrieve import queries as retrieve_queries
from app.retrieve import sources
from app.retrieve.models import Retrieval
from app.retrieve.plan import Scope
from app.retrieve.settings import QuerySettings
from app.security.actor import Actor, require
from app.security.verbs import Verb
from app.settings import load

KIND = "retrieve.fetch"
METHODS = ("auto", "move", "get")
QUEUED, RUNNING, DONE, FAILED, CANCELLED = "queued", "running", "done", "failed", "cancelled"
_MOST_INSTANCES = 10_000


@dataclass(frozen=True, slots=True)
class RetrievalOrder:
    """Objects to retrieve and their node. method: auto takes what the node prefers. destination: another node's
    name, empty for here."""

    node: str
    study_instance_uid: str
    series_instance_uid: str = ""
    sop_instance_uids: tuple[str, ...] = ()
    method: str = "auto"
    destination: str = ""


def scope_of(row: Retrieval) -> Scope:
    return Scope(row.study_instance_uid, row.series_instance_uid, tuple(row.sop_instance_uids))


def create_retrieval(session: Session, actor: Actor, order: RetrievalOrder) -> Retrieval:
    """Queues it. NotFound, Conflict (switched off, or already under way) or Invalid with the field."""
    require(actor, Verb.QUERY_RETRIEVE)
    node = node_queries.node(session, actor, order.node)
    _check(session, actor, node, order)
    scope = Scope(order.study_instance_uid, order.series_instance_uid, order.sop_instance_uids)
    for other in retrieve_queries.active(session, actor, [scope.study]):
        if (scope_of(other), other.destination) == (scope, order.destination):
            raise Conflict("This is being retrieved already.", hint="It is in the retrieval queue.")
    about = retrieve_queries.about(session, actor, scope.study)
    count = about.get("NumberOfStudyRelatedInstances", "")
    expected = 0 if scope.series else parse_integer(count) or 0
    row = Retrieval(
        id=new_id(),
        job_id="",
        node_id=node.id,
        study_instance_uid=scope.study,
        series_instance_uid=scope.series,
        sop_instance_uids=list(scope.instances),
        method=order.method,
        destination=order.destination,
        about=about,
        facility_id=actor.facility_id,
        state=QUEUED,
        total=len(scope.instances) or expected,
        created_by=actor.name,
        owner_id=actor.user_id,
        created_at=now(),
    )
    row.job_id = jobs.enqueue(
        session,
        KIND,
        {"retrieval_id": row.id},
        actor_name=actor.name,
        owner_id=actor.user_id,
        facility_id=actor.facility_id,
        max_attempts=load(session, QuerySettings).retries + 1,
        total=row.total,
    )
    session.add(row)
    session.flush()
    _record(session, actor, row, str(Verb.QUERY_RETRIEVE), node.name)
    notify(session, row)
    return row


def _check(session: Session, actor: Actor, node: Node, order: RetrievalOrder) -> None:
    if not is_safe(order.study_instance_uid):
        raise Invalid("The Study Instance UID is not valid.", field="study_instance_uid")
    if order.series_instance_uid and not is_safe(order.series_instance_uid):
        raise Invalid("The Series Instance UID is not valid.", field="series_instance_uid")
    if order.sop_instance_uids and not order.series_instance_uid:
        raise Invalid("Single objects need the UID of their series.", field="series_instance_uid")
    if len(order.sop_instance_uids) > _MOST_INSTANCES or not all(map(is_safe, order.sop_instance_uids)):
        raise Invalid("The SOP Instance UIDs are not valid, or there are too many.", field="sop_instance_uids")
    if order.method not in METHODS:
        raise Invalid(phrase("Write one of {known}.", known=", ".join(METHODS)), field="method")
    if not node.enabled:
        raise Conflict(
            phrase("The node {name} is switched off.", name=node.name), hint="Switch it on under Settings, Nodes."
        )
    ways = sources.retrieval_methods(node)
    if not ways or (order.method != "auto" and order.method not in ways):
        raise Invalid(
            phrase("The node {name} is not set to give objects this way.", name=node.name),
            field="method" if ways else "node",
            hint="Tick Move or Get in its form.",
        )
    if order.destination:
        other = node_queries.node(session, actor, order.destination)
        if not other.ae_title or options.node_options(other).protocol != "dicom":
            raise Invalid("Only a DICOM node can be sent to.", field="destination")
        if "move" not in ways:
            raise Invalid(
                phrase("The node {name} is not set to move.", name=node.name), field="destination", hint="Tick Move."
            )


def cancel_retrieval(session: Session, actor: Actor, retrieval_id: str) -> Retrieval:
    """Stops what has not ended; what has arrived stays."""
    require(actor, Verb.QUERY_RETRIEVE)
    row = retrieve_queries.retrieval(session, actor, retrieval_id)
    jobs.cancel(session, row.job_id)
    row.state, row.finished_at = CANCELLED, now()
    _record(session, actor, row, "retrieve.cancel")
    notify(session, row)
    return row


def retry_retrieval(session: Session, actor: Actor, retrieval_id: str) -> Retrieval:
    """Fetches again what is not here. Conflict while it still runs or when it is done."""
    require(actor, Verb.QUERY_RETRIEVE)
    row = retrieve_queries.retrieval(session, actor, retrieval_id)
    jobs.retry(session, row.job_id)
    row.state, row.error, row.hint, row.finished_at = QUEUED, None, None, None
    row.failed = row.warned = 0
    _record(session, actor, row, "retrieve.retry")
    notify(session, row)
    return row


def drop_retrieval(session: Session, actor: Actor, retrieval_id: str) -> None:
    """Takes one that has ended off the list; one that has not is cancelled first."""
    require(actor, Verb.QUERY_RETRIEVE)
    row = retrieve_queries.retrieval(session, actor, retrieval_id)
    if state_of(session, row)[0] in retrieve_queries.ACTIVE:
        jobs.cancel(session, row.job_id)
    row.state = CANCELLED
    _record(session, actor, row, "retrieve.drop")
    notify(session, row)
    session.delete(row)


def _record(session: Session, actor: Actor, row: Retrieval, verb: str, node: str = "") -> None:
    detail: dict[str, Any] = {"retrieval": row.id}
    if node:
        detail["node"] = node
    if row.destination:
        detail["destination"] = row.destination
    audit.by(session, actor, verb, "study", row.study_instance_uid, facility_id=row.facility_id, detail=detail)


def notify(session: Session, row: Retrieval) -> None:
    """The event that moves the bars; for the one who asked alone."""
    payload: dict[str, Any] = {"id": row.id, "state": row.state, "study_instance_uid": row.study_instance_uid}
    payload |= {"done": row.done, "total": row.total, "failed": row.failed}
    events.append(session, "retrieve.changed", payload, user_id=row.owner_id or events.NOBODY)


def state_of(session: Session, row: Retrieval) -> tuple[str, str | None]:
    """State and error; a job that failed with its worker sets the state of its retrieval."""
    job = session.get(Job, row.job_id)
    if job is not None and row.state in retrieve_queries.ACTIVE and job.state in (FAILED, CANCELLED):
        return job.state, job.error or row.error
    return row.state, row.error


def retrieval_json(session: Session, row: Retrieval, node_name: str) -> dict[str, Any]:
    """A retrieval as REST shows it (DESIGN part 2: long work)."""
    state, error = state_of(session, row)
    return {
        "id": row.id,
        "state": state,
        "progress": {"done": row.done, "total": row.total},
        "error": error,
        "hint": row.hint,
        "node": node_name,
        "study_instance_uid": row.study_instance_uid,
        "series_instance_uid": row.series_instance_uid or None,
        "sop_instance_uids": row.sop_instance_uids,
        "method": row.method,
        "used": row.used or None,
        "destination": row.destination or None,
        "completed": row.completed,
        "failed": row.failed,
        "warned": row.warned,
        "remaining": row.remaining,
        "attempts": row.attempts,
        "created_by": row.created_by,
        "created_at": row.created_at.isoformat(),
        "finished_at": row.finished_at and row.finished_at.isoformat(),
    }
