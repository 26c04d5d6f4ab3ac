"""Queries of the transfer log: entries newest first, sums by peer and hour, and what has grown too old."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Select, case, delete, func, or_, select
from sqlalchemy.orm import Session

from app.nodes.models import NetworkOperation as Entry
from app.security.actor import Actor

BAD = ("failure", "refused")


@dataclass(frozen=True, slots=True)
class OperationFilter:
    """Which entries: all that is given must fit. peer: part of the node's name, title or address."""

    peer: str = ""
    kind: str = ""
    role: str = ""
    result: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class PeerHour:
    """Operations with one peer in one hour. hour: "2026-11-21 08" in UTC; seconds: spent in all operations."""

    peer: str
    role: str
    hour: str
    operations: int
    bad: int
    objects: int
    bytes: int
    seconds: float


def _visible(actor: Actor) -> list[ColumnElement[bool]]:
    return [] if actor.sees_all else [Entry.facility_id == actor.facility_id]


def _conditions(actor: Actor, wanted: OperationFilter) -> list[ColumnElement[bool]]:
    found = _visible(actor)
    if wanted.peer:
        part = wanted.peer.lower()
        found.append(
            or_(*(func.lower(c).contains(part, autoescape=True) for c in (Entry.peer, Entry.title, Entry.address)))
        )
    for column, value in ((Entry.kind, wanted.kind), (Entry.role, wanted.role)):
        if value:
            found.append(column == value)
    if wanted.result == "problem":
        found.append(Entry.result.in_(BAD))
    elif wanted.result:
        found.append(Entry.result == wanted.result)
    if wanted.since is not None:
        found.append(Entry.at >= wanted.since)
    if wanted.until is not None:
        found.append(Entry.at < wanted.until)
    return found


def entries(
    session: Session, actor: Actor, wanted: OperationFilter, limit: int = 50, before: int | None = None
) -> tuple[list[Entry], int]:
    """Newest first, and how many fit in all. before: the last id of the page before."""
    conditions = _conditions(actor, wanted)
    total = session.scalar(select(func.count()).select_from(Entry).where(*conditions)) or 0
    return list(session.scalars(_page(conditions, limit, before))), total


def _page(conditions: list[ColumnElement[bool]], limit: int, before: int | None) -> Select[Entry]:
    query = select(Entry).where(*conditions).order_by(Entry.id.desc()).limit(limit)
    return query if before is None else query.where(Entry.id < before)


def next_entries(
    session: Session, actor: Actor, wanted: OperationFilter, limit: int, before: int | None
) -> list[Entry]:
    """The same without counting: for a download in pieces."""
    return list(session.scalars(_page(_conditions(actor, wanted), limit, before)))


def by_peer_and_hour(session: Session, actor: Actor, wanted: OperationFilter) -> Iterator[PeerHour]:
    """Sums of what fits, by peer, role and hour; oldest hour first."""
    if session.get_bind().dialect.name == "postgresql":
        hour = func.to_char(func.timezone("UTC", Entry.at), "YYYY-MM-DD HH24")
    else:
        hour = func.strftime("%Y-%m-%d %H", Entry.at)
    query = (
        select(
            Entry.peer,
            Entry.role,
            hour,
            func.count(),
            func.sum(case((Entry.result.in_(BAD), 1), else_=0)),
            func.sum(Entry.objects),
            func.sum(Entry.bytes),
            func.sum(Entry.seconds),
        )
        .where(*_conditions(actor, wanted))
        .group_by(Entry.peer, Entry.role, hour)
        .order_by(hour, Entry.peer, Entry.role)
    )
    for row in session.execute(query):
        peer, role, at, operations, bad, objects, size, seconds = row
        yield PeerHour(peer, role, at, operations, int(bad), int(objects), int(size), float(seconds))


def kinds(session: Session, actor: Actor) -> list[str]:
    """The kinds of operation that occur."""
    return sorted(session.scalars(select(Entry.kind).where(*_visible(actor)).distinct()))


def prune(session: Session, older_than: datetime) -> int:
    """Removes entries from before then; how many."""
    return int(session.execute(delete(Entry).where(Entry.at < older_than)).rowcount)  # type: ignore[attr-defined]
