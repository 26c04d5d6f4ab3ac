"""The selects of Query/Retrieve: queries with their answers, retrievals, and what of it all is here already."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, case, delete, func, select, true
from sqlalchemy.orm import Session

from app.archive.models import Instance, Series, Study
from app.archive.queries import visible_to
from app.jobs.models import Job
from app.kit.errors import NotFound
from app.nodes.models import Node
from app.retrieve.models import RemoteAnswer, RemoteQuery, RemoteQueryNode, Retrieval
from app.retrieve.plan import Scope
from app.security.actor import Actor, can, owns
from app.security.verbs import Verb

ACTIVE = ("queued", "running")
_CHUNK = 500  # values of one IN


def query(session: Session, actor: Actor, query_id: str) -> RemoteQuery:
    """A query of the actor's own (or any, for who sees others' work); NotFound otherwise."""
    found = session.get(RemoteQuery, query_id)
    if found is None or not (owns(actor, found.owner_id) or can(actor, Verb.JOB_ALL)):
        raise NotFound("There is no such query.", hint="Queries are kept for a day. Ask again.")
    return found


def nodes_of(session: Session, query_id: str) -> list[RemoteQueryNode]:
    """In the order in which they were asked for."""
    return list(
        session.scalars(
            select(RemoteQueryNode).where(RemoteQueryNode.query_id == query_id).order_by(RemoteQueryNode.id)
        )
    )


def answers_of(session: Session, query_id: str, key: str = "") -> list[tuple[RemoteQueryNode, RemoteAnswer]]:
    """Every answer with its node, node by node; key: only those about this."""
    wanted = (
        select(RemoteQueryNode, RemoteAnswer)
        .join(RemoteAnswer, RemoteAnswer.query_node_id == RemoteQueryNode.id)
        .where(RemoteQueryNode.query_id == query_id)
        .order_by(RemoteQueryNode.id, RemoteAnswer.id)
    )
    if key:
        wanted = wanted.where(RemoteAnswer.key == key)
    return [(row[0], row[1]) for row in session.execute(wanted)]


def queries_of(session: Session, actor: Actor, limit: int, before: str | None) -> tuple[list[RemoteQuery], int]:
    """The actor's own (all, for who sees others' work), newest first, and how many."""
    wanted = select(RemoteQuery)
    if not can(actor, Verb.JOB_ALL):
        wanted = wanted.where(RemoteQuery.owner_id == (actor.user_id or ""))
    total = session.scalar(select(func.count()).select_from(wanted.subquery())) or 0
    if before:
        wanted = wanted.where(RemoteQuery.id < before)
    return list(session.scalars(wanted.order_by(RemoteQuery.id.desc()).limit(limit))), total


def nodes_by_id(session: Session, ids: Sequence[str]) -> dict[str, Node]:
    return {node.id: node for node in session.scalars(select(Node).where(Node.id.in_(ids)))}


def delete_answers(session: Session, query_node_id: int) -> None:
    session.execute(delete(RemoteAnswer).where(RemoteAnswer.query_node_id == query_node_id))


def prune(session: Session, queries_before: datetime, retrievals_before: datetime) -> None:
    """Old queries go with their answers, and retrievals that ended long ago."""
    session.execute(delete(RemoteQuery).where(RemoteQuery.created_at < queries_before))
    session.execute(delete(Retrieval).where(Retrieval.finished_at < retrievals_before))


def job_wanted(session: Session, job_id: str) -> bool:
    """Whether a running job is still to run: a look without a lock, quicker than its heartbeat."""
    return session.scalar(select(Job.state).where(Job.id == job_id)) == "running"


def about(session: Session, actor: Actor, study_uid: str) -> dict[str, str]:
    """Last answers of nodes to the actor about a study: the first value found, attribute by attribute."""
    newest = (
        select(RemoteQuery.id)
        .join(RemoteQueryNode, RemoteQueryNode.query_id == RemoteQuery.id)
        .join(RemoteAnswer, RemoteAnswer.query_node_id == RemoteQueryNode.id)
        .where(
            RemoteAnswer.key == study_uid, RemoteQuery.level == "STUDY", RemoteQuery.owner_id == (actor.user_id or "")
        )
        .order_by(RemoteQuery.id.desc())
        .limit(1)
    )
    query_id = session.scalar(newest)
    found: dict[str, str] = {}
    for _, answer in answers_of(session, query_id, study_uid) if query_id else ():
        for keyword, text in answer.values.items():
            found[keyword] = found.get(keyword) or text
    return found


# -- what is here ------------------------------------------------------------------------------------------------------


def local_studies(session: Session, actor: Actor, uids: Sequence[str]) -> dict[str, int]:
    """Study Instance UID -> objects here, for those the actor may see."""
    found: dict[str, int] = {}
    for at in range(0, len(uids), _CHUNK):
        part = select(Study.study_instance_uid, Study.instance_count).where(
            Study.study_instance_uid.in_(uids[at : at + _CHUNK]), visible_to(actor)
        )
        found.update({row[0]: row[1] for row in session.execute(part)})
    return found


def local_series(session: Session, actor: Actor | None, study_uid: str) -> dict[str, int]:
    """Series Instance UID -> objects here. actor None: without a check of permissions."""
    allowed: ColumnElement[bool] = true() if actor is None else visible_to(actor)
    wanted = (
        select(Series.series_instance_uid, Series.instance_count)
        .join(Study, Study.id == Series.study_pk)
        .where(Study.study_instance_uid == study_uid, allowed)
    )
    return {row[0]: row[1] for row in session.execute(wanted)}


def local_instances(session: Session, actor: Actor | None, uids: Sequence[str]) -> set[str]:
    """Which of these SOP Instance UIDs are here. actor None: without a check of permissions."""
    found: set[str] = set()
    allowed: ColumnElement[bool] = true() if actor is None else visible_to(actor)
    for at in range(0, len(uids), _CHUNK):
        part = (
            select(Instance.sop_instance_uid)
            .join(Study, Study.id == Instance.study_pk)
            .where(Instance.sop_instance_uid.in_(uids[at : at + _CHUNK]), allowed)
        )
        found.update(session.scalars(part))
    return found


def local_images(session: Session, actor: Actor, series_uids: Sequence[str]) -> list[str]:
    """SOP Instance UIDs of these series that are here and the actor may see."""
    wanted = (
        select(Instance.sop_instance_uid)
        .join(Series, Series.id == Instance.series_pk)
        .join(Study, Study.id == Instance.study_pk)
        .where(Series.series_instance_uid.in_(series_uids), visible_to(actor))
    )
    return list(session.scalars(wanted))


def count_local(session: Session, scope: Scope) -> int:
    """Objects of a scope that are here: the archive is decisive, not the count that a peer reports."""
    if scope.instances:
        return len(local_instances(session, None, scope.instances))
    if scope.series:
        return local_series(session, None, scope.study).get(scope.series, 0)
    found = session.scalar(select(Study.instance_count).where(Study.study_instance_uid == scope.study))
    return found or 0


# -- retrievals --------------------------------------------------------------------------------------------------------


def retrieval(session: Session, actor: Actor, retrieval_id: str) -> Retrieval:
    found = session.get(Retrieval, retrieval_id)
    if found is None or not (owns(actor, found.owner_id) or can(actor, Verb.JOB_ALL)):
        raise NotFound("There is no such retrieval.")
    return found


def retrievals(
    session: Session,
    actor: Actor,
    *,
    state: str | None = None,
    study: str | None = None,
    limit: int = 50,
    before: str | None = None,
) -> tuple[list[tuple[Retrieval, str]], int]:
    """Newest first with the node's name, and how many there are."""
    wanted = select(Retrieval, Node.name).join(Node, Node.id == Retrieval.node_id)
    if not can(actor, Verb.JOB_ALL):
        wanted = wanted.where(Retrieval.owner_id == (actor.user_id or ""))
    if state is not None:
        wanted = wanted.where(Retrieval.state == state)
    if study is not None:
        wanted = wanted.where(Retrieval.study_instance_uid == study)
    total = session.scalar(select(func.count()).select_from(wanted.with_only_columns(Retrieval.id).subquery())) or 0
    if before:
        wanted = wanted.where(Retrieval.id < before)
    rows = session.execute(wanted.order_by(Retrieval.id.desc()).limit(limit)).all()
    return [(row[0], row[1]) for row in rows], total


def queue(session: Session, actor: Actor, limit: int = 50) -> list[tuple[Retrieval, str]]:
    """For the page: those at work first, then those that wait, then those that ended, the newest of each first."""
    order = case({"running": 0, "queued": 1, "failed": 2}, value=Retrieval.state, else_=3)
    wanted = select(Retrieval, Node.name).join(Node, Node.id == Retrieval.node_id)
    if not can(actor, Verb.JOB_ALL):
        wanted = wanted.where(Retrieval.owner_id == (actor.user_id or ""))
    rows = session.execute(wanted.order_by(order, Retrieval.id.desc()).limit(limit)).all()
    return [(row[0], row[1]) for row in rows]


def counts(session: Session, actor: Actor) -> dict[str, int]:
    """State -> retrievals in it."""
    wanted = select(Retrieval.state, func.count()).group_by(Retrieval.state)
    if not can(actor, Verb.JOB_ALL):
        wanted = wanted.where(Retrieval.owner_id == (actor.user_id or ""))
    return {row[0]: row[1] for row in session.execute(wanted)}


def active(session: Session, actor: Actor, study_uids: Sequence[str]) -> list[Retrieval]:
    """Retrievals of these studies that wait or run."""
    wanted = (
        select(Retrieval)
        .join(Job, Job.id == Retrieval.job_id)  # one that was lost with its worker is active no more
        .where(Retrieval.study_instance_uid.in_(study_uids), Retrieval.state.in_(ACTIVE), Job.state.in_(ACTIVE))
    )
    if not can(actor, Verb.JOB_ALL):
        wanted = wanted.where(Retrieval.owner_id == (actor.user_id or ""))
    return list(session.scalars(wanted.order_by(Retrieval.id)))
