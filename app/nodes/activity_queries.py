"""Every select() about callers and self-tests."""

from datetime import timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from app.archive.models import Instance
from app.jobs.models import Job
from app.kit.clock import now
from app.kit.phrases import Phrase
from app.nodes.models import Caller, Commitment, CommitmentInstance, Node, NodeTest


def caller_like(session: Session, kind: str, title: str, called: str, address: str) -> Caller | None:
    return session.scalar(
        select(Caller).where(
            Caller.kind == kind, Caller.title == title, Caller.called == called, Caller.address == address
        )
    )


def callers_at(session: Session, title: str, address: str) -> list[Caller]:
    """All rows of a caller, whatever it called."""
    return list(session.scalars(select(Caller).where(Caller.title == title, Caller.address == address)))


def callers(session: Session, ignored: bool, kind: str) -> list[Caller]:
    """Newest first."""
    query = select(Caller).order_by(Caller.last_at.desc(), Caller.id)
    if not ignored:
        query = query.where(Caller.ignored.is_(False))
    if kind:
        query = query.where(Caller.kind == kind)
    return list(session.scalars(query))


def drop_callers(session: Session, most: int) -> None:
    """Keeps only the `most` rows that called last."""
    count = session.scalar(select(func.count()).select_from(Caller)) or 0
    if count > most:
        old = session.scalars(select(Caller.id).order_by(Caller.last_at.desc()).offset(most)).all()
        session.execute(delete(Caller).where(Caller.id.in_(old)))


def forget_callers(session: Session, title: str, address: str) -> None:
    """A system that is a node now is not an unknown caller."""
    session.execute(
        delete(Caller).where(Caller.kind == "unknown", Caller.title == title, Caller.address == address),
        execution_options={"synchronize_session": False},  # no caller is loaded here; else every object is compared
    )


def newest_test(session: Session, node_id: str) -> NodeTest | None:
    return session.scalar(select(NodeTest).where(NodeTest.node_id == node_id).order_by(NodeTest.id.desc()).limit(1))


def drop_tests(session: Session, node_id: str, keep: int) -> None:
    """Keeps the newest tests of a node."""
    old = session.scalars(
        select(NodeTest.id).where(NodeTest.node_id == node_id).order_by(NodeTest.id.desc()).offset(keep)
    ).all()
    session.execute(delete(NodeTest).where(NodeTest.id.in_(old)))


def running_studies(session: Session) -> set[str]:
    """The study UIDs of self-tests of the last hour: objects that return from them belong to no facility and are not
    routed."""
    since = now() - timedelta(hours=1)
    found = session.scalars(
        select(NodeTest.study_instance_uid).where(NodeTest.study_instance_uid != "", NodeTest.created_at >= since)
    )
    return set(found)


def job(session: Session, job_id: str) -> Job | None:
    return session.get(Job, job_id)


def is_queued(session: Session, kind: str) -> bool:
    """Whether a job of this kind waits or runs."""
    found = session.scalar(select(Job.id).where(Job.kind == kind, Job.state.in_(("queued", "running"))).limit(1))
    return found is not None


def is_stored(session: Session, sop_instance_uid: str) -> bool:
    return session.scalar(select(Instance.id).where(Instance.sop_instance_uid == sop_instance_uid)) is not None


def commitment_state(session: Session, commitment_id: str) -> tuple[str, int | None, Phrase | None]:
    """State of the one object of a request, the failure reason, and what is wrong with the request."""
    row = session.get(Commitment, commitment_id)
    one = session.scalar(select(CommitmentInstance).where(CommitmentInstance.commitment_id == commitment_id))
    if row is None or one is None:
        return "failed", None, None
    return one.state, one.reason, row.error


def nodes_to_echo(session: Session, minutes: int) -> list[Node]:
    """Enabled nodes without contact or change for this long, the longest first."""
    since = now() - timedelta(minutes=minutes)
    quiet = [column.is_(None) | (column < since) for column in (Node.last_ok_at, Node.last_fault_at)]
    return list(
        session.scalars(
            select(Node)
            .where(Node.enabled.is_(True), Node.changed_at < since, *quiet)
            .order_by(Node.last_ok_at, Node.id)
        )
    )
