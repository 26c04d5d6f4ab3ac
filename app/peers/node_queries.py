"""Every select() about callers and self-tests."""

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from app.peers.models import Caller, NodeTest


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
    """Keeps only so many rows, those that called last."""
    count = session.scalar(select(func.count()).select_from(Caller)) or 0
    if count > most:
        old = session.scalars(select(Caller.id).order_by(Caller.last_at.desc()).offset(most)).all()
        session.execute(delete(Caller).where(Caller.id.in_(old)))


def forget_callers(session: Session, title: str, address: str) -> None:
    """What is a node now is no unknown caller."""
    session.execute(delete(Caller).where(Caller.kind == "unknown", Caller.title == title, Caller.address == address))


def newest_test(session: Session, node_id: str) -> NodeTest | None:
    return session.scalar(select(NodeTest).where(NodeTest.node_id == node_id).order_by(NodeTest.id.desc()).limit(1))


def drop_tests(session: Session, node_id: str, keep: int) -> None:
    """Keeps the newest tests of a node."""
    old = session.scalars(
        select(NodeTest.id).where(NodeTest.node_id == node_id).order_by(NodeTest.id.desc()).offset(keep)
    ).all()
    session.execute(delete(NodeTest).where(NodeTest.id.in_(old)))
